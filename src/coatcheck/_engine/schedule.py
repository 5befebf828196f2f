"""When to poll next, from an estimate of how long such tasks take.

To minimize polls x cost + mean delay, the best interval at age t is sqrt(2 x cost / hazard(t)): poll often when the
task is likely to end now, seldom when it is not. Durations of coding tasks are about lognormal.

How good it is (``bench/schedule.py``; polls x mean delay at 15 polls a task, lognormal, median 6 minutes, spread 0.8;
lower is better): this schedule 235 s, and at most 257 s when the estimated median is wrong by a factor of two either
way. A fixed interval has 257 s, exponential backoff (1 s x 1.5 to 60 s, 18 polls a task) 525 s.
"""

from __future__ import annotations

import math

from .. import errors
from .._model.duration_estimate import DurationEstimate
from .._values.value import Value

# The first poll is when 2.3 % of the tasks have ended (2 standard deviations below the median): an earlier one is
# wasted, a later one is late when tasks are twice as fast as estimated.
FIRST_POLL = 2.0
# The delay in seconds that one poll is worth: this gives 15 polls a task with the default estimate.
DEFAULT_POLL_COST = 1.07


class Schedule(Value, frozen=True, kw_only=True):
    """The pauses between polls: call it with the task's age in seconds.

    `poll_cost` is how many seconds of delay one poll is worth; a quarter of it gives twice as many polls. No pause is under `shortest` or over `longest` seconds.
    """

    belief: DurationEstimate = DurationEstimate()
    poll_cost: float = DEFAULT_POLL_COST
    shortest: float = 1.0
    longest: float = 300.0

    def __post_init__(self) -> None:
        if not (self.poll_cost > 0 and 0 < self.shortest <= self.longest and self.belief.median > 0):
            raise errors.ConfigurationError("a schedule needs a positive poll_cost, median and shortest <= longest")

    def __call__(self, age: float) -> float:
        """Return the pause after a poll at *age* seconds."""
        first = self.belief.median * math.exp(-FIRST_POLL * self.belief.spread)
        is_early = 2 * age < first  # jitter may bring the first poll forward
        pause = first - age if is_early else math.sqrt(2 * self.poll_cost / self.belief.hazard(max(age, first)))
        return min(self.longest, max(self.shortest, pause))
