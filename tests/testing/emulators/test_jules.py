"""The emulated Jules is as strict, as sparing and as odd as the real one was measured to be."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from coatcheck._protocol.effects import Request, Response
from coatcheck.providers.jules.wire import COMMON
from coatcheck.testing.emulators import jules_scripts as lives
from coatcheck.testing.emulators.jules import JulesEmulator

BODY = {
    "prompt": "Say hello",
    "sourceContext": {"source": "sources/github/owner/repo", "githubRepoContext": {"startingBranch": "main"}},
}
FIRST = "0" * 31 + "1"


class Bare:
    """An emulator, spoken to without any client."""

    def __init__(self, **options: Any) -> None:
        self.emulator = JulesEmulator(**options)

    def send(self, method: str, path: str, body: object = None, *, key: str | None = "", **query: str) -> Response:
        headers = () if key is None else (("x-goog-api-key", key or self.emulator.token),)
        data = b"" if body is None else msgspec.json.encode(body)
        path = f"/v1alpha/{path}"
        return self.emulator.handle(Request(method, path, query=tuple(query.items()), headers=headers, body=data))

    def ask(self, method: str, path: str, body: object = None, **query: str) -> Any:
        return msgspec.json.decode(self.send(method, path, body, **query).body or b"null")

    def create(self, **more: object) -> str:
        id: str = self.ask("POST", "sessions", {**BODY, **more})["id"]
        return id

    def advance_until(self, id: str, acts: int = 30) -> dict[str, Any]:
        """Let a session live to its end and return it."""
        self.emulator.advance(id, acts)
        session: dict[str, Any] = self.ask("GET", f"sessions/{id}")
        return session


def refusal(response: Response) -> tuple[int, str, str]:
    """Return code, status and message of an error."""
    error = msgspec.json.decode(response.body)["error"]
    assert response.status == error["code"]
    return error["code"], error["status"], error["message"]


# -- who asks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "text"), [(None, "Request is missing required"), ("x", "API keys are not supported")])
def test_both_refusals_of_a_key_have_one_reason(key: str | None, text: str) -> None:
    """Both errors have the same reason; the status distinguishes them."""
    response = Bare().send("GET", "sources", key=key)
    details = msgspec.json.decode(response.body)["error"]["details"]

    assert (401, "UNAUTHENTICATED") == refusal(response)[:2]
    assert refusal(response)[2].startswith(text)
    assert "CREDENTIALS_MISSING" == details[0]["reason"]


# -- what is asked -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"session": BODY}, (400, "Unknown name \"session\" at 'session': Cannot find field.")),
        ({**BODY, "model": "m"}, (400, "Unknown name \"model\" at 'session'")),
        ({**BODY, "automationMode": "MANUAL"}, (400, "Invalid value at 'session.automation_mode'")),
        ({**BODY, "automationMode": "MANUAL", "x": 1}, (400, "Unknown name")),
        ({}, (400, "invalid argument")),
        ({**BODY, "sourceContext": {"source": "sources/github/owner/repo"}}, (400, "invalid argument")),
        (
            {"prompt": "p", "sourceContext": {**BODY["sourceContext"], "source": "sources/no"}},  # type: ignore[dict-item]
            (404, "not found"),
        ),
    ],
)
def test_a_session_is_created_strictly(body: object, expected: tuple[int, str]) -> None:
    """Unknown fields and enums first, then what is missing, then an unknown source; nothing is created."""
    bare = Bare()
    status, _, message = refusal(bare.send("POST", "sessions", body))

    assert (expected[0], True, ()) == (status, expected[1] in message, bare.emulator.tasks)


@pytest.mark.parametrize(
    ("method", "path", "body", "query"),
    [
        ("GET", "sessions/{id}/activities", None, {"createTime": "2026-01-01T00:00:00Z"}),
        ("GET", "sessions/{id}/activities", None, {"filter": "createTime > x"}),
        ("GET", "sessions/{id}/activities", None, {"pageToken": "x"}),
        ("GET", "sessions", None, {"filter": 'state = "COMPLETED"'}),
        ("GET", "sessions", None, {"pageSize": "-1"}),
        ("GET", "sessions", None, {"pageToken": "???"}),
        ("GET", "sources", None, {"filter": "owner=x"}),
        ("POST", "sessions/{id}:sendMessage", {"message": "x"}, {}),
        ("POST", "sessions/{id}:approvePlan", {"planId": "x"}, {}),
        ("POST", "sessions/{id}:approvePlan", {}, {}),
    ],
)
def test_unknown_parameters_are_invalid(method: str, path: str, body: object, query: dict[str, str]) -> None:
    """Unknown parameters, filters, tokens and fields are 400, and so is an approval without a plan."""
    bare = Bare()

    assert 400 == bare.send(method, path.format(id=bare.create()), body, **query).status


@pytest.mark.parametrize("path", ["sessions/x", "sessions/x/activities", "sources/x", "scheduledSessions"])
def test_what_there_is_not_is_not_found(path: str) -> None:
    """With the service's one text."""
    assert (404, "NOT_FOUND", "Requested entity was not found.") == refusal(Bare().send("GET", path))


