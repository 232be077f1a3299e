"""SavedModels of a toy bundle, loaded by TensorFlow alone."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.core.protobuf import saved_model_pb2

from model_lib import export
from model_lib.bundle import load_bundle, read_bundle_info, read_model_card
from model_lib.config import DecodeConfig
from model_lib.errors import BundleError, ExportError
from model_lib.export import check_export, export_savedmodel
from tests.images import broken_images, good_images, with_orientation
from tests.toy import TOY_SIZE

PHOTOS = Path(__file__).parents[2] / "examples" / "photos"
GREEDY = DecodeConfig(method="greedy", max_length_tokens=12)
BEAM = DecodeConfig(beam_width=3, num_captions=2, max_length_tokens=12)
# Run without this repository on the path, and with our packages' names forbidden.
CLIENT = """
import json, sys
for name in ("model_lib", "beam_jobs", "train", "keras"):
    sys.modules[name] = None
import tensorflow as tf
model, *paths = sys.argv[1:]
run = tf.saved_model.load(model).signatures["serving_default"]
found = run(image_bytes=tf.constant([open(path, "rb").read() for path in paths]))
plain = {name: values.numpy().tolist() for name, values in found.items()}
plain["caption"] = [text.decode() for text in plain["caption"]]
plain["candidates"] = [[text.decode() for text in row] for row in plain["candidates"]]
print(json.dumps(plain))
"""


@pytest.fixture(scope="module")
def exported(toy_bundle: str, tmp_path_factory: pytest.TempPathFactory) -> export.Exported:
    return export_savedmodel(toy_bundle, str(tmp_path_factory.mktemp("export") / "out"), BEAM)


def write_images(folder: Path) -> dict[str, bytes]:
    """Photos and drawings of all kinds: name -> content; the last two are broken."""
    good = good_images()
    kinds = ("grey.jpg", "palette.png", "rgba.png", "cmyk_adobe.jpg", "palette.gif", "rgb.bmp")
    images = {name: good[name] for name in kinds}
    for path in sorted(PHOTOS.glob("*.[jp][pn]g")):
        images[path.name] = path.read_bytes()
        if path.suffix == ".jpg":
            with Image.open(path) as photo:
                images[f"turned_{path.name}"] = with_orientation(photo.convert("RGB"), 8, "JPEG")
    for name in ("cut.jpg", "text.jpg"):
        images[name] = broken_images()[name]
    for name, data in images.items():
        (folder / name).write_bytes(data)
    return images


def ask(model: str, images: dict[str, bytes], folder: Path) -> Any:
    command = [sys.executable, "-I", "-c", CLIENT, model, *(str(folder / name) for name in images)]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])


def test_a_process_without_our_packages_gets_the_captioners_captions(
    exported: export.Exported, toy_bundle: str, tmp_path: Path
) -> None:
    images = write_images(tmp_path)
    found = ask(str(exported.folder), images, tmp_path)
    good = list(images.values())[:-2]
    expected = load_bundle(toy_bundle).caption_bytes(good, BEAM)
    assert found["readable"] == [True] * len(good) + [False, False]
    assert found["candidates"][:-2] == [[c.text for c in row] for row in expected]
    assert found["caption"] == [row[0].text for row in expected] + ["", ""]
    # A pixel that was rounded the other way changes a score a little.
    np.testing.assert_allclose(
        found["candidate_scores"][:-2], [[c.score for c in row] for row in expected], atol=2e-3
    )


def test_the_contract_of_the_signatures(exported: export.Exported) -> None:
    signatures = tf.saved_model.load(str(exported.folder)).signatures
    assert set(signatures) == {"serving_default", "pixels"}
    outputs = {
        "caption": ((None,), tf.string),
        "score": ((None,), tf.float32),
        "num_tokens": ((None,), tf.int32),
        "finished": ((None,), tf.bool),
        "candidates": ((None, 2), tf.string),
        "candidate_scores": ((None, 2), tf.float32),
    }
    side = TOY_SIZE
    inputs = {
        "serving_default": {"image_bytes": ((None,), tf.string)},
        "pixels": {"pixels": ((None, side, side, 3), tf.uint8)},
    }
    for name, signature in signatures.items():
        assert described(signature.structured_input_signature[1]) == inputs[name]
        readable = {"readable": ((None,), tf.bool)} if name == "serving_default" else {}
        assert described(signature.structured_outputs) == {**outputs, **readable}


def described(specs: dict[str, tf.TensorSpec]) -> dict[str, Any]:
    return {name: (tuple(spec.shape), spec.dtype) for name, spec in specs.items()}


def test_graphs_hold_no_python_and_only_operations_of_old_releases(
    exported: export.Exported,
) -> None:
    proto = saved_model_pb2.SavedModel()
    proto.ParseFromString((exported.folder / "saved_model.pb").read_bytes())
    graph = proto.meta_graphs[0].graph_def
    nodes = [*graph.node, *(node for part in graph.library.function for node in part.node_def)]
    operations = {node.op for node in nodes}
    assert {
        "StatelessWhile",
        "DecodeJpeg",
        "IgnoreErrorsDataset",
        "ScaleAndTranslate",
    } <= operations
    # Vertex AI's newest container has TensorFlow 2.15, which knows no WebP.
    assert operations & {"PyFunc", "EagerPyFunc", "PyFuncStateless", "DecodeWebP"} == set()


def test_what_lies_beside_the_graph(exported: export.Exported, toy_bundle: str) -> None:
    info = read_bundle_info(toy_bundle)
    extra = exported.folder / "assets.extra"
    assert json.loads((extra / "export.json").read_text()) == {
        "model_name": "toy",
        "model_fingerprint": info.fingerprint,
        "decode": BEAM.to_dict(),
        "preprocess": info.preprocess.to_dict(),
        "tensorflow": tf.__version__,
    }
    assert (extra / "MODEL_CARD.md").read_text() == read_model_card(toy_bundle)
    files = [path for path in exported.folder.rglob("*") if path.is_file()]
    assert exported.size_bytes == sum(path.stat().st_size for path in files)
    assert (exported.info.fingerprint, exported.decode) == (info.fingerprint, BEAM)


def test_other_captions_than_the_captioners_are_noticed(
    exported: export.Exported, toy_bundle: str
) -> None:
    captioner = load_bundle(toy_bundle)
    with pytest.raises(ExportError, match=r"serving_default gives .* where the captioner gives"):
        check_export(str(exported.folder), captioner, BEAM.replace(max_length_tokens=3))


def test_a_failed_check_leaves_no_folder(
    toy_bundle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ExportError("captions differ")

    tiny = tf.Module()
    tiny.caption_bytes = tiny.caption_pixels = tf.function(tf.identity, [tf.TensorSpec([])])
    monkeypatch.setattr(export, "serving_module", lambda *_: tiny)
    monkeypatch.setattr(export, "check_export", fail)
    with pytest.raises(ExportError, match="captions differ"):
        export_savedmodel(toy_bundle, str(tmp_path / "out"), GREEDY)
    assert list(tmp_path.iterdir()) == []


def test_the_folder_is_checked_before_the_bundle_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ExportError, match="is there already"):
        export_savedmodel("no/bundle", str(tmp_path))
    with pytest.raises(BundleError, match="no/bundle"):
        export_savedmodel("no/bundle", str(tmp_path / "out"))


def test_the_example_in_the_documentation(
    exported: export.Exported,
    toy_bundle: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = PHOTOS.parents[1]
    code = (root / "docs" / "export.md").read_text().partition("```python\n")[2].partition("```")[0]
    (tmp_path / "exported").symlink_to(exported.folder)
    (tmp_path / "examples").symlink_to(root / "examples")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "export.md", "exec"), {})
    expected = load_bundle(toy_bundle).caption_bytes([(PHOTOS / "cat.jpg").read_bytes()], BEAM)
    assert capsys.readouterr().out.startswith(f"{expected[0][0].text} -")
