"""A turn with an agent: its events, its permissions, its end. The agent is a thread of the test."""

from __future__ import annotations

from pathlib import Path

import pytest

from coatcheck import PermissionRequest, TaskPlan, TaskTool
from coatcheck.cloud.acp.permissions import Permissions
from coatcheck.cloud.models import AgentSession

from .session_support import prompt


def test_updates_are_events_in_their_order(tmp_path: Path) -> None:
    """Thoughts, plans, messages by paragraph, tool calls with their changes, and the usage with its cost."""
    turn = prompt("think Look", "plan a,b", "say One\\n\\ntwo", "edit a.txt", "usage", "say Done.", folder=tmp_path)

    assert [
        "progress Look",
        "plan 1 of 2 steps done, now: b",
        "message One",
        "message two",
        "progress Write a.txt",
        "tool Write a.txt",
        "usage context 1,200 of 200,000 tokens, 0.0123 USD",
        "message Done.",
        "usage 1,234 tokens, context 1,200 of 200,000 tokens, 0.0123 USD",
    ] == turn.shown


def test_a_code_block_is_one_message_and_ends(tmp_path: Path) -> None:
    """A paragraph in a code block is not a message of its own, and one after the code block is."""
    turn = prompt("say ```\\na\\n\\nb\\n```\\n\\nafter\\n\\nlast", folder=tmp_path)

    assert ["message ```\na\n\nb\n```", "message after", "message last"] == turn.shown[:3]


def test_events_have_plans_and_changes(tmp_path: Path) -> None:
    """The steps of a plan with their states, and a change as a diff with paths in the clone."""
    turn = prompt("plan a,b,c", "edit a.txt", folder=tmp_path)
    plans = [event.plan for event in turn.events if isinstance(event, TaskPlan) and event.plan]
    steps = [(step.title, step.description) for plan in plans for step in plan.steps]
    diffs = [each.content.decode() for event in turn.events if isinstance(event, TaskTool) for each in event.artifacts]

    assert ([("a", "done"), ("b", "now"), ("c", "open")], ["--- /dev/null\n+++ b/a.txt\n@@ -0,0 +1 @@\n+hello\n"]) == (
        steps,
        diffs,
    )


def test_the_message_is_the_last_one_of_the_agent(tmp_path: Path) -> None:
    """An earlier message, before a tool call, is in the record, with the tool call."""
    turn = prompt("say Begin", "edit a.txt", "say All done.", folder=tmp_path)

    assert ("All done.", "Begin\n> Write a.txt\n> Write a.txt\nAll done.\n") == (
        turn.updates.message,
        turn.updates.record,
    )


@pytest.mark.parametrize(
    ("permissions", "answers", "asked"),
    [
        ("edits", ["in.txt: yes", "/etc/passwd: no", "make: no"], ["edit /etc/passwd", "execute make"]),
        ("ask", ["in.txt: no", "/etc/passwd: no", "make: no"], ["edit in.txt", "edit /etc/passwd", "execute make"]),
        ("all", ["in.txt: yes", "/etc/passwd: yes", "make: yes"], []),
        ("none", ["in.txt: no", "/etc/passwd: no", "make: no"], []),
    ],
)
def test_permissions_decide_what_a_person_decides(
    tmp_path: Path, permissions: Permissions, answers: list[str], asked: list[str]
) -> None:
    """Each setting allows, rejects or leaves it to a person; an option that lasts is never chosen."""
    lines = ("ask edit in.txt", "ask edit /etc/passwd", "ask execute make")
    turn = prompt(*lines, folder=tmp_path, permissions=permissions, decide=lambda _: "no")
    said = [event.text for event in turn.events if event.type == "task.message"]

    assert (answers, asked) == ([text.strip() for text in said if text], [each.title for each in turn.requests])


def test_a_person_gets_everything_that_is_decided(tmp_path: Path) -> None:
    """The kind, the files with their links resolved, and every option, also those that last."""
    (tmp_path / "out").symlink_to("/etc")
    requests: list[PermissionRequest] = []
    turn = prompt("ask edit out/passwd", folder=tmp_path, decide=lambda request: requests.append(request) or "always")
    (request,) = requests
    options = [(option.id, option.effect, option.is_lasting) for option in request.options]

    assert (
        "edit",
        ("/etc/passwd",),
        [("always", "approve", True), ("yes", "approve", False), ("no", "reject", False)],
    ) == (
        request.kind,
        request.paths,
        options,
    )
    assert "permission for edit out/passwd: Always" in "".join(turn.shown)


