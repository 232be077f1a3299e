"""Hiding secrets in what a run writes down: command lines, settings and log lines.

Takes plain values; returns them with secrets replaced. A secret is text that is

- the value of an option or key whose name sounds like one: `--s3_secret_access_key SESAME`;
- a password in a URL: `https://me:SESAME@host/`;
- a signature or token in a URL's query, as signed links to buckets have:
  `https://host/cat.jpg?X-Amz-Signature=SESAME`;
- what follows `Authorization: Bearer`.

Tables of captions and failures are data and are not touched: their URIs stay as given.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

_HIDDEN = "HIDDEN"
_NAMES = r"secret|password|passwd|token|credential|access_key|api_key"
_SECRET_KEY = re.compile(
    r"secret|password|passwd|token$|credential|access_key|api_key", re.IGNORECASE
)
_SECRET_FLAG = re.compile(rf"(?<!\w)--?[\w-]*(?:{_NAMES})(?:_\w+)?", re.IGNORECASE)
_SECRET_OPTION = re.compile(rf"({_SECRET_FLAG.pattern}[= ])(?:'[^']*'|\S+)", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"([a-z][a-z0-9+.-]*://[^\s/:@?#]*:)[^\s/@?#]+(?=@)", re.IGNORECASE)
_URL_SIGNATURE = re.compile(
    r"([?&;](?:[\w.-]*(?:signature|token|credential|secret|password|api_?key|access_?key)[\w.-]*"
    r"|sig|key|pwd)=)[^&;#\s'\"<>]+",
    re.IGNORECASE,
)
_AUTHORIZATION = re.compile(r"(authorization['\"]?\s*[:=]\s*['\"]?(?:\w+ )?)[^\s'\",]+", re.I)


def without_secrets(value: Any) -> Any:
    """Returns a copy in which secrets are hidden.

    `["--s3_secret_access_key", "SESAME"]` -> `["--s3_secret_access_key", "HIDDEN"]`.

    Args:
        value: text, or mappings and sequences of it at any depth. Numbers are no secrets: a
            count of `NoCredentialsError` stays.
    """
    if isinstance(value, Mapping):
        return {key: _of_key(str(key), item) for key, item in value.items()}
    if isinstance(value, str):
        for pattern in (_SECRET_OPTION, _URL_PASSWORD, _URL_SIGNATURE, _AUTHORIZATION):
            value = pattern.sub(rf"\1{_HIDDEN}", value)
        return value
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        words = [without_secrets(item) for item in value]
        for at, word in enumerate(words[:-1]):
            if isinstance(word, str) and _SECRET_FLAG.fullmatch(word):
                words[at + 1] = _HIDDEN
        return words
    return value


def _of_key(key: str, value: Any) -> Any:
    is_plain = value is None or isinstance(value, (bool, int, float))
    return _HIDDEN if _SECRET_KEY.search(key) and not is_plain else without_secrets(value)
