"""Measurements against peers; every table names command, hardware and date.

python -m benchmarks.all          everything, into docs/performance.json and .md
python -m benchmarks.throughput   encoder, captioner and whole job
python -m benchmarks.encoders     the encoder in ONNX Runtime, inside the captioner and alone
python -m benchmarks.onednn       TensorFlow with oneDNN and as it starts by itself
python -m benchmarks.peers        the course's loop, Beam's stock way, Keras
python -m benchmarks.growth       time an image and memory as the input grows
python -m benchmarks.startup      process start to first caption
python -m benchmarks.workers      two worker processes against two threads
python -m benchmarks.publishing   the launcher's merge of committed parts
python -m benchmarks.short        a few ratios against a stored baseline (`make bench`)
python -m benchmarks.scale        docs/scale.md's tables and picture

They run TensorFlow as the job does, with oneDNN; peers in the same process too.
"""

from model_lib.onednn import prefer_onednn

prefer_onednn()
