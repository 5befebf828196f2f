"""Read a task's patch, and compare what its attempts changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from .outcomes import choose_patch, load_patch
from .patch_files import read_text

if TYPE_CHECKING:
    from .._model.comparison import Comparison
    from .._model.outcome import Attempt, Outcome
    from .._model.tasks import Task, TaskRef
    from .._patches.compare import Overlap
    from .._patches.parse import Patch
    from .._patches.repair_rows import Repair
    from .patch_files import PatchOptions
    from .task_history import TaskReader


class TaskPatch(NamedTuple):
    """A task's patch; `number` is its attempt, None where the task has one."""

    task: Task
    number: int | None
    outcome: Outcome
    patch: Patch
    repairs: tuple[Repair, ...] = ()


class AttemptDifference(NamedTuple):
    """How the changes of two attempts differ; `diff` is a diff of their diffs, empty where both are the same change."""

    numbers: tuple[int, int]
    is_same_change: bool
    overlap: Overlap
    diff: str


class AttemptReview(NamedTuple):
    """The attempts of a task, and the comparison of their changes."""

    attempts: Sequence[Attempt]
    comparison: Comparison


def read_patch(reader: TaskReader, ref: TaskRef, number: int | None, options: PatchOptions | None = None) -> TaskPatch:
    """Return the patch of attempt *number*, else of the first one that has a diff, read as *options* choose."""
    from .._patches.parse import Patch

    task = reader.get_task(ref)
    number, outcome, _ = load_patch(reader, task, number)
    patch = outcome.patch or Patch(b"")
    if options is None or not (options.repair or options.strip is not None or options.directory is not None):
        return TaskPatch(task, number, outcome, patch)
    return TaskPatch(task, number, outcome, *read_text(bytes(patch), options))


def compare_two(reader: TaskReader, ref: TaskRef, numbers: tuple[int, int]) -> AttemptDifference:
    """Return how the second of two attempts differs from the first."""
    task = reader.get_task(ref)
    attempts = reader.list_attempts(task)
    left, right = (choose_patch(task, attempts, number).outcome for number in numbers)
    names = str(numbers[0]), str(numbers[1])
    return AttemptDifference(
        numbers, left.is_same_change(right), left.overlap(right), left.diff_of_diffs(right, names=names)
    )


def review_attempts(reader: TaskReader, ref: TaskRef) -> AttemptReview:
    """Return every attempt of a task, and what is the same and what differs in their changes."""
    from .._model.comparison import compare_attempts

    attempts = reader.list_attempts(ref)
    return AttemptReview(attempts, compare_attempts(attempts))
