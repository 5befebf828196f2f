from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec
import pytest
from hypothesis import given, strategies as st

from coatcheck import Task, TaskRef, TaskState, Usage, errors
from coatcheck._model.tasks import Page
from coatcheck._protocol.effects import Response
from coatcheck.providers.codex import extract
from coatcheck.providers.codex.rate_limits import usage

from .exchange_support import DATA, PROVIDER, recorded

SERVICE = PROVIDER.service
THREE = recorded("details_completed_pr_three_attempts")
SIBLINGS = recorded("sibling_turns_of_three_attempts")
TASK = "task_e_00000000000000000000000000000002"
TURN = f"{TASK}~assttrn_e_0000000000000000000000000000000"


def details(**top: object) -> Task:
    """Return the task of the smallest details with *top* in them."""
    return PROVIDER.extract_response(json.dumps({"task": {"id": "t"}, **top}).encode())


def changed(body: bytes, *path: str | int, to: object) -> bytes:
    """Return *body* with the value at *path* replaced."""
    document = json.loads(body)
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return json.dumps(document).encode()


# -- states ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("word", "state"), extract.STATES.items())
def test_every_native_state_has_a_state(word: str, state: TaskState) -> None:
    """A turn's status and the older `state` share one table; the native state is kept.

    See docs/reference/protocols/codex-wham.md, "3 Status model".
    """
    shown = details(task_status_display={"latest_turn_status_display": {"turn_status": word}})
    older = details(task_status_display={"state": word})
    bare = details(current_assistant_turn={"turn_status": word})

    assert [(state, word)] * 3 == [(task.state, task.raw_state) for task in (shown, older, bare)]


@pytest.mark.parametrize(
    ("display", "turn", "raw_state"),
    [
        ({"latest_turn_status_display": {"turn_status": "COMPLETED"}, "state": "ready"}, "completed", "COMPLETED"),
        ({"latest_turn_status_display": {"turn_status": 5}, "state": "ready"}, "failed", "ready"),
        ({"latest_turn_status_display": "x", "state": "ready"}, "failed", "ready"),
        ({"latest_turn_status_display": None, "state": 5}, "failed", "failed"),
        ({}, "in_progress", "in_progress"),
        (None, "in_progress", "in_progress"),
        ({}, None, None),
    ],
)
def test_the_first_source_of_the_state_decides(display: object, turn: object, raw_state: str | None) -> None:
    """Turn status shown, then `state`, then the turn's; an unknown state is not skipped.

    See docs/reference/protocols/codex-wham.md, "3 Status model".
    """
    task = details(task_status_display=display, current_assistant_turn={"turn_status": turn})

    assert (raw_state, extract.STATES.get(raw_state or "", TaskState.UNKNOWN)) == (task.raw_state, task.state)


def test_a_display_at_the_top_hides_the_tasks() -> None:
    """The task's display counts only where the top-level key is absent; null hides it.

    See docs/reference/protocols/codex-wham.md, "2.3 GET /wham/tasks/{task_id}".
    """
    own = {"id": "t", "task_status_display": {"state": "ready"}}

    assert ["ready", None, "error"] == [
        details(task=own).raw_state,
        details(task=own, task_status_display=None).raw_state,
        details(task=own, task_status_display={"state": "error"}).raw_state,
    ]


# -- what a task says --------------------------------------------------------------------------------------------------


def test_a_finished_task_has_all_details() -> None:
    """The task has every documented field of the details."""
    task = PROVIDER.extract_response(THREE)

    assert {
        "ref": TaskRef("codex", TASK),
        "url": f"https://chatgpt.com/codex/tasks/{TASK}",
        "title": "Add dark mode",
        "prompt": "Add dark mode support",
        "mode": "code",
        "environment": "e0000000000000000000000000000001",
        "environment_label": "owner/repo",
        "repository": "owner/repo",
        "branch": "main",
        "created_at": datetime(2026, 9, 29, 23, 14, 10, 380744, tzinfo=UTC),
        "updated_at": datetime(2026, 9, 29, 23, 17, 30, 380744, tzinfo=UTC),
        "started_at": datetime(2026, 9, 29, 23, 14, 13, 380744, tzinfo=UTC),
        "model": "slug",
        "progress": "Completing the task",
        "attempt_total": 3,
        "is_archived": False,
        "is_unread": False,
        "follow_ups": 0,
        "raw": THREE,
    }.items() <= msgspec.structs.asdict(task).items()


def test_the_model_that_ran_comes_before_the_one_requested() -> None:
    """`model_version` is the model that ran; the user's slug is the requested one.

    See docs/reference/protocols/codex-wham.md, "2.3 GET /wham/tasks/{task_id}" and "10 Models, 0.169.0".
    """
    ran = changed(THREE, "current_assistant_turn", "model_version", to="gpt-5.6-sol")

    assert ["gpt-5.6-sol", "slug"] == [PROVIDER.extract_response(body).model for body in (ran, THREE)]


