import pytest
from PIL import Image

from benchmarks.settings import (
    link_photos,
    make_parser,
    photo_paths,
    settings_from,
    write_jpegs,
)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        Image.new("RGB", (10, 20), (number, 0, 0)).save(folder / f"{number}.png")
    (folder / "README.md").write_text("not a photo")
    return folder


def test_images_are_whole_batches(photos):
    def images(*flags):
        parser = make_parser("a program", images=100, rounds=5)
        return settings_from(parser.parse_args(["--photos", str(photos), *flags])).images

    assert images("--images", "500") == 384
    assert images("--images", "1") == 256
    assert images("--images", "10", "--batch_size", "4") == 8
    with pytest.raises(SystemExit, match="at least 1"):
        images("--rounds", "0")


def test_photos_repeat_under_new_names(photos, tmp_path):
    linked = link_photos(photos, tmp_path / "linked", 5)
    assert sorted(path.name for path in linked.iterdir()) == [f"00000{n}.png" for n in range(5)]
    assert (linked / "000003.png").read_bytes() == (photos / "0.png").read_bytes()


def test_jpegs_have_the_size_asked_for(photos, tmp_path):
    written = write_jpegs(photos, tmp_path / "jpegs", 4, 64, 48)
    found = [Image.open(path) for path in sorted(written.iterdir())]
    assert [(image.size, image.format) for image in found] == [((64, 48), "JPEG")] * 4


def test_a_folder_without_photos_is_said(tmp_path):
    with pytest.raises(SystemExit, match="no photos"):
        photo_paths(tmp_path)
    with pytest.raises(SystemExit, match="is no folder"):
        photo_paths(tmp_path / "missing")
