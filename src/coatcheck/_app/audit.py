"""The record of what was changed over HTTP, in the log of events beside the decisions of gates.

Guarantee: what was sent or applied is never undone or reported as failed because it could not be recorded.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, TypeAlias

from .. import errors
from .._model.review_events import ActionPerformed
from .gates import login_name

if TYPE_CHECKING:
    from .._protocol.effects import Clock
    from .._store.events import EventLog

Action: TypeAlias = Literal[
    "submit", "message", "cancel", "apply", "undo", "check", "choose", "deliver", "replay", "switch", "test"
]
Channel: TypeAlias = Literal["web", "api"]
LOGGER = logging.getLogger("coatcheck")


def record_action(
    log: EventLog, clock: Clock, action: Action, subject: str, *, via: Channel, text: str | None = None
) -> None:
    """Record that the user of this process has changed *subject*.

    A subject is the ref of a task, ``review:NAME``, ``fleet:NAME``, ``hook:ID``, or
    ``checkout:FOLDER``.
    """
    moment = datetime.fromtimestamp(clock.time(), UTC)
    event = ActionPerformed(subject=subject, action=action, by=login_name(), via=via, at=moment, text=text)
    try:
        log.append([event])
    except errors.StoreError as error:
        LOGGER.warning("%s of %s is not in the log of events: %s", action, subject, error)
