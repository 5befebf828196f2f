"""Estimate how long tasks take, from the durations of finished ones."""

from __future__ import annotations

import math

from .._values.value import Value

# A smaller spread makes up to 1.7 times as many polls when the estimate is wrong (``bench/schedule.py``).
SMALLEST_SPREAD = 0.8
LARGEST_SPREAD = 2.0
# The initial estimate counts as this many finished tasks.
PRIOR_WEIGHT = 2
# The spread before any task has ended: one may take a twentieth of the typical time.
PRIOR_SPREAD = 1.5


class DurationEstimate(Value, frozen=True, kw_only=True):
    """How long tasks take: half of them less than `median` seconds; `spread` is the deviation of the logarithm.

    The defaults are those of cloud coding tasks: minutes, with a long tail (docs/reference/protocols/codex-wham.md,
    2.3, "Life cycle").
    """

    median: float = 360.0
    spread: float = SMALLEST_SPREAD

    def hazard(self, age: float) -> float:
        """Return how likely a task that runs at *age* is to end in the next second."""
        distance = (math.log(age) - math.log(self.median)) / self.spread
        survival = 0.5 * math.erfc(distance / math.sqrt(2))
        if survival < 1e-9:  # the density underflows: use the tail of a lognormal's hazard
            return distance / (self.spread * age)
        density = math.exp(-distance * distance / 2) / (age * self.spread * math.sqrt(2 * math.pi))
        return density / survival


class Durations(Value, frozen=True, kw_only=True):
    """Statistics of finished tasks: how many, and the mean and squared deviation of the logarithm of seconds."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def with_another(self, seconds: float) -> Durations:
        """Return the statistics with one more task (Welford's update)."""
        value = math.log(max(seconds, 1.0))
        count = self.count + 1
        delta = value - self.mean
        mean = self.mean + delta / count
        return Durations(count=count, mean=mean, squares=self.squares + delta * (value - mean))

    def estimate(self, *, typical: float) -> DurationEstimate:
        """Return the estimate: the initial median of *typical* seconds, corrected by the observed durations."""
        weight = self.count + PRIOR_WEIGHT
        prior = math.log(typical)
        mean = (self.mean * self.count + prior * PRIOR_WEIGHT) / weight
        apart = (self.mean - prior) ** 2 * self.count * PRIOR_WEIGHT / weight
        variance = (self.squares + PRIOR_SPREAD**2 * PRIOR_WEIGHT + apart) / weight
        return DurationEstimate(
            median=math.exp(mean), spread=min(LARGEST_SPREAD, max(SMALLEST_SPREAD, math.sqrt(variance)))
        )
