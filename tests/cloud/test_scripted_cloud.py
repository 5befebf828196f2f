"""The scripted cloud follows its script exactly."""

from __future__ import annotations

import msgspec
import pytest

from coatcheck import errors
from coatcheck._protocol.effects import Request, Response
from coatcheck.cloud import faults
from coatcheck.cloud.models import CloudResult
from coatcheck.cloud.scripted_cloud import AttemptScript, ScriptedCloud
from coatcheck.testing.emulator_transport import EmulatorTransport
from coatcheck.testing.fake_clock import FakeClock

from .conftest import Caller, create_body, read


def statuses(caller: Caller, id: str, looks: int) -> list[str]:
    """Read a task so often, and return each status."""
    return [caller.get(f"/tasks/{id}")["current_assistant_turn"]["turn_status"] for _ in range(looks)]


def test_a_task_advances_by_one_state_a_poll() -> None:
    """Each request for details advances the timeline, which stays at its last state."""
    caller = Caller(ScriptedCloud(["pending", "in_progress", "completed"]))
    id = caller.create()["task"]["id"]

    assert ["pending", "in_progress", "completed", "completed"] == statuses(caller, id, 4)


def test_a_list_is_a_poll_too() -> None:
    """A client that polls by the list sees the task advance."""
    caller = Caller(ScriptedCloud(["pending", "completed"]))
    caller.create()
    seen = [
        caller.get("/tasks/list")["items"][0]["task_status_display"]["latest_turn_status_display"]["turn_status"]
        for _ in range(2)
    ]

    assert ["pending", "completed"] == seen


def test_the_siblings_have_the_state_of_the_last_poll() -> None:
    """Requesting them advances nothing."""
    caller = Caller(ScriptedCloud(["in_progress", "completed"]))
    created = caller.create(attempts=2)
    id, turn = created["task"]["id"], created["turn"]["id"]
    seen = []
    for _ in range(2):
        caller.get(f"/tasks/{id}")
        siblings = [
            caller.get(f"/tasks/{id}/turns/{turn}/sibling_turns")["sibling_turns"][0]["turn_status"] for _ in range(2)
        ]
        seen.append(siblings)

    assert [["in_progress"] * 2, ["completed"] * 2] == seen


def test_a_timed_task_advances_by_the_clock_alone() -> None:
    """Polls do not advance it."""
    clock = FakeClock()
    caller = Caller(ScriptedCloud([(0, "pending"), (5, "in_progress"), (60, "completed")], clock=clock))
    id = caller.create()["task"]["id"]
    seen = []
    for seconds in (0, 4.9, 0.1, 60):
        clock.sleep(seconds)
        seen += statuses(caller, id, 2)

    assert ["pending"] * 4 + ["in_progress"] * 2 + ["completed"] * 2 == seen


def test_each_attempt_has_a_script() -> None:
    """A script per placement; the last one is used for the rest."""
    scripts = (
        AttemptScript(timeline=("completed",), result=CloudResult(messages=("one",))),
        AttemptScript(timeline=("failed",)),
    )
    caller = Caller(ScriptedCloud(attempts=scripts))
    created = caller.create(attempts=3)
    tree = caller.get(f"/tasks/{created['task']['id']}/turns")["turn_mapping"]
    turns = [node["turn"] for node in tree.values() if node["turn"]["type"] == "assistant"]

    assert ["completed", "failed", "failed"] == [turn["turn_status"] for turn in turns]
    assert [None, "container exited"] == [turn["error"] and turn["error"]["message"] for turn in turns[:2]]


def test_requests_are_recorded() -> None:
    """By route, faults included."""
    caller = Caller(ScriptedCloud(faults=[faults.Status(500, on="create_task")]))
    caller.ask("POST", "/tasks", create_body())
    caller.create()

    assert 2 == len(caller.cloud.seen("create_task"))


def test_faults_are_consumed_in_order_and_only_on_their_route() -> None:
    """A fault for one route is kept while others are requested."""
    caller = Caller(ScriptedCloud(faults=[faults.Status(429, on="usage", retry_after=7), faults.Status(503, times=2)]))
    answers = [
        caller.ask("GET", path).status for path in ("/tasks/list", "/usage", "/tasks/list", "/usage", "/tasks/list")
    ]

    assert [503, 429, 503, 200, 200] == answers


def test_a_fault_of_no_route_leaves_the_login_alone() -> None:
    """Only WHAM routes are meant by "any"."""
    cloud = ScriptedCloud(faults=[faults.Status(500)])
    body = msgspec.json.encode({"grant_type": "refresh_token", "refresh_token": cloud.tokens.refresh_token})

    assert (
        cloud.handle(Request("POST", "/oauth/token", headers=(("content-type", "application/json"),), body=body)).status
        == 200
    )


