"""The JSON form of errors."""

from __future__ import annotations

import json

import pytest

from coatcheck import Task, TaskRef, TaskSpec, TaskState, errors
from coatcheck._patches.apply_results import AppliedPatch, FileOutcome
from coatcheck._patches.policy import Finding

REF = TaskRef("codex", "t")
FINDING = Finding(rule="outside", path="../x", detail="it leaves the tree")
OUTCOME = FileOutcome(path="f", status="conflicted", kind="misfit")


@pytest.mark.parametrize(
    ("error", "details"),
    [
        (errors.ConfigurationError("x"), {}),
        (errors.RefreshError("x", reason="expired"), {"reason": "expired"}),
        (errors.TransportError("x", request_sent=False), {"request_sent": False}),
        (errors.NotFoundError("x", status=404, request_id="r"), {"status": 404, "request_id": "r"}),
        (errors.RateLimitError("x", retry_after=2.5), {"status": 429, "retry_after": 2.5}),
        (errors.UnreadableResponseError("x", path="$.a"), {"status": 200, "path": "$.a"}),
        (errors.ListUnfinishedError("x", cursor="c"), {"cursor": "c"}),
        (errors.WaitTimeoutError("x", ref=REF), {"ref": "codex:t"}),
        (errors.PatchError("x", line=3), {"line": 3}),
        (errors.PatchRejectedError("x", reasons=[FINDING]), {"reasons": [FINDING.to_dict()]}),
        (
            errors.PatchConflictError("x", files=["f"], result=AppliedPatch(files=(OUTCOME,))),
            {"files": ["f"], "result": AppliedPatch(files=(OUTCOME,)).to_dict()},
        ),
        (
            errors.TaskFailedError("x", task=Task(ref=REF, state=TaskState.FAILED)),
            {"ref": "codex:t", "task": Task(ref=REF, state=TaskState.FAILED).to_dict()},
        ),
        (
            errors.SubmissionUncertainError("x", spec=TaskSpec(prompt="p"), candidates=[REF]),
            {"spec": TaskSpec(prompt="p").to_dict(), "candidates": ["codex:t"]},
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_is_a_document(error: errors.CoatcheckError, details: dict[str, object]) -> None:
    """Type, message, remedy and every attribute that has a value are plain data."""
    document = json.loads(json.dumps(error.to_dict()))
    present = {name: value for name, value in document.pop("details").items() if value != []}

    assert ({"type": type(error).__name__, "message": "x", "remedy": None}, details) == (document, present)


def test_a_note_is_no_detail_of_an_error() -> None:
    """What a driver adds for tracebacks is not in the document."""
    error = errors.TransportError("x", request_sent=False)
    error.add_note("while fetching codex:t")

    assert error.to_dict()["details"] == {"request_sent": False}
