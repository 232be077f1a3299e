import inspect

import pytest

from model_lib import errors

# Class -> its base here. The names are written into failure tables: changing one breaks readers.
BASES = {
    "CaptioningError": Exception,
    "ConfigError": errors.CaptioningError,
    "BundleError": errors.CaptioningError,
    "EncoderError": errors.CaptioningError,
    "ExportError": errors.CaptioningError,
    "VocabularyError": errors.CaptioningError,
    "ImageError": errors.CaptioningError,
    "EmptyImageError": errors.ImageError,
    "UnknownImageFormatError": errors.ImageError,
    "TruncatedImageError": errors.ImageError,
    "OversizedImageError": errors.ImageError,
}


def test_names_and_bases() -> None:
    found = dict(inspect.getmembers(errors, inspect.isclass))
    assert {name: error.__bases__[0] for name, error in found.items()} == BASES


@pytest.mark.parametrize("error", [errors.ConfigError, errors.VocabularyError])
def test_wrong_values_are_value_errors_too(error: type[Exception]) -> None:
    with pytest.raises(ValueError, match="12 is wrong"):
        raise error("12 is wrong")
