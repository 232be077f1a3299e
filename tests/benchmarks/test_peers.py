"""The peers do the same work as the captioner: same features, same greedy captions."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from PIL import Image

from benchmarks import captioning
from benchmarks.keras_predict import untuned_dataset
from benchmarks.peer_course import CourseLoop
from model_lib.bundle import load_bundle

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def captioner(toy_bundle):
    return load_bundle(toy_bundle)


@pytest.fixture(scope="module")
def photos(captioner, tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    side = captioner.info.preprocess.image_size
    draw = np.random.default_rng(0)
    for number in range(5):
        pixels = draw.integers(0, 256, (side, side, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.jpg", quality=95)
    return folder


def test_the_courses_loop_draws_words_of_the_vocabulary(captioner, photos):
    captions = []
    for keeps in (False, True):
        tf.random.set_seed(1)
        loop = CourseLoop(captioner, keeps_vocabulary=keeps)
        captions.append([loop.caption(path) for path in sorted(photos.iterdir())])
    assert captions[0] == captions[1]
    words = {word for caption in captions[0] for word in caption.split()}
    assert words <= set(captioner.tokenizer.words)
    longest = max(len(caption.split()) for caption in captions[0])
    assert 1 <= longest <= captioner.info.decode.max_length_tokens


def test_beams_stock_way_gives_the_captioners_greedy_captions(
    captioner, photos, toy_bundle, tmp_path
):
    pytest.importorskip("tensorflow_hub")
    from benchmarks.peer_beam import run_stock_pipeline, save_encoder

    run_stock_pipeline(toy_bundle, save_encoder(toy_bundle, tmp_path), photos, tmp_path / "out")
    rows = pq.read_table(tmp_path / "out").to_pylist()
    found = {row["uri"].rpartition("/")[2]: row["caption"] for row in rows}
    paths = sorted(photos.iterdir())
    ours = captioner.caption_bytes([p.read_bytes() for p in paths], captioning.greedy(captioner))
    assert found == {p.name: c[0].text for p, c in zip(paths, ours, strict=True)}


def test_predict_without_waits_gives_the_encoders_features(captioner, photos):
    prepared = [captioner.preprocessor(path.read_bytes()) for path in sorted(photos.iterdir())]
    pixels = captioning.stack(prepared).astype(np.float32)
    dataset = untuned_dataset(pixels, batch_size=2)
    assert dataset.options().autotune.enabled is False
    np.testing.assert_array_equal(
        captioner.encoder.predict(dataset, verbose=0),
        captioner.encoder.predict(pixels, batch_size=2, verbose=0),
    )


def test_onnx_runtime_gives_the_encoders_features(captioner, photos):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    from benchmarks import peer_onnx

    images = [captioner.preprocessor(path.read_bytes()) for path in sorted(photos.iterdir())]
    ours = captioner.encode_prepared(images)
    theirs = peer_onnx.encode_function(captioner, len(images))(captioning.stack(images))
    assert peer_onnx.largest_difference(ours, theirs) < 1e-4