def test_an_older_record_is_read_as_well() -> None:
    """Bare strings as parts, `state` instead of a turn status, `updated_at` and `environment_id` in the task."""
    task = PROVIDER.extract_response(recorded("details_older_shape_output_diff"))

    assert ("applied", "Say hello\n\npolitely", "env_alpha", False) == (
        task.raw_state,
        task.prompt,
        task.environment,
        task.is_review,
    )


def test_a_failed_task_has_its_error() -> None:
    """The turn's error is the task's, as `code: message`, and raising for it has both."""
    task = PROVIDER.extract_response(recorded("details_failed"))

    with pytest.raises(errors.TaskFailedError, match="env_setup_failed: setup script exited with 1"):
        task.raise_for_state()


def test_pull_requests_are_the_tasks_and_the_turns() -> None:
    """A pull request on the host is listed with the task, and completes the outcome of the turn that it names."""
    external = json.loads(recorded("list_page_1"))["items"][1]["pull_requests"][0]
    with_it = changed(THREE, "task", "external_pull_requests", to=[external])
    task = PROVIDER.extract_response(with_it)
    other = PROVIDER.extract_response(
        with_it.replace(b'_e_00000000000000000000000000000001", "codex_up', b'_e_x", "codex_up')
    )

    assert (18, 18, "Add dark mode", "https://github.com/owner/repo/pull/18", "open", True, False) == (
        task.pull_requests[0].number,
        task.outcome.pull_request.number,
        task.outcome.pull_request.title,
        task.outcome.pull_request.url,
        task.outcome.pull_request.state,
        task.outcome.pull_request.draft,
        task.outcome.pull_request.is_merged,
    )
    assert (18, None) == (other.pull_requests[0].number, other.outcome.pull_request.number)


def test_a_saved_answer_without_an_id_is_unreadable() -> None:
    """Without a requested ref, the response must name its task."""
    with pytest.raises(errors.UnreadableResponseError) as raised:
        PROVIDER.extract_response(b"{}")

    assert "$.task.id" == raised.value.path


# -- attempts ----------------------------------------------------------------------------------------------------------


def test_attempts_are_known_before_their_outcomes() -> None:
    """The details name every attempt; the siblings' states and outcomes are not known from them."""
    task = PROVIDER.extract_response(THREE)

    assert [
        (1, f"{TURN}1", TaskState.SUCCEEDED, True),
        (2, f"{TURN}2", TaskState.UNKNOWN, False),
        (3, f"{TURN}3", TaskState.UNKNOWN, False),
    ] == [(a.number, a.id, a.state, a.outcome is not None) for a in task.attempts]


def test_siblings_have_outcomes() -> None:
    """With the saved siblings, each attempt has its message, patch and error, in any order."""
    attempts = PROVIDER.extract_response(THREE, SIBLINGS).attempts

    assert ["Add dark mode", "Add a dark class", None] == [
        a.outcome.pull_request and a.outcome.pull_request.title for a in attempts
    ]
    assert [None, None, "internal_error: container exited"] == [
        a.outcome.error and str(a.outcome.error) for a in attempts
    ]


def test_the_current_turn_is_counted_once() -> None:
    """A server that lists the current turn among its siblings adds no attempt.

    See docs/reference/protocols/codex-wham.md, "2.4 GET /wham/tasks/{task_id}/turns/{turn_id}/sibling_turns".
    """
    current = json.loads(THREE)["current_assistant_turn"]
    document = json.loads(SIBLINGS)
    document["sibling_turns"].append(current)
    task = PROVIDER.extract_response(THREE, json.dumps(document).encode())

    assert ([1, 2, 3], 3) == ([attempt.number for attempt in task.attempts], task.attempt_total)


def test_attempts_without_a_placement_take_the_free_numbers() -> None:
    """A sibling without a placement gets the first free number; without an id it is dropped."""
    siblings = {"sibling_turns": [{"id": "x"}, {"id": "y", "attempt_placement": 1}, {"turn_status": "failed"}]}
    task = PROVIDER.extract_response(THREE, json.dumps(siblings).encode())

    assert [(1, f"{TURN}1"), (2, "y"), (3, "x")] == [(attempt.number, attempt.id) for attempt in task.attempts]


def test_the_attempt_of_a_turn_without_a_status_follows_the_task() -> None:
    """Where the turn has no state, the attempt has the displayed state of the task."""
    task = details(task_status_display={"state": "ready"}, current_assistant_turn={"id": "a"})

    assert TaskState.SUCCEEDED == task.attempts[0].state


# -- the list ----------------------------------------------------------------------------------------------------------


