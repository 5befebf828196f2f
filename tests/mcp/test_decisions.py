"""Gates over MCP: an agent decides what others submitted, a person by a form, and nobody what an agent submitted."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mcp.client import Client
from mcp_types import ElicitResult
from tests.mcp.mcp_support import MODERN, Served
from tests.mcp.test_task_extension import Tasks

from coatcheck._mcp import tools
from coatcheck._model.gates import Gate
from coatcheck._model.tasks import TaskSpec
from coatcheck.testing.emulators import jules_scripts as lives
from coatcheck.testing.emulators.jules import JulesEmulator


class JulesServed(Served):
    """A server in front of a Jules."""

    def __init__(self, folder: Path, life: Any = lives.ordinary) -> None:
        super().__init__(folder, JulesEmulator(life), provider="jules")
        self.cloud.clock = self.clock
        self.environ |= {
            "JULES_API_KEY": self.cloud.token,
            "COATCHECK_JULES_BASE_URL": "http://127.0.0.1:9/v1alpha",
            "COATCHECK_LEARN": "off",
        }

    def submit_as_person(self, *, requires_approval: bool = True) -> str:
        """Submit a task, whose plan must be approved, as the command line does, and return its ref."""
        spec = TaskSpec(prompt="Say hello", repository="owner/repo", requires_approval=requires_approval)
        with closing(self.session()) as session, session.open_client("jules") as client:
            return str(client.create_task(spec).ref)

    def log(self) -> list[tuple[str, str]]:
        """Return the decisions: the effect, and the way."""
        with closing(self.session()) as session:
            events = [entry.event for entry in session.gates.log(limit=9)]
        return [(each.effect, each.via) for each in events if each.type == "gate.decided"]


async def wait(client: Client, ref: str) -> dict[str, Any]:
    """Wait until a task has ended or needs input; each poll moves the emulated session on, so a call may be too short."""
    for _ in range(9):
        answer = (await client.call_tool("wait_for_task", {"ref": ref})).structured_content or {}
        if answer["is_terminal"] or "waiting_for" in answer:
            break
    return answer


def waiting(served: JulesServed) -> tuple[str, str]:
    """Return a person's task whose plan waits, and its gate."""
    ref = served.submit_as_person()
    return ref, served.run(lambda client: wait(client, ref))["waiting_for"]["gate"]


def test_an_agent_decides_what_a_person_submitted(tmp_path: Path) -> None:
    """The plan is approved and the task ends; the log has the way; the same decision again changes nothing."""
    served = JulesServed(tmp_path)
    ref, gate = waiting(served)
    decided = served.answer("decide", ref=ref, gate=gate, decision="approve", comment="read it")
    again = served.answer("decide", ref=ref, gate=gate, decision="approve")
    ended = served.run(lambda client: wait(client, ref))

    assert ("approved", "approved", True) == (decided["status"], again["status"], ended["is_terminal"])
    assert ([("approve", "mcp")], 1) == (served.log(), len(served.cloud.seen("approve_plan")))


def test_a_plan_that_is_rejected_gets_the_reason(tmp_path: Path) -> None:
    """Nothing is approved, and the comment is sent to the task."""
    served = JulesServed(tmp_path)
    ref, gate = waiting(served)
    decided = served.answer("decide", ref=ref, gate=gate, decision="reject", comment="Keep the tests")

    assert ("rejected", 0, 1) == (
        decided["status"], len(served.cloud.seen("approve_plan")), len(served.cloud.seen("send_message"))
    )  # fmt: skip


def test_an_agent_cannot_decide_what_it_submitted(tmp_path: Path) -> None:
    """Neither approve, nor reject, nor answer, in another session either; no form is shown; a person decides."""
    served = JulesServed(tmp_path, lives.asking)
    ref = served.submit(repository="owner/repo")
    shown: list[str] = []

    async def show(context: Any, params: Any) -> ElicitResult:
        shown.append(params.message)
        return ElicitResult(action="accept", content={"answer": "yes"})

    waited = [
        served.run(lambda client: wait(client, ref), mode=mode, elicitation_callback=show)
        for mode in ("legacy", MODERN)
    ]
    gate = waited[0]["waiting_for"]["gate"]
    texts = [
        served.refused("decide", ref=ref, gate=gate, decision=each, comment="yes") for each in ("approve", "reject")
    ]

    assert ([], [], []) == (shown, served.log(), served.cloud.seen("send_message"))
    assert [True, True] == [f"a person decides with: coatcheck approve {gate}" in text for text in texts]
    assert "tool decide" not in waited[0]["waiting_for"]["who"]


