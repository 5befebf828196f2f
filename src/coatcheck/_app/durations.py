"""Durations as people write them."""

from __future__ import annotations

from .. import errors

# What "none" means, by option and setting.
NONE_MEANINGS = {"--timeout": "waits without a limit", "timeout": "waits without a limit"}
UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(text: str, name: str = "") -> float | None:
    """Return a duration in seconds; *text* is a number, with s, m, h or d; None for "none".

    Raises `ConfigurationError`, which names the option or setting *name*.
    """
    meaning = NONE_MEANINGS.get(name.partition(" ")[0])
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
            remedy=f"pass seconds, or 90s, 30m, 2h, 1d{f'; none {meaning}' if meaning else ''}",
        )
    return value
