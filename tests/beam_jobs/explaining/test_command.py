import shutil

import numpy as np
import pytest
from PIL import Image

from beam_jobs import caption_images
from beam_jobs.explaining.command import main
from beam_jobs.explaining.layout import PictureConfig, lay_out
from model_lib.bundle import load_bundle
from model_lib.config import DecodeConfig
from model_lib.errors import ConfigError
from tests.images import BROKEN_IMAGE_ERRORS, broken_images, good_images

NAME = "rgb.jpg"


@pytest.fixture
def photo(tmp_path, monkeypatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / NAME).write_bytes(good_images()[NAME])
    return NAME


@pytest.fixture(scope="module")
def caption(toy_bundle) -> str:
    return load_bundle(toy_bundle).caption_bytes([good_images()[NAME]])[0][0].text


def test_the_picture_of_the_caption_is_written(photo, toy_bundle, caption, tmp_path, capsys):
    assert caption_images.main(["explain", photo, "--bundle", toy_bundle]) == 0
    shown = capsys.readouterr()
    assert shown.out == f"{caption}\nrgb.explained.png\n"
    assert shown.err == ""
    picture = Image.open(tmp_path / "rgb.explained.png")
    layout = lay_out(caption, len(caption.split()), (48, 32), PictureConfig())
    assert (picture.format, picture.mode, picture.size) == ("PNG", "RGB", layout.size)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "rgb.explained.png",
        "rgb.jpg",
    ]


def test_decode_flags_shape_the_caption(photo, toy_bundle, capsys):
    flags = "--decode sample --temperature 3 --seed 4 --max_length_tokens 5 --output x.jpg"
    assert main([photo, "--bundle", toy_bundle, *flags.split()]) == 0
    config = DecodeConfig(method="sample", temperature=3.0, seed=4, max_length_tokens=5)
    [[expected]] = load_bundle(toy_bundle).caption_bytes([good_images()[NAME]], config)
    assert capsys.readouterr().out == f"{expected.text}\nx.jpg\n"
    assert Image.open("x.jpg").format == "JPEG"


def test_panels_can_be_smaller(photo, toy_bundle, caption, tmp_path):
    words = [photo, "--bundle", toy_bundle, "--panel_width", "80", "--output", "s.webp"]
    assert main(words) == 0
    picture = Image.open(tmp_path / "s.webp")
    expected = lay_out(caption, len(caption.split()), (48, 32), PictureConfig(panel_width=80))
    assert (picture.format, picture.size) == ("WEBP", expected.size)


def test_heat_can_be_the_weights_alone(photo, toy_bundle):
    pictures = []
    for heat in ("contributions", "weights"):
        main([photo, "--bundle", toy_bundle, "--heat", heat, "--output", f"out/{heat}.png"])
        pictures.append(np.asarray(Image.open(f"out/{heat}.png"), np.float32))
    assert pictures[0].shape == pictures[1].shape
    assert np.abs(pictures[0] - pictures[1]).max() > 30


def test_a_photo_on_a_web_server_is_explained(tmp_path, monkeypatch, toy_bundle, web, capsys):
    monkeypatch.chdir(tmp_path)
    words = [web.url("photo.jpg?size=l"), "--bundle", toy_bundle]
    assert caption_images.main(["explain", *words]) == 2
    assert "PrivateAddressError" in capsys.readouterr().err
    assert caption_images.main(["explain", *words, "--allow_private_addresses"]) == 0
    assert (tmp_path / "photo.explained.png").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the following arguments are required: PHOTO; see caption-images explain --help"),
        (["none.jpg"], "none.jpg: FileNotFoundError: "),
        (["."], ".: IsADirectoryError: "),
        ([NAME, "--output", "x.tif"], "--output x.tif: expected a name that ends in .png, .jpg"),
        ([NAME, "--output", f"./{NAME}"], f"--output ./{NAME}: is PHOTO itself; name another file"),
        ([NAME, "--top_k", "3"], "top_k has no effect with beam decoding, only with sample"),
        ([NAME, "--beam_width", "0"], "DecodeConfig.beam_width is 0; expected at least 1"),
        ([NAME, "--bundle", "none"], "none/bundle.json: cannot be read"),
        ([NAME, "--num_captions", "3"], "unexpected argument '--num_captions'"),
        ([NAME, "--panel_width", "9"], "panels of 9 pixels in 5 columns; expected at least 60"),
        ([NAME, "--heat", "red"], "argument --heat: invalid choice: 'red'"),
    ],
)
def test_a_caller_s_mistake_is_one_line_and_2(photo, words, message, tmp_path, capsys):
    assert caption_images.main(["explain", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"caption-images: {message}")
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


@pytest.mark.parametrize("name", ["empty.jpg", "cut.png", "oversized.gif", "text.jpg"])
def test_a_photo_that_is_none_is_named(name, tmp_path, toy_bundle):
    (tmp_path / name).write_bytes(broken_images()[name])
    with pytest.raises(ConfigError, match=f"{name}: {BROKEN_IMAGE_ERRORS[name]}: "):
        main([str(tmp_path / name), "--bundle", toy_bundle, "--output", str(tmp_path / "x.png")])
    assert not (tmp_path / "x.png").exists()


def test_a_damaged_bundle_is_2(photo, toy_bundle, tmp_path, capsys):
    damaged = tmp_path / "damaged"
    shutil.copytree(toy_bundle, damaged)
    (damaged / "vocabulary.txt").write_text("<pad>\n")
    assert caption_images.main(["explain", photo, "--bundle", str(damaged)]) == 2
    assert "damaged/vocabulary.txt: sha256 is" in capsys.readouterr().err
