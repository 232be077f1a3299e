"""What an `X-Robots-Tag` header forbids, as img2dataset reads it.

X-Robots-Tag: noai, noimageai                       for everybody
X-Robots-Tag: otherbot: noai                        for another one, not for us
X-Robots-Tag: batch-image-captioning: noindex       for us
"""

import re
from collections.abc import Iterable

# `none` is short for `noindex, nofollow`.
FORBIDDING = frozenset({"noai", "noimageai", "noindex", "noimageindex", "none"})
# What has a colon and is no agent's name.
_WITH_VALUE = frozenset(
    {"max-snippet", "max-image-preview", "max-video-preview", "unavailable_after"}
)
_AGENT = re.compile(r"([\w*./-]+)\s*:(.*)", re.DOTALL)


def forbidding_directive(headers: Iterable[str], agent: str) -> str | None:
    """Returns the first directive that forbids us the image, lower-case; None where none does.

    Args:
        headers: the values of all `X-Robots-Tag` headers, each on its own. A name before a colon
            holds until the next one, or the header's end.
        agent: our own name.
    """
    for header in headers:
        concerns_us = True
        for part in header.split(","):
            directive = part.strip().lower()
            named = _AGENT.fullmatch(directive)
            if named and named[1] not in _WITH_VALUE:
                concerns_us = named[1] in ("*", agent.lower())
                directive = named[2].strip()
            if concerns_us and directive in FORBIDDING:
                return directive
    return None
