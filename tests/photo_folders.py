"""A folder of captioned photos that a toy can learn: coloured shapes, drawn with Pillow.

`write_shape_photos` writes up to 24 photos of 32 x 32 pixels, two captions each, such as
`a red circle on a black ground`, with split files; every sixth photo is `dev`.
"""

import itertools
from pathlib import Path

from PIL import Image, ImageDraw

COLOURS = ("red", "green", "blue", "yellow")
SHAPES = ("circle", "square", "triangle")
GROUNDS = ("black", "white")
DRAW = {
    "circle": lambda pen, colour: pen.ellipse((6, 6, 26, 26), fill=colour),
    "square": lambda pen, colour: pen.rectangle((6, 6, 26, 26), fill=colour),
    "triangle": lambda pen, colour: pen.polygon(((16, 4), (4, 28), (28, 28)), fill=colour),
}


def write_shape_photos(folder: Path, count: int = 24) -> Path:
    """Writes `images/`, `captions.tsv`, `train.txt` and `dev.txt`; returns the folder."""
    (folder / "images").mkdir(parents=True)
    lines, names = [], {"train": [], "dev": []}
    looks = itertools.islice(itertools.product(GROUNDS, SHAPES, COLOURS), count)
    for number, (ground, shape, colour) in enumerate(looks):
        photo = Image.new("RGB", (32, 32), ground)
        DRAW[shape](ImageDraw.Draw(photo), colour)
        name = f"{colour}_{shape}_{ground}.png"
        photo.save(folder / "images" / name)
        lines.append(f"{name}\ta {colour} {shape} on a {ground} ground\n")
        lines.append(f"{name}\t{ground} ground with a {shape} that is {colour}\n")
        names["dev" if number % 6 == 5 else "train"].append(name)
    (folder / "captions.tsv").write_text("".join(lines))
    for split, photos in names.items():
        (folder / f"{split}.txt").write_text("".join(f"{name}\n" for name in photos))
    return folder
