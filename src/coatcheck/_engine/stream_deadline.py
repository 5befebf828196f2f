"""The deadline of a stream, which a service may send without end."""

from __future__ import annotations

from typing import Any

import msgspec

from .. import errors
from .._model.tasks import TaskRef
from .._protocol.effects import Clock, Receive, Request, Script
from .deadline import Deadline
from .poll_context import timeout_error


def run_until(script: Script[None], ref: TaskRef, timeout: float | None, *, clock: Clock) -> Script[None]:
    """Run the script of a stream until *timeout*: a service may send for ever. Raises `WaitTimeoutError` then."""
    deadline = Deadline(timeout, clock=clock)
    answer: Any = None
    try:
        effect = next(script)
        while True:
            if deadline.is_past:
                raise timeout_error(ref, timeout, None)
            if type(effect) is Request and effect.stream and timeout is not None:
                effect = msgspec.structs.replace(effect, timeout=deadline.remaining)
            elif type(effect) is Receive:
                effect = deadline.limited(effect)
            try:
                answer = yield effect
            except Exception as error:  # noqa: BLE001 - the script may handle any error
                effect = script.throw(error)
            else:
                effect = script.send(answer)
    except StopIteration:
        return
    except errors.TransportTimeoutError:
        if deadline.is_past:  # what is left of the timeout is the limit of the request as well
            raise timeout_error(ref, timeout, None) from None
        raise
    finally:
        script.close()