@pytest.mark.parametrize("mode", ["legacy", MODERN])
@pytest.mark.parametrize(
    ("action", "content", "approvals", "log"),
    [
        ("accept", {"decision": "approve", "comment": "fine"}, 1, [("approve", "mcp")]),
        ("accept", {"decision": "reject"}, 0, [("reject", "mcp")]),
        ("accept", {"decision": "perhaps"}, 0, []),
        ("decline", None, 0, []),
        ("cancel", None, 0, []),
    ],
)
def test_a_person_decides_by_a_form(
    tmp_path: Path, *, mode: str, action: Any, content: Any, approvals: int, log: list[tuple[str, str]]
) -> None:
    """In both eras the form is shown once during the wait, and only an accepted choice decides."""
    served = JulesServed(tmp_path)
    ref = served.submit_as_person()
    shown: list[Any] = []

    async def show(context: Any, params: Any) -> ElicitResult:
        shown.append(params)
        return ElicitResult(action=action, content=content)

    waited = served.run(lambda client: wait(client, ref), mode=mode, elicitation_callback=show)

    assert (1, approvals, log) == (len(shown), len(served.cloud.seen("approve_plan")), served.log())
    assert approvals == waited["is_terminal"]
    assert "The agent of the task wrote:\n1. Read the code" in shown[0].message
    assert ["approve", "reject"] == shown[0].requested_schema["properties"]["decision"]["enum"]


def test_a_question_is_answered_by_a_form(tmp_path: Path) -> None:
    """The text goes to the task."""
    served = JulesServed(tmp_path, lives.asking)
    ref = served.submit_as_person(requires_approval=False)

    async def show(context: Any, params: Any) -> ElicitResult:
        return ElicitResult(action="accept", content={"answer": "The second one"})

    served.run(lambda client: wait(client, ref), elicitation_callback=show)

    assert b"The second one" in served.cloud.seen("send_message")[0].body


@pytest.mark.parametrize(
    "refuse", [lambda s: s._replace(toolsets=tools.DEFAULT_TOOLSETS), lambda s: s._replace(is_read_only=True)]
)
def test_without_the_toolset_no_form_is_shown(tmp_path: Path, refuse: Callable[[Any], Any]) -> None:
    """The wait returns what the task waits for, and how a person decides."""
    served = JulesServed(tmp_path)
    served.options = refuse(served.options)
    ref = served.submit_as_person()

    async def show(context: Any, params: Any) -> ElicitResult:
        raise AssertionError(params.message)

    waited = served.run(lambda client: wait(client, ref), elicitation_callback=show)

    assert ("plan", f"a person: coatcheck approve {ref}") == (
        waited["waiting_for"]["kind"],
        waited["waiting_for"]["who"],
    )


def test_gates_that_are_about_no_task_are_decided_elsewhere(tmp_path: Path) -> None:
    """A held submission, a patch and a wave are refused, as are another task's gate and a gate that does not exist."""
    served = JulesServed(tmp_path)
    ref = served.submit_as_person()
    with closing(served.session()) as session:
        gates = [
            session.gates.open(Gate(subject=ref, kind=kind, title="t", digest=kind)).address
            for kind in ("submission", "apply", "wave", "delivery")
        ]
        gates.append(session.gates.open(Gate(subject="jules:other", kind="plan", title="t")).address)
    texts = [served.refused("decide", ref=ref, gate=gate, decision="approve") for gate in (*gates, "gate:nope")]

    assert ["MCP cannot decide"] * 4 + ["is not about", "there is no gate"] == [
        next(part for part in ("MCP cannot decide", "is not about", "there is no gate") if part in text)
        for text in texts
    ]
    assert [] == served.log()


def test_a_task_of_the_protocol_requires_input(tmp_path: Path) -> None:
    """Its state is input_required with the form; the answer is sent by tasks/update, and the task is completed."""
    served = JulesServed(tmp_path)
    ref = served.submit_as_person()
    served.run(lambda client: wait(client, ref))
    tasks = Tasks()

    async def show(context: Any, params: Any) -> ElicitResult:
        return ElicitResult(action="decline")

    async def scenario(client: Client) -> tuple[Any, Any]:
        from tests.mcp.test_task_extension import request

        required = await request(client.session, "tasks/get", taskId=ref)
        ((key, form),) = required["inputRequests"].items()
        answer = {"action": "accept", "content": {"decision": "approve"}}
        await request(client.session, "tasks/update", taskId=ref, inputResponses={key: answer, "gate-nope": answer})
        return required, form

    required, form = served.run(scenario, extensions=[tasks], elicitation_callback=show)

    assert ("input_required", "elicitation/create", "form") == (
        required["status"], form["method"], form["params"]["mode"]
    )  # fmt: skip
    assert (1, [("approve", "mcp")]) == (len(served.cloud.seen("approve_plan")), served.log())
