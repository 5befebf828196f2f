"""The blocking driver: do what a script asks until it returns.

Law 1. What goes wrong is thrown into the script that asked.
Law 2. However a script ends, its streams are closed and its locks released.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, TypeVar

from .. import errors
from .._protocol.effects import Call, Clock, Emit, Exclusive, Read, Request, Script, Sleep, Together
from .file_locks import HeldLock
from .transport import Transport

T = TypeVar("T")


class Driver:
    """What a blocking script may ask of the world."""

    def __init__(self, transport: Transport, clock: Clock) -> None:
        self._transport, self._clock = transport, clock
        self._answers: Mapping[type, Callable[[Any], Any]] = {
            Request: transport.send,
            Read: lambda effect: effect.stream.read(),
            Sleep: lambda effect: clock.sleep(effect.seconds),
            Call: lambda effect: effect.function(),
            Exclusive: self._exclusive,
            Together: lambda effect: [self._outcome(script) for script in effect.scripts],
        }

    def answer(self, effect: Any) -> Any:
        """Do one thing."""
        return self._answers[type(effect)](effect)

    def _exclusive(self, effect: Exclusive) -> Any:
        held = HeldLock(effect.lock, clock=self._clock)
        try:
            for pause in held.pauses():
                self._clock.sleep(pause)
            return perform(effect.script, self)
        finally:
            held.release()

    def _outcome(self, script: Script[Any]) -> Any:
        try:
            return perform(script, self)
        except errors.CoatcheckError as error:
            return error


def iterate(script: Script[T], driver: Driver) -> Generator[Any, None, T]:
    """Yield what *script* emits and return what it returns."""
    streams: list[Any] = []
    try:
        effect = next(script)
        while True:
            if type(effect) is Emit:
                yield effect.value
                effect = script.send(None)
                continue
            try:
                answer = driver.answer(effect)
            except Exception as error:  # noqa: BLE001 - whatever went wrong is the script's to judge (effects law 4)
                effect = script.throw(error)
            else:
                if (stream := getattr(answer, "stream", None)) is not None:
                    streams.append(stream)
                effect = script.send(answer)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        script.close()
        for stream in streams:
            stream.close()


def perform(script: Script[T], driver: Driver) -> T:
    """Return what *script* returns; what it emits is dropped."""
    steps = iterate(script, driver)
    try:
        while True:
            next(steps)
    except StopIteration as stop:
        result: T = stop.value
        return result
