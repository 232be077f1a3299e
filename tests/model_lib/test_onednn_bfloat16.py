"""Rewriting for bfloat16, on CPUs with and without it: the machine decides which half is run."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from model_lib import onednn_bfloat16
from model_lib.captioner import Captioner
from model_lib.captioning_graphs import encoder_graph
from model_lib.compiled import freeze
from model_lib.encoder_runtime import make_encoder
from model_lib.onednn_bfloat16 import has_bfloat16, in_bfloat16

FLAGS = set(Path("/proc/cpuinfo").read_text().split())
SURELY = {"avx512_bf16", "amx_bf16"}
BFLOAT16 = tf.bfloat16.as_datatype_enum
FLOAT32 = tf.float32.as_datatype_enum


def test_the_cpu_s_instructions_decide() -> None:
    assert has_bfloat16() == bool(FLAGS & SURELY)


@pytest.mark.parametrize(
    "flags", [None, "flags : fpu sse2 avx2", "flags : avx2 avx512f avx512_vnni"]
)
def test_without_the_instructions_there_is_none(
    flags: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cpuinfo"
    if flags:
        path.write_text(flags)
    monkeypatch.setattr(onednn_bfloat16, "_CPU_INFO", path)
    assert not has_bfloat16.__wrapped__()


def test_without_onednn_there_is_none() -> None:
    code = "from model_lib.onednn_bfloat16 import has_bfloat16; print(has_bfloat16())"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == "False\n"


def test_convolutions_are_rewritten_with_their_normalisation_folded() -> None:
    inputs = keras.Input([8, 8, 16])
    convolved = keras.layers.Conv2D(16, 3, use_bias=False)(inputs)
    model = keras.Model(inputs, keras.layers.ReLU()(keras.layers.BatchNormalization()(convolved)))
    generator = np.random.default_rng(3)
    for variable in model.variables:
        variable.assign(generator.uniform(0.5, 1.5, variable.shape))
    images = generator.normal(size=[2, 8, 8, 16]).astype(np.float32)
    rewritten: list[Any] = []

    def rewrite(graph_def: Any, kept: Any) -> Any:
        rewritten.append(in_bfloat16(graph_def, kept))
        return rewritten[0]

    signature = [tf.TensorSpec(images.shape, tf.float32)]
    frozen = freeze(lambda x: model(x, training=False), signature, model.variables, rewrite)
    [found] = frozen(images)
    exact = model(images, training=False).numpy()
    assert found.dtype == tf.float32
    types = {node.op: node.attr["T"].type for node in rewritten[0].node if "T" in node.attr}
    assert not {"Mul", "Rsqrt"} & set(types)
    # TensorFlow rewrites on CPUs without the instructions too.
    assert types["Conv2D"] == types["Relu"]
    assert types["Conv2D"] in ([BFLOAT16] if has_bfloat16() else [BFLOAT16, FLOAT32])
    if types["Conv2D"] == BFLOAT16:
        assert 0 < np.linalg.norm(found - exact) < 0.01 * np.linalg.norm(exact)
    else:
        np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-4)


@pytest.mark.skipif(not has_bfloat16(), reason="a CPU without bfloat16")
def test_an_encoder_in_bfloat16_is_the_rewritten_graph(captioner: Captioner) -> None:
    encoder = captioner.encoder
    shape = (4, *encoder.input_shape[1:])
    pixels = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    [exact] = encoder_graph(encoder, 4)(pixels)
    [rough] = encoder_graph(encoder, 4, in_bfloat16)(pixels)
    assert 0 < np.linalg.norm(rough - exact) < 0.06 * np.linalg.norm(exact)
    made = make_encoder(encoder, "tensorflow", "bfloat16", threads=1)(4)
    np.testing.assert_array_equal(made(pixels), rough)
