"""Operations about the attempts of a task, compared with one another."""

from __future__ import annotations

from typing import Any

from ..._model.comparison import compare_attempts
from ..._values.json_fields import to_object
from ..comparison import difference, task_set
from ..views.task import require_entry
from .bodies import PairQuery
from .endpoints import DIFF, TEXT, Call, Endpoint, ref


def compare_task(call: Call) -> Any:
    """Return sizes, equal changes, overlaps, and the files that only one attempt changes."""
    return to_object(compare_attempts(require_entry(call.request).task.attempts))


def get_difference(call: Call) -> Any:
    """Return the diff that leads from the result of one attempt to that of another."""
    return difference(task_set(call.request), call.query.left, call.query.right)


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/tasks/{ref}/comparison", "compareAttempts", "The attempts of a task, compared", compare_task, ref("Comparison"), errors=(404, 502)),
    Endpoint("GET", "/tasks/{ref}/difference", "getDifference", "The difference between the results of two attempts", get_difference, TEXT, PairQuery, media_type=DIFF, errors=(404, 502)),
)  # fmt: skip
