import struct

import pytest

from model_lib.errors import OversizedImageError
from model_lib.image_headers import check_announced_size, check_size, sniff_format
from tests.images import FORMATS, HEIGHT, WIDTH, good_images


def test_sniffing_needs_only_the_first_bytes() -> None:
    for name, data in good_images().items():
        assert sniff_format(data[:18]) == FORMATS[name.split(".")[1]]


def test_the_limit_is_inclusive() -> None:
    check_size(20, 50, max_pixels=1000)
    with pytest.raises(OversizedImageError, match="announces 20 x 50 = 1,000 pixels, above"):
        check_size(20, 50, max_pixels=999)


@pytest.mark.parametrize(
    "name", [name for name in good_images() if name.endswith((".png", ".gif", ".webp"))]
)
def test_announced_sizes_are_checked_before_a_frame_is_allocated(name: str) -> None:
    data, image_format = good_images()[name], FORMATS[name.split(".")[1]]
    check_announced_size(image_format, data, WIDTH * HEIGHT)
    with pytest.raises(OversizedImageError, match="48 x 32 = 1,536 pixels"):
        check_announced_size(image_format, data, WIDTH * HEIGHT - 1)
    with pytest.raises(struct.error):
        check_announced_size("png", data[:20], WIDTH * HEIGHT)
