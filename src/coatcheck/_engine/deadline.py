"""How long a whole wait may take. A deadline stops the waiting, never the work."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import msgspec

from .._protocol.effects import Clock, Receive, Request, Script, Sleep

T = TypeVar("T")

# A deadline that is further away than this (seconds) limits no request: transports have shorter limits of their own.
NEAR = 300.0
# A request gets at least this many seconds, so that the poll at the deadline can succeed.
SHORTEST = 0.5


class Deadline:
    """A moment on a monotonic clock; with *seconds* None there is no deadline."""

    __slots__ = ("_at", "_clock")

    def __init__(self, seconds: float | None, *, clock: Clock) -> None:
        self._clock = clock
        self._at = math.inf if seconds is None else clock.monotonic() + seconds

    @property
    def is_past(self) -> bool:
        """Whether the moment has passed."""
        return self.remaining <= 0

    @property
    def is_finite(self) -> bool:
        """Whether there is a deadline."""
        return self._at != math.inf

    @property
    def remaining(self) -> float:
        """Return the seconds left, infinite without a deadline."""
        return self._at - self._clock.monotonic()

    def limited(self, effect: Receive) -> Receive:
        """Return *effect* with the time that is left, where that is less."""
        if effect.timeout <= self.remaining:
            return effect
        return msgspec.structs.replace(effect, timeout=max(self.remaining, SHORTEST))

    def limiting(self, script: Script[T]) -> Script[T]:
        """Return *script* so that its requests, waits for messages and pauses end with the deadline, where that is near."""
        return self._limited(script) if self.remaining < NEAR else script

    def _limited(self, script: Script[T]) -> Script[T]:
        answer: Any = None
        error: BaseException | None = None
        try:
            while True:
                effect = script.send(answer) if error is None else script.throw(error)
                if type(effect) is Request:
                    effect = msgspec.structs.replace(effect, at_most=max(self.remaining, SHORTEST))
                elif type(effect) is Receive:
                    effect = self.limited(effect)
                elif type(effect) is Sleep:
                    effect = Sleep(min(effect.seconds, max(self.remaining, 0.0)))
                answer = error = None
                try:
                    answer = yield effect
                except Exception as raised:  # noqa: BLE001 - the script may handle any error
                    error = raised
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            script.close()
