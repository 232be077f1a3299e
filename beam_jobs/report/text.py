"""Numbers and long texts as a reader of the report wants them.

Takes plain values; gives short English text without markup.
"""

import datetime


def count_text(number: float) -> str:
    """Returns a count with separators: 1234567 -> `1,234,567`."""
    return f"{number:,.0f}"


def percent_text(share: float) -> str:
    """Returns a share as percent that is 0 or 100 only if it is: 0.256 -> `26%`.

    0.002 -> `0.2%`, 0.996 -> `99.6%`, and less than 0.0001 of 1 or 0 is `<0.01%` or `>99.9%`.
    """
    percent = 100 * share
    if 0 < percent < 1:
        return f"{percent:.2g}%" if percent >= 0.01 else "<0.01%"
    if 99 < percent < 100:
        return f"{percent:.1f}%" if percent < 99.95 else ">99.9%"
    return f"{percent:.0f}%"


def score_text(score: float) -> str:
    """Returns a score with a true minus and no more digits than it has: -1.50 -> `\u22121.5`."""
    return f"{score:g}".replace("-", "\u2212")


def duration_text(secs: float) -> str:
    """Returns a duration in two units at most: 3725.0 -> `1 h 2 min`."""
    if secs < 59.5:
        return f"{secs:.1f} s" if secs < 9.95 else f"{secs:.0f} s"
    minutes, seconds = divmod(round(secs), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def millis_text(millis: float) -> str:
    """Returns a latency with three digits at most: 0.254 -> `0.25 ms`, 1234.0 -> `1.2 s`."""
    if millis < 999.5:
        digits = 2 if millis < 9.95 else 1 if millis < 99.5 else 0
        return f"{millis:.{digits}f} ms"
    return duration_text(millis / 1000)


def bytes_text(number: float) -> str:
    """Returns a size in decimal units: 1234567890 -> `1.2 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 999.5:
            return f"{number:.3g} {unit}" if unit != "B" else f"{number:.0f} B"
        number /= 1000
    return f"{number:,.1f} TB"


def time_text(iso: str) -> str:
    """Returns an ISO 8601 time without its fraction: `2025-11-23 02:41:07 UTC`; else as it is."""
    try:
        time = datetime.datetime.fromisoformat(iso)
    except ValueError:
        return iso
    zone = " UTC" if time.utcoffset() == datetime.timedelta(0) else f" {time:%z}".rstrip()
    return f"{time:%Y-%m-%d %H:%M:%S}{zone}"


def shorten(text: str, length: int) -> str:
    """Cuts the middle out of a text that is longer than `length` characters.

    A text of `abcdefghijkl` and a length of 6 give `abcd … kl`.
    """
    if len(text) <= length:
        return text
    return f"{text[: length - length // 3]} … {text[-(length // 3) :]}"
