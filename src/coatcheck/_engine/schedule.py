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
from .._model.value import Value

# Believing in less spread than this costs up to 1.7 times when the belief is wrong (``bench/schedule.py``).
SMALLEST_SPREAD = 0.8
LARGEST_SPREAD = 2.0
# The first look comes where 2.3 % of the tasks have ended (2 standard deviations below the median): earlier wastes a
# look, later is late when tasks are twice as fast as believed.
FIRST_LOOK = 2.0


class Belief(Value, frozen=True, kw_only=True):
    """How long tasks take: half of them less than `median` seconds; `spread` is the deviation of the logarithm.

    The defaults are those of cloud coding tasks: minutes, with a long tail (codex-wham.md 2.3, "Life cycle").
    """

    median: float = 360.0
    spread: float = SMALLEST_SPREAD

    def hazard(self, age: float) -> float:
        """Return how likely a task that runs at *age* is to end in the next second."""
        distance = (math.log(age) - math.log(self.median)) / self.spread
        survival = 0.5 * math.erfc(distance / math.sqrt(2))
        if survival < 1e-9:  # so far out that the density underflows: the tail of a lognormal's hazard
            return distance / (self.spread * age)
        density = math.exp(-distance * distance / 2) / (age * self.spread * math.sqrt(2 * math.pi))
        return density / survival


class Schedule(Value, frozen=True, kw_only=True):
    """The pauses between looks: call it with the task's age in seconds.

    `worth` is how many seconds of earlier news one look is worth: 1.07 gives 15 looks a task at the default belief,
    and a quarter of it twice as many. No pause is under `shortest` or over `longest` seconds.
    """

    belief: Belief = Belief()
    worth: float = 1.07
    shortest: float = 1.0
    longest: float = 300.0

    def __post_init__(self) -> None:
        if not (self.worth > 0 and 0 < self.shortest <= self.longest and self.belief.median > 0):
            raise errors.ConfigurationError("a schedule needs a positive worth, median and shortest <= longest")

    def __call__(self, age: float) -> float:
        """Return the pause after a look at *age* seconds."""
        first = self.belief.median * math.exp(-FIRST_LOOK * self.belief.spread)
        if 2 * age < first:  # a first look that jitter brought forward is a first look all the same
            pause = first - age
        else:
            pause = math.sqrt(2 * self.worth / self.belief.hazard(max(age, first)))
        return min(self.longest, max(self.shortest, pause))


class Durations(Value, frozen=True, kw_only=True):
    """What was seen of finished tasks: how many, and the mean and squared deviation of the logarithm of seconds."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def with_another(self, seconds: float) -> Durations:
        """Return what is known after one more task (Welford's update)."""
        value = math.log(max(seconds, 1.0))
        count = self.count + 1
        delta = value - self.mean
        mean = self.mean + delta / count
        return Durations(count=count, mean=mean, squares=self.squares + delta * (value - mean))

    def belief(self, *, prior: Belief | None = None) -> Belief:
        """Return what to believe: the *prior*, moved by what was seen as if it were so many tasks itself."""
        prior = prior or Belief()
        weight = self.count + PRIOR_WEIGHT
        mean = (self.mean * self.count + math.log(prior.median) * PRIOR_WEIGHT) / weight
        apart = (self.mean - math.log(prior.median)) ** 2 * self.count * PRIOR_WEIGHT / weight
        variance = (self.squares + prior.spread**2 * PRIOR_WEIGHT + apart) / weight
        return Belief(median=math.exp(mean), spread=min(LARGEST_SPREAD, max(SMALLEST_SPREAD, math.sqrt(variance))))


# The belief that we start with counts as much as so many finished tasks: a handful moves it, one does not overthrow it.
PRIOR_WEIGHT = 4
