"""What an agent waits for: the actions of its last step, which are accepted or rejected together. Pure.

Invariants:

- an action waits as long as no event answers it, by its id or by the id of its tool call, as the server decides it;
- one decision is about all actions that wait, so they are one request, named by the first of them.

See docs/reference/protocols/openhands.md, "5 Confirmation".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from ...provider import GateOption, PermissionRequest, decode_json, fields, items, text
from . import wire

ACTION, REJECTION, AGENT_ERROR = "ActionEvent", "UserRejectObservation", "AgentErrorEvent"
OPTIONS = (
    GateOption(id="accept", label="Allow", effect="approve"),
    GateOption(id="reject", label="Reject", effect="reject"),
)
# The words for what a tool does that policies of ours use; other tools keep their names.
KINDS: Mapping[str, str] = {"terminal": "execute", "file_editor": "edit"}


def pending(newest: Iterable[wire.Event]) -> Sequence[wire.Event]:
    """Return the actions that wait, oldest first; the events are the newest first."""
    answered: set[str] = set()
    waiting: list[wire.Event] = []
    for event in newest:
        if event.kind == ACTION:
            if event.action is not None and not answered & {event.id, event.tool_call_id}:
                waiting.append(event)
            elif waiting:
                break
        else:
            answered |= {id for id in (event.action_id, _call_of(event)) if id}
    return tuple(reversed(waiting))


def _call_of(event: wire.Event) -> str | None:
    return event.tool_call_id if event.kind == AGENT_ERROR else None


def permission(waiting: Sequence[wire.Event]) -> PermissionRequest | None:
    """Return what is asked for, None where nothing waits."""
    if not waiting:
        return None
    first = waiting[0]
    titles = [title_of(event) for event in waiting]
    more = f" and {len(waiting) - 1} more" if len(waiting) > 1 else ""
    tool = text(first.tool_name) or "tool"
    return PermissionRequest(
        id=first.id or "",
        title=f"{titles[0].partition(chr(10))[0]}{more}",
        kind=KINDS.get(tool, tool),
        detail="\n\n".join(map(_detail, waiting)),
        options=OPTIONS,
        paths=tuple(path for event in waiting if (path := text(fields(event.action).get("path")))),
    )


def title_of(event: wire.Event) -> str:
    """Return what an action does, in a line."""
    action, tool = fields(event.action), text(event.tool_name) or "tool"
    command = text(action.get("command"))
    path = text(action.get("path"))
    if path:
        return f"{command or tool} {path}"
    return f"run {command}" if command else text(event.summary) or tool


def _detail(event: wire.Event) -> str:
    """Return an action in full: the model's words, and the arguments of the tool as the model wrote them."""
    thought = " ".join(part for each in items(event.thought) if (part := text(fields(each).get("text"))))
    risk = text(event.security_risk)
    arguments = {name: value for name, value in fields(event.action).items() if value is not None and name != "kind"}
    shown = text(arguments.get("command")) if set(arguments) <= {"command", "is_input", "reset"} else None
    parts = (thought, shown or msgspec.json.encode(arguments).decode(), risk and f"risk: {risk}")
    return "\n".join(part for part in parts if part)


def decision_of(newest: Iterable[wire.Event], id: str) -> str | None:
    """Return how the action *id* was decided, None where it waits or is not known."""
    for event in newest:
        if event.action_id == id:
            return "reject" if event.kind == REJECTION else "accept"
    return None


def read(raw: msgspec.Raw | bytes) -> wire.Event:
    """Return an event."""
    return decode_json(raw, wire.Event)
