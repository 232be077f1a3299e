"""Named errors of the captioner: each says what is wrong, where, and what to do.

The names (not the messages) are a contract: a job writes them into the column
`error_type` of its failure rows, so analysts group by them.
"""


class CaptioningError(Exception):
    """Base of every error that this project raises on purpose."""


class ConfigError(CaptioningError, ValueError):
    """A setting is out of range, unknown, or contradicts another one."""


class BundleError(CaptioningError):
    """A bundle is missing, damaged, or of a format this version cannot read."""


class EncoderError(CaptioningError):
    """An encoder cannot be built, or is not image-in, feature-map-out."""


class ExportError(CaptioningError):
    """An export cannot be written, or does not caption as the bundle does."""


class VocabularyError(CaptioningError, ValueError):
    """A vocabulary is empty, lacks the special words, or repeats a word."""


class ImageError(CaptioningError):
    """Base of all errors that one image's bytes can cause; never the batch's fault."""


class EmptyImageError(ImageError):
    """The image has no bytes."""


class UnknownImageFormatError(ImageError):
    """The bytes are not an image of a format that is read here."""


class TruncatedImageError(ImageError):
    """The bytes begin as an image but end early or are damaged inside."""


class OversizedImageError(ImageError):
    """The image's header announces more pixels than the limit allows."""
