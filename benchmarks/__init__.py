"""Measurements against peers; every table names command, hardware and date.

python -m benchmarks.all          everything, into docs/performance.json and .md
python -m benchmarks.throughput   encoder, captioner and whole job
python -m benchmarks.encoders     the encoder in ONNX Runtime, inside the captioner and alone
python -m benchmarks.tensorflow_settings  oneDNN and threads, against TensorFlow's own choice
python -m benchmarks.peers        the course's loop, Beam's stock way, Keras
python -m benchmarks.growth       time an image and memory as the input grows
python -m benchmarks.startup      process start to first caption
python -m benchmarks.workers      two worker processes against two threads
python -m benchmarks.publishing   the launcher's merge of committed parts
python -m benchmarks.short        a few ratios against a stored baseline (`make bench`)
python -m benchmarks.scale        docs/scale.md's tables and picture

They run TensorFlow with oneDNN, as the job does; peers in the same process too. Where no peer in
TensorFlow is in the process, the cores are shared as in the job (`model_lib.cores`). `peers` and
`short` load a bundle first, which starts TensorFlow's threads: every operation keeps all of them.
"""

from model_lib.onednn import prefer_onednn

prefer_onednn()
