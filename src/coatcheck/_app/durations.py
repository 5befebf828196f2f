"""Durations as people write them."""

from __future__ import annotations

from .. import errors

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(text: str, name: str = "") -> float | None:
    """Return a duration in seconds; *text* is a number, with s, m, h or d; None for "none".

    Raises `ConfigurationError`, which names the option or setting *name*.
    """
    if text.strip().lower() == "none":
        return None
    number, unit = text.strip(), 1.0
    if number[-1:].lower() in UNITS:
        number, unit = number[:-1], UNITS[number[-1].lower()]
    try:
        value = float(number) * unit
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise errors.ConfigurationError(
            f"{f'{name}: ' if name else ''}{text!r} is not a duration",
            remedy="pass seconds, or 90s, 30m, 2h, 1d; none waits without a limit",
        )
    return value
