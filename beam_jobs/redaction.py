"""Hiding secrets in what a run writes down: command lines and settings.

Takes plain values; returns them with the values of options whose name sounds like a secret
replaced. Beam's options hold some, such as `--s3_secret_access_key`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

_SECRET = re.compile(r"secret|password|token$|credential|access_key|api_key", re.IGNORECASE)
_SECRET_FLAG = re.compile(
    r"--?[\w-]*(?:secret|password|token|credential|access_key|api_key)(?:_\w+)?", re.IGNORECASE
)
_SECRET_OPTION = re.compile(rf"({_SECRET_FLAG.pattern}[= ])(?:'[^']*'|\S+)", re.IGNORECASE)
_HIDDEN = "HIDDEN"


def without_secrets(value: Any) -> Any:
    """Returns a copy in which the values of secret options and keys are hidden.

    `["--s3_secret_access_key", "SESAME"]` -> `["--s3_secret_access_key", "HIDDEN"]`.

    Args:
        value: text, or mappings and sequences of it at any depth.
    """
    if isinstance(value, Mapping):
        return {
            key: _HIDDEN if _SECRET.search(str(key)) else without_secrets(item)
            for key, item in value.items()
        }
    if isinstance(value, str):
        return _SECRET_OPTION.sub(rf"\1{_HIDDEN}", value)
    if isinstance(value, Sequence):
        words = [without_secrets(item) for item in value]
        for at, word in enumerate(words[:-1]):
            if isinstance(word, str) and _SECRET_FLAG.fullmatch(word):
                words[at + 1] = _HIDDEN
        return words
    return value
