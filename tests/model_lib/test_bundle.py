import dataclasses
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import keras
import pytest
import tensorflow as tf
from apache_beam.io.filesystems import FileSystems

from model_lib.bundle import (
    BundleInfo,
    annotate_bundle,
    default_bundle_path,
    load_bundle,
    read_bundle_info,
    save_bundle,
)
from model_lib.bundle_info import HASHED_FILES, info_to_bytes
from model_lib.captioner import Captioner
from model_lib.config import DecodeConfig
from model_lib.errors import BundleError
from model_lib.tokenizer import Tokenizer
from tests.toy import TOY_CAPTIONS, make_toy_bundle

ROOT = Path(__file__).parents[2]
FILES = ["MODEL_CARD.md", "bundle.json", "decoder.weights.h5", "encoder.keras", "vocabulary.txt"]


@pytest.fixture(scope="module")
def contents(toy_bundle: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(toy_bundle).iterdir()}


def opener(contents: dict[str, bytes]) -> Callable[[str], BinaryIO]:
    """Opens files of a bundle at `memory:/toy` that is only in memory."""

    def open_file(address: str) -> BinaryIO:
        folder, _, name = address.rpartition("/")
        assert folder == "memory:/toy"
        return io.BytesIO(contents[name])

    return open_file


def save(captioner: Captioner, path: str, **changes: Any) -> BundleInfo:
    """Saves a captioner's parts, some of them changed."""
    info = captioner.info
    parts = {
        "name": info.name,
        "encoder": captioner.encoder,
        "decoder": captioner.decoder,
        "tokenizer": captioner.tokenizer,
        "model": info.model,
        "preprocess": info.preprocess,
        "decode": info.decode,
        "model_card": "# toy\n\nAlmost random weights, for tests.\n",
    }
    return save_bundle(path, **{**parts, **changes})


def rewritten(path: str, info: BundleInfo, **changes: Any) -> str:
    """Puts a changed `bundle.json` of right checksums into a bundle."""
    data = info_to_bytes(dataclasses.replace(info, **changes))
    (Path(path) / "bundle.json").write_bytes(data)
    return path


def test_what_is_saved_comes_back_and_captions_alike(
    captioner: Captioner, photos: list[bytes], tmp_path: Path
) -> None:
    path = str(tmp_path / "new" / "copy")
    card, facts = "# Ünïcode\n", {"seed": 3}
    written = save(captioner, path, model_card=card, provenance=facts, metrics={"CIDEr": 0.5})
    assert sorted(os.listdir(path)) == FILES
    again = load_bundle(path)
    assert again.info == written == read_bundle_info(path)
    assert (written.provenance, written.metrics) == (facts, {"CIDEr": 0.5})
    assert written.fingerprint == captioner.info.fingerprint
    assert (Path(path) / "MODEL_CARD.md").read_text(encoding="utf-8") == card
    assert again.tokenizer == captioner.tokenizer
    assert again.caption_bytes(photos) == captioner.caption_bytes(photos)


def test_16_and_32_bits_give_the_same_captions(
    toy_bundle: str, photos: list[bytes], tmp_path: Path
) -> None:
    captioner = load_bundle(toy_bundle)
    for weight in captioner.decoder.trainable_variables:  # as training leaves them
        noise = keras.random.uniform(weight.shape, -1e-4, 1e-4, seed=1)
        weight.assign(weight * (1.0 + noise))
    texts, sizes = [], []
    for float16 in (False, True):
        path = str(tmp_path / str(float16))
        save(captioner, path, float16=float16)
        found = load_bundle(path).caption_bytes(photos)
        texts.append([caption.text for captions in found for caption in captions])
        sizes.append((Path(path) / "decoder.weights.h5").stat().st_size)
    assert texts[0] == texts[1]
    assert sizes[0] > sizes[1]