@pytest.mark.parametrize(
    ("fault", "was_sent", "tasks"),
    [
        (faults.Reset(), True, 0),
        (faults.ResetAfterAccept(), True, 1),
        (faults.Refuse(), False, 0),
        (faults.Timeout(), True, 0),
        (faults.Timeout(is_accepted=True), True, 1),
    ],
)
def test_a_lost_connection_has_the_right_outcome(fault: faults.Fault, tasks: int, *, was_sent: bool) -> None:
    """Only a refused connection is certainly not sent; only an accepted request creates a task."""
    caller = Caller(ScriptedCloud(faults=[fault]))
    with pytest.raises(errors.TransportError) as caught:
        caller.ask("POST", "/tasks", create_body())

    assert (was_sent, tasks) == (caught.value.request_sent, len(caller.cloud.tasks))


@pytest.mark.parametrize(
    ("fault", "status", "header"),
    [
        (faults.Status(429, retry_after=3), 429, ("retry-after", "3")),
        (
            faults.Status(429, retry_after="Wed, 21 Oct 2026 07:28:00 GMT"),
            429,
            ("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT"),
        ),
        (faults.Status(403, is_html=True), 403, ("content-type", "text/html; charset=utf-8")),
        (faults.Redirect("https://example.com/x", status=307), 307, ("location", "https://example.com/x")),
        (faults.html(), 200, ("content-type", "text/html")),
        (faults.StatusAfterAccept(), 502, ("content-type", "text/html; charset=utf-8")),
    ],
)
def test_a_status_fault_sets_status_and_header(fault: faults.Fault, status: int, header: tuple[str, str]) -> None:
    """Status, and the header that belongs to it."""
    response = Caller(ScriptedCloud(faults=[fault])).ask("GET", "/usage")

    assert (status, header[1]) == (response.status, response.headers[header[0]])


def through_transport(fault: faults.Fault, *, max_body: int = 1000_000) -> Response:
    """Request the usage through a transport."""
    cloud = ScriptedCloud(faults=[fault])
    headers = (("authorization", f"Bearer {cloud.tokens.access_token}"),)
    return EmulatorTransport(cloud, max_body=max_body).send(Request("GET", "/wham/usage", headers=headers))


def test_gzip_is_inflated_on_the_way() -> None:
    """As every transport does."""
    plain = through_transport(faults.Slow(0.0))

    assert plain.body == through_transport(faults.Gzip()).body


@pytest.mark.parametrize("fault", [faults.Gzip(is_broken=True), faults.Truncated(), faults.Huge(2_000_000)])
def test_an_incomplete_response_is_a_transport_error(fault: faults.Fault) -> None:
    """Truncated, damaged or larger than allowed."""
    with pytest.raises(errors.TransportError) as caught:
        through_transport(fault)

    assert caught.value.request_sent


def test_slow_takes_its_time_by_the_clock() -> None:
    """Time advances only by the fake clock."""
    clock = FakeClock(0.0)
    caller = Caller(ScriptedCloud(clock=clock, faults=[faults.Slow(30.0)]))
    caller.get("/usage")

    assert 30.0 == clock.time()


def test_a_cursor_can_repeat_for_ever() -> None:
    """Whoever follows it must notice by himself."""
    caller = Caller(ScriptedCloud(faults=[faults.RepeatingCursor()]))
    caller.create()
    first = caller.get("/tasks/list")
    again = caller.get("/tasks/list", cursor=first["cursor"])

    assert first["cursor"] == again["cursor"]


def test_a_diff_can_be_kept_elsewhere() -> None:
    """Null, with a file's id beside it."""
    caller = Caller(ScriptedCloud(["completed"], faults=[faults.OffloadedDiff(on="get_task")]))
    id = caller.create()["task"]["id"]
    diff = caller.get(f"/tasks/{id}")["current_assistant_turn"]["output_items"][-1]["output_diff"]

    assert (None, "file_diff", 1) == (diff["diff"], diff["external_storage_diff"]["file_id"], diff["files_modified"])


def test_states_can_be_unknown() -> None:
    """In the turn and in the display."""
    caller = Caller(ScriptedCloud(faults=[faults.UnknownWords(on="get_task")]))
    id = caller.create()["task"]["id"]

    assert ["simmering"] == statuses(caller, id, 1)


def test_an_open_cloud_accepts_any_bearer_but_not_none() -> None:
    """For tests that are not about the login."""
    caller = Caller(ScriptedCloud(is_open=True))
    caller.token = "anything"
    first = caller.ask("GET", "/usage").status
    caller.token = ""

    assert [200, 401] == [first, caller.ask("GET", "/usage").status]


def test_a_huge_response_is_sent_in_pieces() -> None:
    """It is never held whole."""
    cloud = ScriptedCloud(faults=[faults.Huge(200_000)])
    response = EmulatorTransport(cloud).send(Request("GET", "/wham/usage", stream=True))
    sizes = list(iter(lambda: len(response.stream.read()), 0))

    assert [65_536, 65_536, 65_536, 3_392] == sizes


def test_a_created_task_is_answered_with_the_rate_limit() -> None:
    """As the live service does."""
    assert 1283.0 == read(Caller(ScriptedCloud()).ask("POST", "/tasks", create_body()))["rate_limit"]["limit"]
