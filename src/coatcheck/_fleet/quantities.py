"""Durations and sizes as people write them in a fleet file (``90s``, ``10m``, ``48h``, ``2GiB``, ``10%``), and amounts of money."""

from __future__ import annotations

import re

from .. import errors

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_BYTES = {"": 1, "b": 1}
_BYTES |= {f"{prefix}{suffix}": 1024**power for power, prefix in enumerate("kmgt", 1) for suffix in ("", "ib")}
_BYTES |= {f"{prefix}b": 1000**power for power, prefix in enumerate("kmgt", 1)}


def seconds(value: float | str, at: str) -> float:
    """Return a duration in seconds: a number of them, or text such as ``10m``. Raises `ConfigurationError` naming *at*."""
    return _quantity(value, _SECONDS | {"": 1}, at, "a duration such as 90s, 10m, 48h or 7d")


def size(value: float | str, at: str) -> int:
    """Return a size in bytes: a number of them, or text such as ``2GiB``. Raises `ConfigurationError` naming *at*."""
    return int(_quantity(value, _BYTES, at, "a size such as 500KiB, 256MiB or 2GiB"))


def share(value: float | str, total: int, at: str) -> int:
    """Return how many of *total* are meant: a number, or a percentage, rounded up. Raises `ConfigurationError`."""
    text = str(value).strip()
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(%?)", text)
    if match is None or (not match[2] and not text.isdigit()):
        raise errors.ConfigurationError(f"{at} should be a number or a percentage, not {value!r}", remedy='write "10%"')
    return min(total, -int(-total * float(match[1]) // 100)) if match[2] else min(total, int(text))


def _quantity(value: float | str, units: dict[str, int], at: str, wanted: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)", str(value).strip())
    unit = match[2].lower() if match else ""
    if match is None or unit not in units or not float(match[1]) > 0:
        raise errors.ConfigurationError(f"{at} should be {wanted}, not {value!r}")
    return float(match[1]) * units[unit]


def dollars(amount: float) -> str:
    """Return an amount of US dollars for people; one that would be rounded to nothing is "less than $0.01"."""
    return "less than $0.01" if 0 < amount < 0.005 else f"${amount:.2f}"
