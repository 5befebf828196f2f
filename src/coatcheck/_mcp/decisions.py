"""Decisions over MCP about the gates of tasks, by the tool `decide` and by forms that a person fills in.

Guarantees:
- nothing is decided about what was submitted over MCP (`_store.gates`), and no form about it is shown;
- a gate that submits, applies or delivers something is decided elsewhere;
- what an agent has written is marked as such in a form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NoReturn, TypeAlias

from .. import errors

if TYPE_CHECKING:
    from .._app.gate_decisions import Decided
    from .._app.task_session import TaskSession
    from .._model.gates import Gate

Decision: TypeAlias = Literal["approve", "reject"]
# Gates of other kinds spend money or change files, and are about no task that is waited for.
KINDS = ("plan", "permission", "question")
MAX_DETAIL = 2_000
KEY = "gate-"


class GateForm(NamedTuple):
    """A form about a gate: its key, its message, and the JSON Schema of the answer."""

    key: str
    message: str
    schema: Mapping[str, Any]


def decide_gate(session: TaskSession, gate: Gate, decision: Decision, comment: str | None) -> Decided:
    """Decide *gate* and carry out the decision. Raises `PermissionDeniedError` for what MCP may not decide."""
    from .._app.gate_decisions import GateDecider

    if gate.kind not in KINDS:
        raise errors.PermissionDeniedError(
            f"{gate.address} is about {gate.kind}, which MCP cannot decide",
            status=403,
            remedy=f"a person decides with: coatcheck approve {gate.address}",
        )
    decider = GateDecider(
        session.gates,
        session.open_client,
        _apply_nothing,
        config=session.workspace.config,
        via="mcp",
        now=session.clock.time,
    )
    if gate.kind == "question" and decision == "approve":
        if not (comment or "").strip():
            raise errors.ConfigurationError(f"{gate.address} has no answer", remedy="give it as comment")
        return decider.answer(gate, comment or "", digest=gate.digest)
    act = decider.approve if decision == "approve" else decider.reject
    return act(gate, why=comment, digest=gate.digest)


def _apply_nothing(*_: object) -> NoReturn:
    raise errors.PermissionDeniedError("a patch is applied by the tool apply_patch", status=403)


# --- forms ------------------------------------------------------------------------------------------------------------


def form_of(gate: Gate) -> GateForm | None:
    """Return the form for a gate, None for one that MCP cannot decide."""
    if gate.state != "open" or gate.kind not in KINDS or gate.submitted_via == "mcp":
        return None
    message = f"Decide about {gate.title}."
    if gate.detail:
        detail = gate.detail if len(gate.detail) <= MAX_DETAIL else f"{gate.detail[:MAX_DETAIL]}…"
        message += f"\n\nThe agent of the task wrote:\n{detail}"
    return GateForm(f"{KEY}{gate.id}", message, _QUESTION if gate.kind == "question" else _DECISION)


_DECISION: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "decision": {"type": "string", "title": "Decision", "enum": ["approve", "reject"]},
        "comment": {"type": "string", "title": "Comment", "description": "The reason, for the log and the agent."},
    },
    "required": ["decision"],
}
_QUESTION: Mapping[str, Any] = {
    "type": "object",
    "properties": {"answer": {"type": "string", "title": "Answer", "minLength": 1}},
    "required": ["answer"],
}


def use_answer(session: TaskSession, key: str, action: object, content: object) -> bool:
    """Carry out the answer to a form; False where nothing was decided: it was declined, or is not about an open gate."""
    if action != "accept" or not isinstance(content, Mapping) or not key.startswith(KEY):
        return False
    gate = session.gates.find(key.removeprefix(KEY))
    if form_of(gate) is None:
        return False
    if gate.kind == "question":
        answer = content.get("answer")
        if not isinstance(answer, str) or not answer.strip():
            return False
        decide_gate(session, gate, "approve", answer)
        return True
    decision, comment = content.get("decision"), content.get("comment")
    if decision not in ("approve", "reject"):
        return False
    decide_gate(session, gate, decision, comment if isinstance(comment, str) and comment.strip() else None)
    return True
