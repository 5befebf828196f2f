"""Candidates: the changes that compete to be chosen for the same work.

A candidate is an attempt of a task, or a patch file. What was not delivered has an `error` instead of a patch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from .._values.json_fields import bytes_text
from .._values.value import JsonFields, Value

if TYPE_CHECKING:
    from datetime import datetime

    from .._model.tasks import TaskRef
    from .._model.usage import Usage
    from .._patches.parse import Patch


class Candidate(Value, frozen=True, kw_only=True):
    """A change that competes with others.

    `name` is unique among the candidates of a review: the ref with the number of the attempt (``codex:task_1/2``), or
    the path of a patch file. `base` is the commit that the patch was made on, None where nobody reported one.
    `error` says why there is no patch: the task failed, was cancelled, or has changed nothing.
    """

    name: str
    patch: Patch | None = None
    base: str | None = None
    ref: TaskRef | None = None
    attempt: int | None = None
    title: str | None = None
    ended_at: datetime | None = None
    usage: Usage | None = None
    error: str | None = None

    _hidden: ClassVar[frozenset[str]] = frozenset({"patch"})
    _json: ClassVar[JsonFields] = {
        "name": "unique among the candidates of a review",
        "ref": "the task, null for a patch file",
        "attempt": "number of the attempt, where the task has several",
        "base": "the commit that the patch was made on, where it is known",
        "title": "title of the task",
        "ended_at": "when the task ended",
        "usage": "usage object, where the service reports it",
        "error": "why there is no patch",
        "patch": "the diff as text",
        "patch_base64": (
            "the diff's bytes as base64, only where they are not UTF-8",
            lambda c: c.patch and bytes_text(bytes(c.patch)),
        ),
    }
