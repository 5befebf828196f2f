"""The prompt templates of submissions: which template, in which version, a task was submitted from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._model.tasks import TaskRef
    from .database import Transaction

QUERY = "SELECT template, template_digest FROM submission WHERE provider = ? AND task = ?"


def template_of(transaction: Transaction, ref: TaskRef) -> tuple[str | None, str | None]:
    """Return the name and the SHA-256 of the template of a task's submission, None for both without one."""
    name, digest = transaction.row(QUERY, (ref.provider, ref.id)) or (None, None)
    return name, digest