def test_a_page_lists_tasks() -> None:
    """States, times, sizes, pull requests and the number of attempts are in the list; prompts and outcomes are not."""
    page = extract.page(Response(200, body=recorded("list_page_1")), SERVICE)
    first, second = page.items

    assert ("ask", None, 1, False) == (first.mode, first.stats, first.attempt_total, first.is_review)
    assert ("code", 1, 2, True, 18) == (
        second.mode,
        second.stats.added,
        second.attempt_total,
        second.is_review,
        second.pull_requests[0].number,
    )


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"files_modified": 1, "lines_added": -2, "lines_removed": "3"}, (1, 0, 0)),
        ({"files_modified": 1.5}, None),
        ({}, None),
        ("x", None),
    ],
)
def test_sizes_are_integers_or_nothing(counts: object, expected: tuple[int, int, int] | None) -> None:
    """Negative counts are 0, floats and texts are ignored, as in the official client.

    See docs/reference/protocols/codex-wham.md, "3 Status model".
    """
    stats = details(task_status_display={"latest_turn_status_display": {"diff_stats": counts}}).stats

    assert expected == (stats and (stats.files, stats.added, stats.removed))


def test_one_item_without_an_id_is_named() -> None:
    """An item without an id is an error that names its place."""
    with pytest.raises(errors.UnreadableResponseError) as raised:
        extract.page(Response(200, body=b'{"items":[{"id":"a"},{"title":"b"}]}'), SERVICE)

    assert "$.items[1].id" == raised.value.path


# -- whatever comes ----------------------------------------------------------------------------------------------------

Reader: TypeAlias = Callable[[bytes], object]


def _with_siblings(body: bytes) -> Task:
    return PROVIDER.extract_response(THREE, body)


READERS: dict[str, Reader] = {
    "details": PROVIDER.extract_response,
    "create": lambda body: extract.task_from_created(Response(200, body=body), SERVICE),
    "list": lambda body: extract.page(Response(200, body=body), SERVICE),
    "sibling": _with_siblings,
    "usage": lambda body: usage(Response(200, body=body)),
}
TRANSCRIPTS = sorted(path.stem for path in DATA.glob("*.json") if path.stem.partition("_")[0] in READERS)
MISSING = object()
WRONG = (MISSING, None, True, 5, -1.5, 10**30, "a_new_word", "", [], [None], ["x"], {}, {"id": 5})


def places(value: Any, path: str = "$") -> Iterator[tuple[Any, Any, str]]:
    """Yield every (container, key, path) of a document."""
    keys = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(keys):
        here = f"{path}.{key}" if isinstance(value, dict) else f"{path}[{key}]"
        yield value, key, here
        yield from places(inner, here)


def variants(document: Any) -> Iterator[str]:
    """Change *document* in place, one key at a time, and yield where; it is whole again afterwards."""
    for container, key, path in list(places(document)):
        kept = dict(container) if isinstance(container, dict) else list(container)
        for wrong in WRONG:
            if wrong is MISSING:
                del container[key]
            else:
                container[key] = wrong
            yield path
            container.clear()
            container.update(kept) if isinstance(container, dict) else container.extend(kept)


def blamed(read: Reader, body: bytes) -> str | None:
    """Return the path in the error about *body*, None when it gives a value."""
    try:
        value = read(body)
    except errors.UnreadableResponseError as error:
        return error.path
    return None if isinstance(value, (Task, Page, Usage)) else "no value at all"


def is_near(path: str, blame: str | None) -> bool:
    """Whether *blame* is at, above or below *path*; a key of a map is not named."""
    return blame is None or path.startswith(blame.partition("[...]")[0]) or blame.startswith(path)


@pytest.mark.slow
@pytest.mark.parametrize("name", TRANSCRIPTS)
def test_every_key_may_be_missing_null_of_a_wrong_type_or_new(name: str) -> None:
    """Each transcript with any one key changed gives a value, or an error naming the path of what was changed."""
    read = READERS[name.partition("_")[0]]
    document = json.loads(recorded(name))
    elsewhere = [path for path in variants(document) if not is_near(path, blamed(read, msgspec.json.encode(document)))]

    assert [] == elsewhere


@pytest.mark.parametrize("name", TRANSCRIPTS)
@given(cut=st.integers(0, 6000), noise=st.binary(max_size=4))
def test_torn_answers_are_unreadable(name: str, cut: int, noise: bytes) -> None:
    """A body that ends early, or in noise, raises `UnreadableResponseError` and nothing else."""
    body = recorded(name)
    torn = body[: min(cut, len(body.rstrip()) - 1)] + noise
    try:
        json.loads(torn)
    except ValueError:
        with pytest.raises(errors.UnreadableResponseError):
            READERS[name.partition("_")[0]](torn)


def test_depth_is_no_way_in() -> None:
    """A document nested a hundred thousand deep is unreadable like any other."""
    with pytest.raises(errors.UnreadableResponseError):
        PROVIDER.extract_response(b'{"current_diff_task_turn":' + b"[" * 100_000)
