from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from coatcheck import TaskState, errors
from coatcheck._protocol.effects import Response
from coatcheck.providers.jules import extract
from coatcheck.providers.jules.endpoints import Service
from coatcheck.providers.jules.extract import task_from

from .jules_support import recorded

SERVICE = Service("https://jules.googleapis.com/v1alpha")


def answer(body: object) -> Response:
    """Return a response with a JSON body."""
    return Response(200, body=body if isinstance(body, bytes) else msgspec.json.encode(body))


def read(body: object, *, activities: object = None) -> extract.Task:
    """Return the task of a session."""
    return task_from(answer(body), SERVICE, activities=None if activities is None else answer(activities))


def happened(*kinds: str) -> dict[str, object]:
    """Return a list of activities of these kinds by the agent, a second apart."""
    moment = "2026-09-01T10:00:0{}Z"
    payload = {"planGenerated": {"plan": {"id": "p"}}}
    found = [
        {"id": str(n), "createTime": moment.format(n), "originator": "agent", kind: payload.get(kind, {})}
        for n, kind in enumerate(kinds)
    ]
    return {"activities": found}


def test_a_session_is_read() -> None:
    """Times with nine digits, branch, source, archived; outputs in any order, unknown kinds beside them."""
    task = read(recorded("session_completed_pull_request"))

    assert datetime(2026, 9, 1, 10, 0, 0, 123456, UTC) == task.created_at
    assert ("sources/github/owner/repo", "main", True) == (task.environment, task.branch, task.is_archived)
    assert ("4b825dc642cb6eb9a060e54bf8d69288fbee4904", 7) == (
        task.outcome.base_commit,
        task.outcome.pull_request.number,
    )


def test_what_is_missing_is_the_default() -> None:
    """Proto3 leaves out false and empty; a session may have no source, title or URL."""
    task = read({"id": "7"})

    assert ("jules:7", TaskState.UNKNOWN, None, False) == (str(task.ref), task.state, task.raw_state, task.is_archived)
    assert "https://jules.google.com/session/7" == task.url


def test_an_id_may_be_in_the_name() -> None:
    """Both forms give the same id."""
    assert "jules:8" == str(read({"name": "sessions/8"}).ref)


def test_a_session_without_an_id_is_unreadable() -> None:
    """Such a session could not be polled."""
    with pytest.raises(errors.UnreadableResponseError) as caught:
        read({"state": "QUEUED"})

    assert "$.id" == caught.value.path


@pytest.mark.parametrize(
    ("kinds", "state", "notices"),
    [
        (["planGenerated"], TaskState.INPUT_REQUIRED, []),
        (["planGenerated", "progressUpdated"], TaskState.INPUT_REQUIRED, []),
        (["planGenerated", "planApproved"], TaskState.SUCCEEDED, ["nothing_made"]),
        (["planGenerated", "sessionCompleted"], TaskState.SUCCEEDED, []),
        (["planApproved", "planGenerated"], TaskState.INPUT_REQUIRED, []),
        (["sessionCompleted"], TaskState.SUCCEEDED, []),
        (["sessionCompleted", "progressUpdated"], TaskState.SUCCEEDED, ["revived"]),
        (["sessionCompleted", "userMessaged", "sessionCompleted"], TaskState.SUCCEEDED, []),
        ([], TaskState.SUCCEEDED, ["nothing_made"]),
    ],
)
def test_what_completed_means_is_in_the_activities(kinds: list[str], state: TaskState, notices: list[str]) -> None:
    """An open plan waits, an end is an end, and activity after the end is a revival."""
    activities = happened(*kinds)
    for activity in activities["activities"]:  # type: ignore[attr-defined]
        if "userMessaged" in activity:
            activity["originator"] = "user"
    task = read({"id": "1", "state": "COMPLETED"}, activities=activities)

    assert (state, notices) == (task.state, [notice.kind for notice in task.notices])


def test_an_output_means_that_no_plan_waits() -> None:
    """A session with an output was not waiting."""
    session = msgspec.json.decode(recorded("session_completed_pull_request"))

    assert TaskState.SUCCEEDED is read(session, activities=happened("planGenerated")).state


def test_without_activities_there_are_no_notices() -> None:
    """A list item has none."""
    assert () == read({"id": "1", "state": "COMPLETED"}).notices


def test_a_diff_that_cannot_be_read_is_kept_and_has_no_files() -> None:
    """The bytes are kept, and verifying reports the error."""
    patch = {"unidiffPatch": "diff --git a/x b/x\n--- /dev/null\n+++ b/x\n@@ -0,0 +1,9 @@\n+x\n"}
    task = read({"id": "1", "state": "COMPLETED", "outputs": [{"changeSet": {"gitPatch": patch}}]})

    assert (True, ()) == (bool(task.outcome.patch), task.outcome.files)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"name": "sources/x"}, ("sources/x", None, (), None)),
        ({"name": "sources/x", "id": "x", "githubRepo": {}}, ("sources/x", "x", (), None)),
        (
            {"name": "s", "githubRepo": {"owner": "o", "repo": "r", "defaultBranch": {"displayName": "d"}}},
            ("s", "o/r", ("o/r",), "d"),
        ),
    ],
)
def test_a_source_is_an_environment(source: object, expected: tuple[object, ...]) -> None:
    """Its name is what is sent; owner and repository are what people call it."""
    ((found, *_), _) = extract.sources(answer({"sources": [source]}))

    assert expected == (found.id, found.label, found.repositories, found.default_branch)


def test_a_source_without_a_name_is_unreadable() -> None:
    """There would be nothing to send."""
    with pytest.raises(errors.UnreadableResponseError):
        extract.sources(answer({"sources": [{}]}))
