"""What happens in a session, one activity at a time (docs/reference/protocols/jules.md, "2.4 Activity"). Pure.

Invariants:

- Activities never change and are listed oldest first; change sets are cumulative, so the last with a diff is the whole.
- A kind that is not known, of activity or artifact, is reported under its native word with the service's data.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from ...provider import (
    Artifact,
    Message,
    Plan,
    PlanStep,
    Response,
    TaskEvent,
    TaskMessage,
    TaskPlan,
    TaskProgress,
    TaskRef,
    TaskTool,
    UnknownEvent,
    decode_json,
    instant,
    read_json,
    text,
    whole,
)
from . import wire

DIFF_TYPE = "text/x-diff"


class Happening(msgspec.Struct, frozen=True):
    """An activity with the service's name of its kind ("" where it has none) and its artifacts."""

    activity: wire.Activity
    kind: str = ""
    data: object = None
    artifacts: tuple[Artifact, ...] = ()
    change: wire.GitPatch | None = None

    @property
    def at(self) -> float | None:
        """Return when it happened, in seconds since the epoch."""
        moment = instant(self.activity.create_time)
        return moment.timestamp() if moment else None

    @property
    def is_agents(self) -> bool:
        """Whether the agent did it."""
        return self.activity.originator == "agent"


def read_page(answer: Response) -> tuple[list[Happening], str | None]:
    """Return a page of activities and the token of the next one."""
    page = read_json(answer.body, wire.ActivityPage, response=answer)
    document = enumerate(page.activities or ())
    return [_happening(raw, answer, at=f"$.activities[{i}]") for i, raw in document], page.next_page_token or None


def _happening(raw: msgspec.Raw, answer: Response, *, at: str) -> Happening:
    activity = read_json(raw, wire.Activity, response=answer, at=at)
    kind = next((word for word, (field, _) in KINDS.items() if getattr(activity, field) is not None), "")
    kind, data = (kind, None) if kind else _unknown_kind(raw)
    shown = [_artifact(part, answer, at=f"{at}.artifacts[{i}]") for i, part in enumerate(activity.artifacts or ())]
    changes = [change for _, change in shown if change is not None and change.unidiff_patch]
    return Happening(activity, kind, data, tuple(artifact for artifact, _ in shown), changes[-1] if changes else None)


def _unknown_kind(raw: msgspec.Raw) -> tuple[str, object]:
    progress = decode_json(raw, dict[str, object])
    return next(((word, value) for word, value in progress.items() if word not in wire.COMMON), ("", None))


# -- artifacts ---------------------------------------------------------------------------------------------------------


def _artifact(raw: msgspec.Raw, answer: Response, *, at: str) -> tuple[Artifact, wire.GitPatch | None]:
    shown = read_json(raw, wire.Artifact, response=answer, at=at)
    if shown.bash_output is not None:
        return _command(shown.bash_output), None
    if shown.media is not None:
        return _media(shown.media), None
    if shown.change_set is not None:
        patch = shown.change_set.git_patch
        content = ((patch and patch.unidiff_patch) or "").encode()
        return Artifact(kind="change", media_type=DIFF_TYPE, content=content), patch
    word, value = next(iter(decode_json(raw, dict[str, object]).items()), ("artifact", None))
    return Artifact(kind=word, data=value), None


def _command(ran: wire.BashOutput) -> Artifact:
    """Return a command; proto3 leaves an exit code of 0 out.

    See docs/reference/protocols/jules.md, "1.1 Base, auth, versions".
    """
    code = 0 if ran.exit_code is None else whole(ran.exit_code)
    return Artifact(kind="command", command=text(ran.command), output=text(ran.output), exit_code=code)


def _media(media: wire.Media) -> Artifact:
    try:
        content = base64.b64decode(media.data or "")
    except (binascii.Error, ValueError):
        content = b""
    return Artifact(kind="media", media_type=text(media.mime_type), content=content)


# -- events ------------------------------------------------------------------------------------------------------------


def plan_of(plan: wire.Plan | None, *, is_approved: bool = False) -> Plan | None:
    """Return a plan; one without an id has none to approve."""
    if plan is None:
        return None
    steps = tuple(
        PlanStep(title=text(step.title) or "", description=text(step.description)) for step in plan.steps or ()
    )
    return Plan(id=plan.id or "", steps=steps, is_approved=is_approved)


def message_of(activity: wire.Activity) -> Message | None:
    """Return the message, None where there is none."""
    if activity.agent_messaged and activity.agent_messaged.agent_message:
        return Message(text=activity.agent_messaged.agent_message)
    if activity.user_messaged and activity.user_messaged.user_message:
        return Message(text=activity.user_messaged.user_message, role="user")
    return None


def progress_of(activity: wire.Activity) -> str | None:
    """Return the agent's progress in one text; it is often missing.

    See docs/reference/protocols/jules.md, "2.4 Activity".
    """
    progress = activity.progress_updated
    lines = (progress.title, progress.description) if progress else ()
    return ": ".join(filter(None, map(text, lines))) or text(activity.description)


def _plan(activity: wire.Activity, common: Common) -> TaskEvent:
    plan = plan_of(activity.plan_generated.plan if activity.plan_generated else None)
    steps = plan.steps if plan else ()
    text = "\n".join(f"{number}. {step.title}" for number, step in enumerate(steps, 1)) or None
    return TaskPlan(plan=plan, text=text, **common)


def _approved(activity: wire.Activity, common: Common) -> TaskEvent:
    return TaskPlan(is_approved=True, text=text(activity.description), **common)


def _message(activity: wire.Activity, common: Common) -> TaskEvent:
    message = message_of(activity)
    if message is None:
        return TaskProgress(**common)
    return TaskMessage(message=message, text=message.text, **common)


def _progress(activity: wire.Activity, common: Common) -> TaskEvent:
    progress = progress_of(activity)
    is_tool = progress is None and bool(common["artifacts"])
    return TaskTool(**common) if is_tool else TaskProgress(text=progress, **common)


def _failed(activity: wire.Activity, common: Common) -> TaskEvent:
    reason = activity.session_failed.reason if activity.session_failed else None
    return TaskProgress(text=": ".join(filter(None, ("the session failed", reason))), **common)


def _completed(activity: wire.Activity, common: Common) -> TaskEvent:
    return TaskProgress(text=text(activity.description) or "the session completed", **common)


# What every event has: ref, id, at, artifacts.
Common: TypeAlias = dict[str, Any]

# The service's word -> (field of `wire.Activity`, what makes the event). The state of the task reports its end.
KINDS: Mapping[str, tuple[str, Callable[[wire.Activity, Common], TaskEvent]]] = {
    "planGenerated": ("plan_generated", _plan),
    "planApproved": ("plan_approved", _approved),
    "userMessaged": ("user_messaged", _message),
    "agentMessaged": ("agent_messaged", _message),
    "progressUpdated": ("progress_updated", _progress),
    "sessionCompleted": ("session_completed", _completed),
    "sessionFailed": ("session_failed", _failed),
}


def event_of(happening: Happening, ref: TaskRef, *, cursor: str) -> TaskEvent:
    """Return an activity as an event; one of an unknown kind keeps the service's name of it.

    See docs/reference/protocols/jules.md, "2.4 Activity".
    """
    activity = happening.activity
    common: Common = {
        "ref": ref,
        "id": cursor,
        "artifacts": happening.artifacts,
        "at": instant(activity.create_time),
    }
    if happening.kind not in KINDS:
        progress = text(activity.description)
        return UnknownEvent(kind=happening.kind or "activity", data=happening.data, text=progress, **common)
    return KINDS[happening.kind][1](activity, common)
