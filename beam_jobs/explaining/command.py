"""`caption-images explain PHOTO`: draws where the model looks for each word of a caption.

Takes a photo anywhere the job reads from; writes one picture: the photo with its caption, and a
panel for each word. Captions the photo as the job does with the same flags.
"""

import io
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, get_args

from beam_jobs import storage
from beam_jobs.command_line import add_flags
from beam_jobs.config import JobConfig
from beam_jobs.explaining.layout import Heat, PictureConfig
from beam_jobs.fetching.fetcher import FetchFailedError
from beam_jobs.fetching.one_photo import read_photo
from beam_jobs.subcommand import CommandParser, parse_words
from model_lib.bundle import default_bundle_path, load_bundle, read_bundle_info
from model_lib.errors import BundleError, ConfigError, EncoderError, ImageError
from model_lib.quiet_tensorflow import load_tensorflow

if TYPE_CHECKING:
    from PIL import Image

    from model_lib.config import DecodeConfig

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
# Of the job's flags those that shape one caption, or reach one photo.
_FLAGS = (
    "bundle",
    "precision",
    "decode",
    "beam_width",
    "length_penalty",
    "temperature",
    "top_k",
    "top_p",
    "seed",
    "min_length_tokens",
    "max_length_tokens",
    "no_repeat_ngram_size",
    "http_timeout_secs",
    "read_attempts",
    "max_image_bytes",
    "max_redirects",
    "allow_private_addresses",
    "ignore_robots_tag",
)


def main(argv: Sequence[str]) -> int:
    """Runs the command; see its `--help`.

    Raises:
        ConfigError: for a wrong command line, or a photo that cannot be read.
        BundleError: where there is no bundle, or one whose attention is no map of the photo.
        OSError: where the picture cannot be written.
    """
    words = parse_words(_parser(), argv)
    given = {name: value for name in _FLAGS if (value := getattr(words, name)) is not None}
    sizes = PictureConfig(panel_width=words.panel_width, heat=words.heat)
    output = storage.plain_path(words.output or _name_beside(words.photo))
    image_format = _format_of(output, words.photo)
    config = JobConfig(input=(words.photo,), output=output, **given)
    bundle = config.bundle or default_bundle_path()
    decode = config.decode_config(read_bundle_info(bundle, storage.open_read).decode)
    data = _read(words.photo, config)
    load_tensorflow("loading TensorFlow ...\r" if sys.stderr.isatty() else "")
    caption, picture = _explain(words.photo, data, bundle, decode, config, sizes)
    encoded = io.BytesIO()
    picture.save(encoded, image_format, optimize=True)
    storage.replace_bytes(output, encoded.getvalue())
    sys.stdout.write(f"{caption}\n{output}\n")
    return 0


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="caption-images explain",
        description="Writes a picture of a photo's best caption with one panel a word: where the "
        "model looks as it draws that word, and how probable it finds the word. Other flags are "
        "Apache Beam's, for its file systems.",
        allow_abbrev=False,
    )
    parser.add_argument("photo", metavar="PHOTO", help="an image, or an http(s) URL of one")
    parser.add_argument(
        "--output",
        metavar="FILE",
        help=f"the picture, {', '.join(FORMATS)}; NAME.explained.png in the working folder if left "
        "out",
    )
    parser.add_argument(
        "--heat",
        choices=get_args(Heat),
        default=PictureConfig.heat,
        help="contributions: what is read at each part of the photo; weights: the attention's "
        "weights alone (default: %(default)s)",
    )
    parser.add_argument(
        "--panel_width",
        type=int,
        default=PictureConfig.panel_width,
        metavar="N",
        help="of one word's panel, in pixels (default: %(default)s)",
    )
    add_flags(parser, _FLAGS)
    return parser


def _name_beside(photo: str) -> str:
    """Returns `cat.explained.png` for `gs://b/cat.jpg` and for `http://h/cat.jpg?size=l`."""
    path = photo.split("?", 1)[0].split("#", 1)[-1].rstrip("/\\")
    name = path.replace("\\", "/").rsplit("/", 1)[-1]
    return f"{os.path.splitext(name)[0] or 'photo'}.explained.png"


def _format_of(output: str, photo: str) -> str:
    suffix = os.path.splitext(output)[1].lower()
    if suffix not in FORMATS:
        raise ConfigError(f"--output {output}: expected a name that ends in {', '.join(FORMATS)}")
    if os.path.realpath(output) == os.path.realpath(storage.plain_path(photo)):
        raise ConfigError(f"--output {output}: is PHOTO itself; name another file")
    return FORMATS[suffix]


def _read(photo: str, config: JobConfig) -> bytes:
    try:
        return read_photo(photo, config.fetch_config())
    except (FetchFailedError, OSError) as error:
        cause = error.__cause__ if isinstance(error, FetchFailedError) else error
        raise ConfigError(f"{photo}: {type(cause).__name__}: {cause}") from error


def _explain(
    photo: str,
    data: bytes,
    bundle: str,
    decode: "DecodeConfig",
    config: JobConfig,
    sizes: PictureConfig,
) -> tuple[str, "Image.Image"]:
    """Returns the caption and the picture."""
    # Imported late: they import TensorFlow, which is to be loaded silently.
    from beam_jobs.explaining.picture import draw_explanation
    from model_lib.attention import explain

    captioner = load_bundle(bundle, storage.open_read, config.precision)
    try:
        found = explain(captioner, data, decode)
        picture = draw_explanation(found, data, captioner.info.preprocess, sizes)
    except ImageError as error:
        raise ConfigError(f"{photo}: {type(error).__name__}: {error}") from error
    except EncoderError as error:
        raise BundleError(f"{bundle}: {error}") from error
    return found.caption.text, picture
