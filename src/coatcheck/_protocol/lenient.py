"""Read fields that are only displayed: a value of the wrong type counts as missing.

Official clients read such fields from untyped maps and ignore what does not fit
(docs/reference/protocols/codex-wham.md, 2.3, 3).
What matters (ids, states, texts, diffs) is typed in a provider's `wire` and rejected there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from .._values.rfc3339 import parse_time

# A number as JSON writes it (RFC 8259, section 6): Python's float() also takes 1_000, +5, nan and digits of other scripts.
_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"

_NOTHING: Mapping[str, object] = {}


def fields(value: object) -> Mapping[str, object]:
    """Return an object's fields, none for anything else."""
    return value if isinstance(value, dict) else _NOTHING


def items(value: object) -> tuple[object, ...]:
    """Return an array's items, none for anything else."""
    return tuple(value) if isinstance(value, list) else ()


def text(value: object) -> str | None:
    """Return a text that is not empty."""
    return value if value and isinstance(value, str) else None


def flag(value: object) -> bool | None:
    """Return a boolean."""
    return value if isinstance(value, bool) else None


def whole(value: object) -> int | None:
    """Return an integer; floats and texts are ignored, as the official client does.

    See docs/reference/protocols/codex-wham.md, 3.
    """
    return value if type(value) is int else None


def number(value: object) -> float | None:
    """Return a finite number, also where it was sent as a text that JSON would take for one."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, str) and not re.fullmatch(_NUMBER, value):
        return None
    try:
        result = float(value)
    except (ValueError, OverflowError):
        return None
    return result if math.isfinite(result) else None


def instant(value: object) -> datetime | None:
    """Return a time in UTC from Unix seconds or ISO 8601."""
    if value is None:
        return None
    try:
        if type(value) is float:  # nearly all of them
            return datetime.fromtimestamp(value, UTC)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        return parse_time(value) if isinstance(value, str) else None
    except (ValueError, OverflowError, OSError):
        return None