@pytest.mark.parametrize("method", ["fs/read_text_file", "fs/write_text_file", "terminal/create", "x/y"])
def test_files_and_terminals_are_not_offered(tmp_path: Path, method: str) -> None:
    """A request for one is answered with JSON-RPC's error for an unknown method, and the turn goes on."""
    turn = prompt(f"request {method}", "say on", folder=tmp_path)

    assert (None, f"{method}: -32601 on") == (turn.failure, turn.updates.message)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("stop refusal", "refusal"),
        ("stop max_tokens", "max_tokens"),
        ("stop max_turn_requests", "max_turn_requests"),
        ("stop cancelled", "cancelled"),
        ("stop anything", "stopped"),
        ("leave 3", "agent_ended"),
    ],
)
def test_each_other_end_of_a_turn_is_a_failure(tmp_path: Path, line: str, code: str) -> None:
    """A refusal, a limit, a reason that is not known, and an agent that ends before its turn."""
    turn = prompt("say so far", line, folder=tmp_path)

    assert (code, "so far") == (turn.failure and turn.failure.code, turn.updates.message)


def test_a_rejection_that_ends_the_turn_is_its_reason(tmp_path: Path) -> None:
    """An agent that stops after a rejected permission has not cancelled its turn without a reason."""
    turn = prompt("ask execute make", "stop cancelled", folder=tmp_path, permissions="none")

    assert "permission_rejected" == (turn.failure and turn.failure.code)


def test_a_login_that_is_needed_is_named(tmp_path: Path) -> None:
    """The failure has the agent's ways to log in, and what to do."""
    turn = prompt("say hi", folder=tmp_path, flags=("login",))

    assert turn.failure is not None
    assert ("login_required", True) == (turn.failure.code, "(Log in with a browser)" in str(turn.failure.message))


@pytest.mark.parametrize("cancel_at", ["before", "execute make"])
def test_a_cancelled_turn_ends(tmp_path: Path, cancel_at: str) -> None:
    """The agent gets the cancellation, and a permission that it waits for is answered as cancelled."""
    turn = prompt("think before", "ask execute make", "hang", folder=tmp_path, cancel_at=cancel_at)

    assert ("cancelled", "make: cancelled") == (turn.failure and turn.failure.code, turn.updates.message)


def test_what_is_no_message_is_output(tmp_path: Path) -> None:
    """Lines of text, other JSON and unknown responses end nothing; an unknown update is an event."""
    nonsense = (
        "write hello",
        "write null",
        "write [1]",
        'write {"id": [1], "result": 2}',
        'write {"id": 9, "result": 2}',
    )
    turn = prompt(*nonsense, "unknown rain", "say on", folder=tmp_path)

    assert (
        None,
        ["hello", "null", "[1]", '{"id": [1], "result": 2}'],
        ["unknown weather", "message on", "usage 1,234 tokens"],
    ) == (
        turn.failure,
        turn.lines,
        turn.shown,
    )


def test_a_session_is_continued_where_it_can_be(tmp_path: Path) -> None:
    """Its history is no event of the new turn; an agent that cannot load sessions begins one, with a notice."""
    session = AgentSession(id="s7", workspace="a0")
    turns = [
        prompt("say more", folder=tmp_path, session=session, workspace="a0", flags=flags) for flags in (("load",), ())
    ]
    ids = [(turn.session and turn.session.id, turn.shown[0]) for turn in turns]

    assert [
        ("s7", "message more"),
        ("session-1", "notice the agent cannot continue a session: it starts without the earlier messages"),
    ] == ids


@pytest.mark.parametrize(("model", "notes"), [("large", 0), ("huge", 1)])
def test_a_model_that_is_not_offered_is_noted(tmp_path: Path, model: str, notes: int) -> None:
    """The note has the models of the agent."""
    turn = prompt("say hi", folder=tmp_path, model=model)

    assert [True] * notes == ["small, large" in note for note in turn.updates.notes]


@pytest.mark.slow
def test_what_is_kept_of_a_flood_is_bounded(tmp_path: Path) -> None:
    """The message and the record of an agent that writes without end have the size that they may have."""
    turn = prompt("flood 30000", folder=tmp_path)
    sizes = (len(turn.updates.message), len(turn.updates.record))

    assert (True, True) == (sizes[0] <= 64 * 1024, sizes[1] <= 513 * 1024)
    assert (1, True) == (turn.updates.message.count("[…]"), turn.updates.message.endswith("word 29999"))
