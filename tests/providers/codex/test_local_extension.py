"""What the local cloud adds to WHAM's responses is read where it can be, and changes nothing else."""

from __future__ import annotations

import msgspec
import pytest

from coatcheck import Task, TaskRef, TaskState
from coatcheck.provider import Page
from coatcheck.providers.codex.local_extension import with_details, with_list

TASK = Task(ref=TaskRef("local", "t1"), state=TaskState.RUNNING, raw_state="in_progress")
REQUEST = {
    "id": "p1",
    "title": "execute: make",
    "options": [{"id": "yes", "label": "Yes", "effect": "approve"}],
    "expires_at": "2026-11-28T15:04:05Z",
}


def test_a_task_that_waits_for_a_permission_needs_input() -> None:
    """With its requests, and what its agent has used as a notice, in details and in lists."""
    extension = {"permission_requests": [REQUEST], "usage": "12 tokens"}
    details = msgspec.json.encode({"task": {}, "coatcheck": extension})
    page = msgspec.json.encode({"items": [{"id": "t1", "coatcheck": extension}, {"id": "t2"}]})
    other = msgspec.structs.replace(TASK, ref=TaskRef("local", "t2"))
    listed = with_list(Page(items=(TASK, other)), page).items
    tasks = [with_details(TASK, details), listed[0]]

    assert [(TaskState.INPUT_REQUIRED, "execute: make", "12 tokens")] * 2 == [
        (task.state, task.permission_requests[0].title, task.notices[0].text) for task in tasks
    ]
    assert other == listed[1]


@pytest.mark.parametrize(
    "member",
    [None, 3, [], {"permission_requests": 3}, {"permission_requests": [{"id": 1}, {"title": "no id"}]}, {"usage": []}],
)
def test_what_cannot_be_read_changes_nothing(member: object) -> None:
    """Another type, a request without its fields, and a member of a newer version."""
    details = msgspec.json.encode({"task": {}, "coatcheck": member})
    page = msgspec.json.encode({"items": [{"id": "t1", "coatcheck": member}]})

    assert (TASK, (TASK,)) == (with_details(TASK, details), with_list(Page(items=(TASK,)), page).items)
