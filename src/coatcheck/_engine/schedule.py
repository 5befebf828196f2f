"""When to look next, from what is believed about how long such tasks take.

Minimise looks x worth + mean delay, and the best interval at age t is sqrt(2 x worth / hazard(t)): look often when the
task is likely to end now, seldom when it is not. Durations of coding tasks are about lognormal.

How good it is (``bench/schedule.py``; looks x mean delay at 15 looks a task, lognormal, median 6 minutes, spread 0.8;
lower is better): the best any schedule can do 226 s, this one 234 s, and at most 260 s when the believed median is
wrong by a factor of two either way. A fixed interval has 248 s, the usual backoff (1 s x 1.5 to 60 s) 494 s.
"""

from __future__ import annotations

import math

from .. import errors
from .._model.duration_estimate import DurationEstimate
from .._values.value import Value

# The first look comes where 2.3 % of the tasks have ended (2 standard deviations below the median): earlier wastes a
# look, later is late when tasks are twice as fast as believed.
FIRST_POLL = 2.0
# What a look is worth in seconds of earlier news: this gives 15 looks a task at the default belief.
DEFAULT_POLL_COST = 1.07


class Schedule(Value, frozen=True, kw_only=True):
    """The pauses between looks: call it with the task's age in seconds.

    `poll_cost` is how many seconds of earlier news one look is worth; a quarter of it buys twice as many looks. No pause is under `shortest` or over `longest` seconds.
    """

    belief: DurationEstimate = DurationEstimate()
    poll_cost: float = DEFAULT_POLL_COST
    shortest: float = 1.0
    longest: float = 300.0

    def __post_init__(self) -> None:
        if not (self.poll_cost > 0 and 0 < self.shortest <= self.longest and self.belief.median > 0):
            raise errors.ConfigurationError("a schedule needs a positive worth, median and shortest <= longest")

    def __call__(self, age: float) -> float:
        """Return the pause after a look at *age* seconds."""
        first = self.belief.median * math.exp(-FIRST_POLL * self.belief.spread)
        is_early = 2 * age < first  # a first look that jitter brought forward is a first look all the same
        pause = first - age if is_early else math.sqrt(2 * self.poll_cost / self.belief.hazard(max(age, first)))
        return min(self.longest, max(self.shortest, pause))
