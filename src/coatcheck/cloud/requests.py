"""Read what a client posts, as strictly as the service: what is missing is named in a 400.

See docs/reference/protocols/codex-wham.md, 2.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeVar

import msgspec

from .models import Mode, TaskOrder
from .responses import Refusal, decode, validation

T = TypeVar("T")

MAX_ATTEMPTS = 4  # docs/reference/protocols/codex-wham.md, 8: --attempts 1..4


class _Part(msgspec.Struct):
    content_type: str | None = None
    text: str | None = None


class _Diff(msgspec.Struct):
    diff: str | None = None


class _Item(msgspec.Struct):
    type: str
    role: str | None = None
    content: list[_Part] | None = None
    output_diff: _Diff | None = None


class _NewTask(msgspec.Struct):
    environment_id: str
    branch: str | None = None
    run_environment_in_qa_mode: bool = False


class _FollowUp(msgspec.Struct):
    task_id: str
    turn_id: str
    environment_mode: Literal["ask", "code"] | None = None
    run_environment_in_qa_mode: bool = False


class _Metadata(msgspec.Struct):
    best_of_n: int | None = None
    model_slug: str | None = None


class _Body(msgspec.Struct):
    input_items: list[_Item]
    new_task: _NewTask | None = None
    follow_up: _FollowUp | None = None
    metadata: _Metadata | None = None


class FollowUp(msgspec.Struct, frozen=True):
    """A further round of a task, after the assistant turn `turn_id`."""

    task_id: str
    turn_id: str
    order: TaskOrder


class PullRequestRequest(msgspec.Struct, frozen=True):
    """How a pull request shall be made."""

    mode: Literal["draft", "auto_merge"] = "draft"
    add_codex_tag: bool = False


def read_body(body: bytes, shape: type[T]) -> T:
    """Return *body* as *shape*; raises `Refusal` with the validator's 400."""
    try:
        return decode(body or b"{}", shape)
    except ValueError as error:
        reason, _, path = str(error).partition(" - at `$")
        raise Refusal(validation(path.strip("`.") or "json", reason)) from None


def read_order(body: bytes) -> TaskOrder | FollowUp:
    """Return the request of a ``POST /tasks``; raises `Refusal`."""
    asked = read_body(body, _Body)
    if asked.new_task is not None:
        return _new_task(asked, asked.new_task)
    if asked.follow_up is not None:
        return _follow_up(asked, asked.follow_up)
    raise Refusal(validation("new_task", "Field required", type="missing"))


def _new_task(asked: _Body, new: _NewTask) -> TaskOrder:
    metadata = asked.metadata or _Metadata()
    attempts = 1 if metadata.best_of_n is None else metadata.best_of_n
    if not 1 <= attempts <= MAX_ATTEMPTS:
        raise Refusal(validation("metadata.best_of_n", f"Input should be between 1 and {MAX_ATTEMPTS}"))
    return TaskOrder(
        prompt=_prompt(asked.input_items),
        environment_id=new.environment_id,
        branch=_without_nul("new_task.branch", new.branch),
        attempts=attempts,
        mode=_mode(is_ask=new.run_environment_in_qa_mode),
        starting_diff=_starting_diff(asked.input_items),
        model=_without_nul("metadata.model_slug", metadata.model_slug),
    )


def _follow_up(asked: _Body, follow_up: _FollowUp) -> FollowUp:
    is_ask = follow_up.run_environment_in_qa_mode or follow_up.environment_mode == "ask"
    order = TaskOrder(
        prompt=_prompt(asked.input_items),
        mode=_mode(is_ask=is_ask),
        model=_without_nul("metadata.model_slug", (asked.metadata or _Metadata()).model_slug),
    )
    return FollowUp(follow_up.task_id, follow_up.turn_id, order)


def _mode(*, is_ask: bool) -> Mode:
    return "ask" if is_ask else "code"


def _prompt(items: Iterable[_Item]) -> str:
    messages = (item for item in items if item.type == "message" and item.role in (None, "user"))
    texts = [part.text for item in messages for part in item.content or () if part.text]
    if not any(text.strip() for text in texts):
        raise Refusal(validation("input_items", "A message with text is required"))
    prompt = "\n\n".join(texts)
    _without_nul("input_items", prompt)
    return prompt


def _without_nul(location: str, text: str | None) -> str | None:
    """Return *text*; raises `Refusal` for a NUL, which no argument and no environment variable of an agent can hold."""
    if text is not None and "\0" in text:
        raise Refusal(validation(location, "Input should not contain NUL characters"))
    return text


def _starting_diff(items: Iterable[_Item]) -> str | None:
    diffs = (item.output_diff.diff for item in items if item.type == "pre_apply_patch" and item.output_diff)
    return next(filter(None, diffs), None)
