"""How many examples Hypothesis tries: a quarter of them in `make test`, all in `make slow` and everywhere else."""

from __future__ import annotations

from hypothesis import settings

USUAL = 100


def examples(number: int) -> int:
    """Return how many of *number* examples the current profile tries, for a test whose number is not the usual."""
    return max(1, number * settings.default.max_examples // USUAL)
