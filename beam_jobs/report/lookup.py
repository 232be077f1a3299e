"""Values of a manifest whose layout is not assumed: found by name, or None.

Takes a manifest of any release, or a damaged one; never raises.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any


def find(manifest: Any, path: str) -> Any:
    """Returns a value, or None where it is missing; `a.b` looks into the mapping `a`."""
    value: Any = manifest
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def find_number(manifest: Any, path: str) -> float | None:
    """Returns a finite number, or None."""
    value = find(manifest, path)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None


def find_text(manifest: Any, path: str) -> str:
    """Returns a value as text, empty where it is missing."""
    value = find(manifest, path)
    return "" if value is None else str(value)


def find_mappings(manifest: Any, path: str) -> list[Mapping[str, Any]]:
    """Returns the mappings of a list, or none."""
    value = find(manifest, path)
    if not isinstance(value, Sequence) or isinstance(value, str):
        return []
    return [item for item in value if isinstance(item, Mapping)]