def test_any_way_of_opening_files_will_do(
    captioner: Captioner, contents: dict[str, bytes], photos: list[bytes], toy_bundle: str
) -> None:
    tf.io.gfile.makedirs("ram://bundles/toy")
    for name, data in contents.items():
        with tf.io.gfile.GFile(f"ram://bundles/toy/{name}", "wb") as stream:
            stream.write(data)
    expected = captioner.caption_bytes(photos[:3])
    for loaded in (
        load_bundle("memory:/toy", opener(contents)),
        load_bundle(toy_bundle + "/", FileSystems.open),
        load_bundle("ram://bundles/toy"),
    ):
        assert loaded.info == captioner.info
        assert loaded.caption_bytes(photos[:3]) == expected


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_or_cut_byte_is_named(name: str, contents: dict[str, bytes]) -> None:
    size = len(contents[name])
    for place in {0, 1, 7, size // 3, size // 2, size - 2, size - 1}:
        data = bytearray(contents[name])
        data[place] ^= 0x01
        for damaged in (bytes(data), contents[name][:place]):
            with pytest.raises(BundleError, match=f"^memory:/toy/{name}: .*copy the bundle again"):
                load_bundle("memory:/toy", opener({**contents, name: damaged}))


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(name: str, contents: dict[str, bytes]) -> None:
    others = {key: data for key, data in contents.items() if key != name}
    with pytest.raises(BundleError, match=f"^memory:/toy/{name}: cannot be read .*a bundle is a"):
        load_bundle("memory:/toy", opener(others))


@pytest.mark.parametrize("where", ["/nowhere/at/all", "ram://nowhere", "none://no/such/system"])
def test_a_missing_folder_is_named(where: str) -> None:
    for read in (read_bundle_info, load_bundle):
        with pytest.raises(BundleError, match=f"^{where}/bundle.json: cannot be read"):
            read(where)


def test_only_a_bundle_s_own_files_are_opened(contents: dict[str, bytes]) -> None:
    opened = []

    def open_file(address: str) -> BinaryIO:
        opened.append(address)
        return opener(contents)(address)

    load_bundle("memory:/toy", open_file)
    assert opened == [f"memory:/toy/{name}" for name in ("bundle.json", *HASHED_FILES)]
    content = json.loads(contents["bundle.json"])
    content["file_sha256"]["../secret"] = "0" * 64
    forged = {**contents, "bundle.json": json.dumps(content).encode()}
    with pytest.raises(BundleError, match=r"bundle.json: damaged"):
        load_bundle("memory:/toy", opener(forged))


def test_an_encoder_with_code_is_refused(captioner: Captioner, tmp_path: Path) -> None:
    image = keras.Input((32, 32, 3))
    touched = str(tmp_path / "touched")
    code = keras.layers.Lambda(lambda x: (open(touched, "w").close(), x)[1])
    features = code(captioner.encoder(image))
    os.unlink(touched)  # building the model ran the code; loading must not
    save(captioner, str(tmp_path / "b"), encoder=keras.Model(image, features))
    with pytest.raises(BundleError, match=r"encoder\.keras: .*Lambda"):
        load_bundle(str(tmp_path / "b"))
    assert not os.path.exists(touched)


def test_files_of_right_checksums_must_fit_each_other(captioner: Captioner, tmp_path: Path) -> None:
    path, info = str(tmp_path / "b"), captioner.info
    save(captioner, path)
    bigger = rewritten(path, info, preprocess=info.preprocess.replace(image_size=64))
    with pytest.raises(BundleError, match=r"encoder\.keras: .*takes 32 pixels a side.* makes 64"):
        load_bundle(bigger)
    for changes in ({"width": 64}, {"attention": "multihead"}):
        with pytest.raises(BundleError, match=r"decoder\.weights\.h5: does not fit the rest"):
            load_bundle(rewritten(path, info, model=info.model.replace(**changes)))


def test_what_does_not_fit_is_not_saved(captioner: Captioner, tmp_path: Path) -> None:
    path = tmp_path / "b"
    with pytest.raises(BundleError, match="takes 32 pixels a side, preprocessing makes 64"):
        save(captioner, str(path), preprocess=captioner.info.preprocess.replace(image_size=64))
    with pytest.raises(BundleError, match="the decoder knows 26 words, the vocabulary has 13"):
        save(captioner, str(path), tokenizer=Tokenizer.from_captions(TOY_CAPTIONS[:1]))
    for write in (save, lambda _, where: annotate(where)):
        with pytest.raises(BundleError, match=r"^gs://bucket/b: bundles are written locally"):
            write(captioner, "gs://bucket/b")
    assert not path.exists()


def annotate(path: str) -> BundleInfo:
    decode = DecodeConfig(method="greedy")
    return annotate_bundle(path, metrics={"CIDEr": 0.5}, decode=decode, model_card="# new\n")


def test_a_torn_bundle_is_no_bundle(captioner: Captioner, toy_bundle: str, tmp_path: Path) -> None:
    path = tmp_path / "b"
    shutil.copytree(toy_bundle, path)
    (path / "MODEL_CARD.md").unlink()
    (path / "MODEL_CARD.md").mkdir()  # writing the card fails after some other files
    with pytest.raises(IsADirectoryError):
        save(captioner, str(path))
    with pytest.raises(BundleError, match=r"bundle\.json: cannot be read"):
        read_bundle_info(str(path))


def test_notes_change_neither_weights_nor_fingerprint(
    captioner: Captioner, toy_bundle: str, photos: list[bytes], tmp_path: Path
) -> None:
    path = str(tmp_path / "b")
    shutil.copytree(toy_bundle, path)
    noted = annotate(path)
    loaded = load_bundle(path)
    assert loaded.info == noted == read_bundle_info(path)
    assert noted.fingerprint == captioner.info.fingerprint
    assert (noted.metrics, noted.decode.method) == ({"CIDEr": 0.5}, "greedy")
    assert noted.provenance == captioner.info.provenance
    assert (Path(path) / "MODEL_CARD.md").read_text() == "# new\n"
    decode = captioner.info.decode
    expected = captioner.caption_bytes(photos[:3])
    assert loaded.caption_bytes(photos[:3], decode) == expected


def test_another_process_writes_the_same_fingerprint(toy_bundle: str, tmp_path: Path) -> None:
    code = f"from tests.toy import make_toy_bundle; make_toy_bundle({str(tmp_path / 'b')!r})"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
    assert read_bundle_info(str(tmp_path / "b")) == read_bundle_info(toy_bundle)
    assert read_bundle_info(make_toy_bundle(str(tmp_path / "c"))) == read_bundle_info(toy_bundle)


def test_reading_what_a_bundle_says_needs_no_tensorflow(toy_bundle: str) -> None:
    code = (
        "import sys; from model_lib.bundle import read_bundle_info; "
        f"print(read_bundle_info({toy_bundle!r}).name, 'tensorflow' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert result.stdout.split() == ["toy", "False"]


def test_the_default_bundle_is_in_the_package() -> None:
    assert Path(default_bundle_path()).parent == ROOT / "model_lib" / "bundles"
