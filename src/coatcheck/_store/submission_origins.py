"""Where a task's submission came from: the prompt template, in which version, and the trace context."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._model.tasks import TaskRef
    from .database import Transaction

TEMPLATE = "SELECT template, template_digest FROM submission WHERE provider = ? AND task = ?"
TRACEPARENT = "SELECT traceparent FROM submission WHERE provider = ? AND task = ?"


def template_of(transaction: Transaction, ref: TaskRef) -> tuple[str | None, str | None]:
    """Return the name and the SHA-256 of the template of a task's submission, None for both without one."""
    name, digest = transaction.row(TEMPLATE, (ref.provider, ref.id)) or (None, None)
    return name, digest


def traceparent_of(transaction: Transaction, ref: TaskRef) -> str | None:
    """Return the trace context in which a task was submitted, None where it was submitted without one."""
    value: str | None
    (value,) = transaction.row(TRACEPARENT, (ref.provider, ref.id)) or (None,)
    return value
