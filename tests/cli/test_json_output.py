from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from coatcheck import errors
from coatcheck._cli import json_output
from coatcheck._cli.json_output import ERROR_DETAILS, dump, dump_line, error_document, to_object
from coatcheck._model.states import TaskState
from coatcheck._model.tasks import Task, TaskRef, TaskSpec
from coatcheck._patches.parse import Patch

REF = TaskRef("codex", "task_e_1")
TASK = Task(ref=REF, state=TaskState.UNKNOWN)


def test_the_documented_fields_are_present() -> None:
    """The names that scripts rely on are present."""
    assert {"ref", "state", "raw_state", "title", "url", "error", "attempts"} <= set(TASK.to_dict())


def test_a_summary_has_no_outcomes() -> None:
    """`status` and `list` leave out what only `show` and `wait` have."""
    assert {"outcome"} == set(to_object(TASK)) - set(to_object(TASK, is_summary=True))


@pytest.mark.parametrize("state", TaskState)
def test_states_are_lower_case_words(state: TaskState) -> None:
    """A state is the lower-case word of TaskState."""
    assert state.name.lower() == to_object(Task(ref=REF, state=state))["state"]


def test_times_are_rfc_3339() -> None:
    """Times are in UTC, to be read by any program."""
    task = Task(ref=REF, state=TaskState.RUNNING, created_at=datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC))

    assert "2026-09-21T14:13:20Z" == json.loads(dump(to_object(task)))["created_at"]


def test_every_document_names_its_schema() -> None:
    """Every document and every line of a stream has the schema."""
    assert "coatcheck/1" == json.loads(dump({}))["schema"] == json.loads(dump_line({}))["schema"]


def test_a_line_is_a_line() -> None:
    """A streamed document is one line."""
    assert 1 == dump_line({"text": "a\nb"}).count(b"\n")


def test_what_utf8_cannot_encode_is_escaped() -> None:
    """A file name of other bytes does not break the document."""
    assert ["\\udcff"] == json.loads(dump({"files": ["\udcff"]}))["files"]


def test_patches_of_other_bytes_are_readable() -> None:
    """The text of a patch shows bytes that are not UTF-8; `diff` prints them unchanged."""
    assert "+\\xff\n" == json_output.patch_text(Patch(b"+\xff\n"))


def test_errors_have_their_data() -> None:
    """An error document has the class, the exit code and the data of the error."""
    error = errors.RateLimitError("slow down", retry_after=12.5, remedy="wait")

    assert {
        "type": "RateLimitError",
        "code": "rate_limited",
        "exit_code": 6,
        "message": "slow down",
        "remedy": "wait",
        "status": 429,
        "retry_after": 12.5,
        "details": {"status": 429, "retry_after": 12.5},
    } == error_document(error)["error"]


def test_every_detail_belongs_to_some_error() -> None:
    """The documented details are attributes of errors."""
    source = set(vars(errors.SubmissionUncertainError(spec=None, candidates=()))) | {"ref", "status", "detail"}  # type: ignore[arg-type]
    source |= {"request_id", "retry_after", "reason", "path", "line", "reasons", "files"}

    assert set(ERROR_DETAILS) <= source


@pytest.mark.parametrize(
    "error",
    [
        errors.NotFoundError("x", status=404, detail="d", remedy="r"),
        errors.RateLimitError(retry_after=3.0),
        errors.SubmissionUncertainError(spec=TaskSpec(prompt="p"), candidates=[TaskRef("codex", "t")]),
        errors.PatchConflictError("x", files=["a", "b"]),
        errors.RefreshError("x", reason="expired"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_the_error_document_has_all_of_to_dict(error: errors.CoatcheckError) -> None:
    """The error document has the fields of `CoatcheckError.to_dict`, and its exit code."""
    document = json.loads(dump(error_document(error)))["error"]
    expected = json.loads(json.dumps(error.to_dict()))

    assert expected == {name: document[name] for name in expected}
