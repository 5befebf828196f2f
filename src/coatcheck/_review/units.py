"""Lengths of time and sizes as files write them: numbers of seconds and bytes, or text with a unit. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from ..errors import ConfigurationError

SECONDS: Mapping[str, float] = {"": 1, "ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
# IEC 80000-13 for KiB and the like, SI for kB and the like.
BYTES: Mapping[str, float] = {
    "": 1,
    "b": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "tb": 1000**4,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
    "tib": 1024**4,
}
_AMOUNT = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", re.ASCII)


def seconds_of(value: object, name: str) -> float:
    """Return *value* in seconds. Raises `ConfigurationError` that names the key."""
    amount = _amount(value, SECONDS)
    if amount is None:
        raise ConfigurationError(
            f"{name} is not a length of time: {value!r}", remedy='write seconds, or "90s", "10m", "2h"'
        )
    return amount


def bytes_of(value: object, name: str) -> int:
    """Return *value* in bytes. Raises `ConfigurationError` that names the key."""
    amount = _amount(value, BYTES)
    if amount is None or amount < 1:
        raise ConfigurationError(f"{name} is not a size: {value!r}", remedy='write bytes, or "256MiB", "2GiB"')
    return int(amount)


def _amount(value: object, units: Mapping[str, float]) -> float | None:
    """Return the amount above 0 that *value* is, None where it is none."""
    if isinstance(value, str):
        match = _AMOUNT.fullmatch(value)
        unit = units.get(match[2].lower()) if match else None
        value = float(match[1]) * unit if match and unit else None
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value) or value <= 0:
        return None
    return float(value)
