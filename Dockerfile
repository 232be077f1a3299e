# The image of Dataflow's workers: Beam's harness, TensorFlow with CUDA, this package and its bundle.
#
#   docker build --tag WORKER_IMAGE .
#   docker build --tag WORKER_IMAGE --build-arg TENSORFLOW=tensorflow .    without CUDA: no GPU
#   ... --build-arg EXTRAS=gcp,aws,onnx .    with ONNX Runtime, for --encoder_runtime onnxruntime
#
# Whoever starts a job needs the same Beam and Python version as the workers.
ARG BEAM_VERSION=2.77.0
ARG PYTHON_VERSION=3.11

FROM apache/beam_python${PYTHON_VERSION}_sdk:${BEAM_VERSION} AS harness

FROM python:${PYTHON_VERSION}-slim-bookworm AS packages
ARG TENSORFLOW=tensorflow[and-cuda]
ARG EXTRAS=gcp,aws
WORKDIR /src
# What is slow to install and seldom changes comes first: its layer is kept.
COPY deploy/constraints.txt deploy/constraints.txt
RUN pip install --no-cache-dir --prefix=/packages --constraint deploy/constraints.txt \
      "${TENSORFLOW}" "apache-beam[gcp,aws]"
COPY setup.py pyproject.toml MANIFEST.in README.md LICENSE ./
COPY model_lib model_lib
COPY beam_jobs beam_jobs
COPY train train
RUN PYTHONPATH=/packages/lib/python3.11/site-packages \
    pip install --no-cache-dir --prefix=/packages --constraint deploy/constraints.txt \
      ".[${EXTRAS}]"

FROM python:${PYTHON_VERSION}-slim-bookworm
COPY --from=harness /opt/apache/beam /opt/apache/beam
COPY --from=packages /packages /usr/local
# Everything is here: the harness makes no environment of its own. Dataflow mounts the driver's
# libraries where the last line says.
ENV RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    TF_CPP_MIN_LOG_LEVEL=1 \
    LD_LIBRARY_PATH=/usr/local/nvidia/lib64
# Fails where a package or the bundle is missing. It runs as root, as Beam's own image does: the
# service mounts folders of root's, into which the harness writes.
RUN python -c "from model_lib.bundle import *; read_bundle_info(default_bundle_path())" && \
    python -c "import apache_beam.io.gcp.gcsio, apache_beam.runners.worker.sdk_worker_main"
ENTRYPOINT ["/opt/apache/beam/boot"]