def test_a_verb_has_a_colon() -> None:
    """A slash in its place is another route, which there is not."""
    bare = Bare()
    id = bare.create()

    assert [404, 200] == [bare.send("POST", f"sessions/{id}{mark}archive", {}).status for mark in "/:"]


# -- what is answered ----------------------------------------------------------------------------------------------------


def test_default_values_are_left_out() -> None:
    """No false, no zero, no empty list; input-only fields are not returned."""
    bare = Bare(life=lives.ordinary)
    session = bare.ask("POST", "sessions", {**BODY, "requirePlanApproval": True, "automationMode": "AUTO_CREATE_PR"})
    bare.advance_until(session["id"])
    bare.send("POST", f"sessions/{session['id']}:approvePlan", {})
    bare.advance_until(session["id"])
    happened = bare.ask("GET", f"sessions/{session['id']}/activities")["activities"]
    plan = next(activity["planGenerated"] for activity in happened if "planGenerated" in activity)
    command = next(
        part["bashOutput"] for activity in happened for part in activity.get("artifacts", []) if "bashOutput" in part
    )

    assert {"name", "id", "prompt", "title", "sourceContext", "state", "url", "createTime", "updateTime"} == set(
        session
    )
    assert [False, True] == ["index" in step for step in plan["plan"]["steps"]]
    assert "exitCode" not in command


def test_an_empty_list_has_no_key() -> None:
    """Nothing but braces."""
    assert {} == Bare().ask("GET", "sessions")


def test_a_page_is_never_larger_than_a_hundred() -> None:
    """Larger sizes mean a hundred; the next page follows by its token, newest first."""
    bare = Bare()
    ids = [bare.create() for _ in range(103)]
    first = bare.ask("GET", "sessions", pageSize="1000")
    second = bare.ask("GET", "sessions", pageToken=first["nextPageToken"])

    assert ids[::-1] == [session["id"] for page in (first, second) for session in page["sessions"]]
    assert (100, False) == (len(first["sessions"]), "nextPageToken" in second)


def test_activities_have_distinct_times() -> None:
    """They differ by milliseconds, six digits; a token is nanoseconds, inclusive, and may be made by hand."""
    bare = Bare()
    id = bare.create()
    bare.advance_until(id)
    path = f"sessions/{id}/activities"
    times = [activity["createTime"] for activity in bare.ask("GET", path)["activities"]]
    token = bare.ask("GET", path, pageSize="2")["nextPageToken"]
    third = bare.ask("GET", path, pageToken=token)["activities"][0]["createTime"]
    after = bare.ask("GET", path, filter=f'create_time > "{third}"')["activities"][0]["createTime"]

    assert (len(times), {27}) == (len({time[:23] for time in times}), {len(time) for time in times})
    assert (times[2], times[3], True) == (third, after, token.isdigit())


def test_archived_sessions_are_hidden_by_default() -> None:
    """The filter supports `archived` alone; archiving pauses a running session."""
    bare = Bare()
    id = bare.create()
    bare.emulator.advance(id, 3)
    archived = bare.ask("POST", f"sessions/{id}:archive", {})
    found = {
        f: len(bare.ask("GET", "sessions", filter=f).get("sessions", [])) for f in ("archived = false", "archived=true")
    }

    assert ({}, {"archived = false": 0, "archived=true": 1}) == (bare.ask("GET", "sessions"), found)
    assert ("PAUSED", True, "sourceContext" in archived) == (archived["state"], archived["archived"], True)


@pytest.mark.parametrize("verb", ["sendMessage", "approvePlan"])
def test_an_empty_answer_has_no_byte(verb: str) -> None:
    """Not even braces."""
    bare = Bare(life=lives.plan_only)
    id = bare.create()
    bare.advance_until(id)
    bare.emulator.wakes = True
    response = bare.send("POST", f"sessions/{id}:{verb}", {"prompt": "x"} if verb == "sendMessage" else {})

    assert (200, b"") == (response.status, response.body)


def test_a_plan_left_alone_is_called_completed_and_stays_so() -> None:
    """Approving it is answered well and changes nothing."""
    bare = Bare(life=lives.plan_only)
    id = bare.create()
    before = bare.advance_until(id)
    approved = bare.send("POST", f"sessions/{id}:approvePlan", {}).status

    assert ("COMPLETED", 200, before) == (before["state"], approved, bare.advance_until(id))


