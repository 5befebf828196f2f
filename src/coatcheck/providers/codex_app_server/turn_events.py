"""From items and notifications of a host to events; pure.

See docs/reference/protocols/codex-app-server.md, "5 Notifications". What is not known here is an `UnknownEvent`, kept and
shown; what another notification repeats is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...provider import (
    STATE_EVENTS,
    Artifact,
    Message,
    Patch,
    Plan,
    PlanStep,
    TaskDiff,
    TaskEvent,
    TaskLog,
    TaskMessage,
    TaskPlan,
    TaskProgress,
    TaskRef,
    TaskState,
    TaskTool,
    TaskUsage,
    UnknownEvent,
    count_diff,
    fields,
    items,
    text,
    whole,
)
from .extract import STATES, WAITING, moment, paths_of


def state_event(state: TaskState, word: str, ref: TaskRef) -> TaskEvent:
    """Return the event of a state; one that is not known here is an `UnknownEvent`."""
    kind = STATE_EVENTS.get(state)
    if kind is None:
        return UnknownEvent(ref=ref, kind="turn.status", data=word, text=word)
    event: TaskEvent = kind(ref=ref, state=state, raw_state=word)  # type: ignore[assignment] # each is a task event
    return event


# Notifications about a thread that repeat others, or concern people at a terminal alone.
SILENT = frozenset(
    {
        "account/rateLimits/updated",
        "item/completed",  # read as an item
        "item/started",
        "rawResponseItem/completed",
        "serverRequest/resolved",
        "thread/closed",
        "thread/goal/cleared",
        "thread/name/updated",
        "thread/readState/changed",
        "thread/settings/updated",
        "thread/started",
    }
)


def item_event(item: Mapping[str, Any], ref: TaskRef, *, id: str, folder: str = "") -> TaskEvent:
    """Return the event of a completed item; *folder* is where the task works, from which paths are shown."""
    kind = text(item.get("type")) or ""
    if kind == "fileChange":
        return _file_change(item, ref, id, folder)
    make = _ITEMS.get(kind)
    if make is not None:
        return make(item, ref, id)
    at = _time(item)
    return UnknownEvent(ref=ref, id=id, at=at, kind=kind, data=dict(item), text=kind)


def _time(item: Mapping[str, Any]) -> Any:
    milliseconds = item.get("completedAtMs") or item.get("startedAtMs")
    return moment(milliseconds / 1000) if isinstance(milliseconds, int | float) else None


def _message(item: Mapping[str, Any], ref: TaskRef, id: str) -> TaskEvent:
    body = text(item.get("text")) or ""
    return TaskMessage(ref=ref, id=id, at=_time(item), text=body, message=Message(text=body))


def _user_message(item: Mapping[str, Any], ref: TaskRef, id: str) -> TaskEvent:
    parts = (text(fields(part).get("text")) for part in items(item.get("content")))
    body = "\n".join(part for part in parts if part)
    return TaskMessage(ref=ref, id=id, at=_time(item), text=body, message=Message(text=body, role="user"))


def _reasoning(item: Mapping[str, Any], ref: TaskRef, id: str) -> TaskEvent:
    parts = [text(part) or text(fields(part).get("text")) for part in items(item.get("summary"))]
    return TaskProgress(ref=ref, id=id, at=_time(item), text=" ".join(part for part in parts if part))


def _plan_text(item: Mapping[str, Any], ref: TaskRef, id: str) -> TaskEvent:
    return TaskProgress(ref=ref, id=id, at=_time(item), text=text(item.get("text")) or "")


def _command(item: Mapping[str, Any], ref: TaskRef, id: str) -> TaskEvent:
    command, status = text(item.get("command")) or "", text(item.get("status"))
    code = whole(item.get("exitCode"))
    output = text(item.get("aggregatedOutput"))
    artifact = Artifact(kind="command", command=command, output=output, exit_code=code)
    words = command if status in (None, "completed") else f"{command} ({status})"
    return TaskTool(ref=ref, id=id, at=_time(item), text=words, artifacts=(artifact,))


def _file_change(item: Mapping[str, Any], ref: TaskRef, id: str, folder: str) -> TaskEvent:
    status = text(item.get("status")) or ""
    how = "changed" if status == "completed" else f"change {status}:"
    return TaskTool(ref=ref, id=id, at=_time(item), text=f"{how} {', '.join(paths_of(item, folder))}".strip())


def _tool(item: Mapping[str, Any], ref: TaskRef, id: str) -> TaskEvent:
    names = (text(item.get(name)) for name in ("server", "tool", "query", "path"))
    words = " ".join((text(item.get("type")) or "", *(name for name in names if name)))
    return TaskTool(ref=ref, id=id, at=_time(item), text=words)


_ITEMS: Mapping[str, Callable[[Mapping[str, Any], TaskRef, str], TaskEvent]] = {
    "agentMessage": _message,
    "userMessage": _user_message,
    "reasoning": _reasoning,
    "plan": _plan_text,
    "commandExecution": _command,
    "mcpToolCall": _tool,
    "dynamicToolCall": _tool,
    "webSearch": _tool,
    "imageView": _tool,
}


def notification_event(method: str, parameters: Mapping[str, Any], ref: TaskRef) -> TaskEvent | None:
    """Return the event of a notification about a thread, None for one that another repeats."""
    if method in SILENT:
        return None
    make = _NOTIFICATIONS.get(method)
    if make is not None:
        return make(parameters, ref)
    return UnknownEvent(ref=ref, kind=method, data=dict(parameters), text=method)


def _turn(parameters: Mapping[str, Any], ref: TaskRef) -> TaskEvent:
    word = text(fields(parameters.get("turn")).get("status")) or ""
    return state_event(STATES.get(word, TaskState.UNKNOWN), word, ref)


def _status(parameters: Mapping[str, Any], ref: TaskRef) -> TaskEvent | None:
    flags = items(fields(parameters.get("status")).get("activeFlags"))
    waiting = next((flag for flag in WAITING if flag in flags), None)
    return None if waiting is None else state_event(TaskState.INPUT_REQUIRED, waiting, ref)


def _steps(parameters: Mapping[str, Any], ref: TaskRef) -> TaskEvent:
    given = [fields(step) for step in items(parameters.get("plan"))]
    steps = tuple(PlanStep(title=text(step.get("step")) or "", description=text(step.get("status"))) for step in given)
    plan = Plan(id=text(parameters.get("turnId")) or "", steps=steps, is_approved=True)
    return TaskPlan(ref=ref, plan=plan, is_approved=True, text="\n".join(step.title for step in steps))


def _diff(parameters: Mapping[str, Any], ref: TaskRef) -> TaskEvent | None:
    diff = text(parameters.get("diff"))
    stats = count_diff(Patch(diff.encode("utf-8", "surrogatepass"))) if diff else None
    return None if stats is None else TaskDiff(ref=ref, stats=stats)


def _tokens(parameters: Mapping[str, Any], ref: TaskRef) -> TaskEvent:
    total = fields(fields(parameters.get("tokenUsage")).get("total"))
    names = {
        "inputTokens": "in",
        "cachedInputTokens": "cached",
        "outputTokens": "out",
        "reasoningOutputTokens": "reasoning",
    }
    words = ", ".join(f"{total[name]} {word}" for name, word in names.items() if name in total)
    return TaskUsage(ref=ref, text=f"tokens: {words}")


def _error(parameters: Mapping[str, Any], ref: TaskRef) -> TaskEvent | None:
    if parameters.get("willRetry") is True:
        return None
    return TaskLog(ref=ref, source="error", text=text(fields(parameters.get("error")).get("message")) or "")


def _warning(parameters: Mapping[str, Any], ref: TaskRef) -> TaskEvent:
    return TaskLog(ref=ref, source="warning", text=text(parameters.get("message")) or "")


_NOTIFICATIONS: Mapping[str, Callable[[Mapping[str, Any], TaskRef], TaskEvent | None]] = {
    "turn/started": _turn,
    "turn/completed": _turn,
    "thread/status/changed": _status,
    "turn/plan/updated": _steps,
    "turn/diff/updated": _diff,
    "thread/tokenUsage/updated": _tokens,
    "error": _error,
    "warning": _warning,
}