def test_an_activity_can_be_requested_by_itself() -> None:
    """As it is in the list."""
    bare = Bare()
    id = bare.create()
    bare.advance_until(id)

    assert bare.ask("GET", f"sessions/{id}/activities")["activities"][0] == bare.ask(
        "GET", f"sessions/{id}/activities/{FIRST}"
    )


def test_a_mask_selects_fields() -> None:
    """Nested, and in lists."""
    found = Bare().ask("GET", "sources", fields="sources(name,githubRepo(owner,defaultBranch)),nextPageToken")

    assert {
        "sources": [
            {
                "name": "sources/github/owner/repo",
                "githubRepo": {"owner": "owner", "defaultBranch": {"displayName": "main"}},
            },
            {"name": "sources/github/owner/empty", "githubRepo": {"owner": "owner"}},
        ]
    } == found


def test_sources_can_be_filtered_by_name() -> None:
    """Quoted or bare, one or another."""
    bare = Bare()
    filters = ('name="sources/github/owner/repo"', "name=sources/github/owner/repo OR name=sources/github/owner/empty")

    assert [1, 2] == [len(bare.ask("GET", "sources", filter=each)["sources"]) for each in filters]


def test_new_sessions_keep_their_activities_for_a_while() -> None:
    """404 until so many seconds are over."""
    bare = Bare(unlisted=10.0)
    id = bare.create()
    statuses = []
    for _ in range(2):
        statuses.append(bare.send("GET", f"sessions/{id}/activities").status)
        bare.emulator.clock.sleep(11)

    assert [404, 200] == statuses


@pytest.mark.parametrize(
    ("life", "states"),
    [
        (lives.ordinary, ["QUEUED", "PLANNING", "IN_PROGRESS", "COMPLETED"]),
        (lives.asking, ["QUEUED", "PLANNING", "IN_PROGRESS", "AWAITING_USER_FEEDBACK"]),
        (lives.paused, ["QUEUED", "PLANNING", "IN_PROGRESS", "PAUSED"]),
        (lives.failed, ["QUEUED", "PLANNING", "IN_PROGRESS", "FAILED"]),
        (lives.stalled, ["QUEUED", "PLANNING", "IN_PROGRESS"]),
        (lives.revived, ["QUEUED", "PLANNING", "IN_PROGRESS", "COMPLETED", "IN_PROGRESS", "COMPLETED"]),
        (lives.unknown_words, ["QUEUED", "PLANNING", "IN_PROGRESS", "MEDITATING", "COMPLETED"]),
    ],
)
def test_each_request_advances_a_session(life: lives.Life, states: list[str]) -> None:
    """Each request makes one step."""
    bare = Bare(life=life)
    id = bare.create()
    seen = ["QUEUED"]
    for _ in range(20):
        state = bare.ask("GET", f"sessions/{id}")["state"]
        seen += [state] if state != seen[-1] else []

    assert states == seen


def test_step_seconds_advances_by_the_clock() -> None:
    """With `step_seconds`, sessions advance by the clock, and requests do not advance them."""
    bare = Bare(step_seconds=10)
    id = bare.create()
    states = [bare.ask("GET", "sessions")["sessions"][0]["state"] for _ in range(5)]
    bare.emulator.clock.sleep(29)
    states += [bare.ask("GET", f"sessions/{id}")["state"] for _ in range(5)]
    bare.emulator.clock.sleep(1)
    listed = bare.ask("GET", f"sessions/{id}/activities")["activities"]

    assert ["QUEUED"] * 5 + ["PLANNING"] * 5 == states
    assert ["progressUpdated", "planGenerated"] == [next(iter(set(each) - COMMON)) for each in listed]


def test_steps_continue_from_the_approval() -> None:
    """No steps accumulate while a session waits."""
    bare = Bare(step_seconds=10)
    id = bare.create(requirePlanApproval=True)
    bare.emulator.clock.sleep(1000)
    waiting = bare.ask("GET", f"sessions/{id}")["state"]
    bare.send("POST", f"sessions/{id}:approvePlan", {})
    count = len(bare.ask("GET", f"sessions/{id}/activities")["activities"])
    bare.emulator.clock.sleep(10)

    assert "AWAITING_PLAN_APPROVAL" == waiting
    assert count + 1 == len(bare.ask("GET", f"sessions/{id}/activities")["activities"])


def test_the_time_of_a_session_moves_with_its_state_alone() -> None:
    """What its agent does leaves it as it was (docs/reference/protocols/jules.md, "2.2 Session")."""
    bare = Bare(step_seconds=10)
    id = bare.create()
    bare.emulator.clock.sleep(40)
    before = bare.ask("GET", f"sessions/{id}")
    bare.emulator.clock.sleep(20)
    after = bare.ask("GET", f"sessions/{id}")

    assert ("IN_PROGRESS", before) == (after["state"], after)
