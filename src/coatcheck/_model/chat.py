"""What was made, as the answer of a chat: the Chat Completions response object, which many tools read.

Only what is known is in it. No service tells how many tokens a task took, so `usage` is null; nothing is estimated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .markdown import fenced
from .states import TaskState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from .._patches.parse import Patch

# The format has no word for failing: whatever did not come to its end is "length", which its readers take for
# incomplete (platform.openai.com/docs/api-reference/chat/object, finish_reason).
FINISH_REASONS: Mapping[TaskState, str] = {TaskState.SUCCEEDED: "stop"}
UNFINISHED = "length"


class Choice(NamedTuple):
    """One attempt: where it stands among the others, from 0, and how it ended."""

    placement: int
    content: str
    state: TaskState


def content_of(text: str, patch: Patch | None) -> str:
    """Return a message's content: what was said, then the diff as a code block."""
    diff = fenced(bytes(patch).decode("utf-8", "backslashreplace"), "diff") if patch else ""
    return "\n\n".join(filter(None, (text, diff)))


def completion(
    choices: Sequence[Choice], *, model: str | None, id: str | None, created: datetime | None
) -> dict[str, object]:
    """Return the response object. Without an *id* it is a digest of the content; `created` is 0 when nobody knows."""
    return {
        "id": f"chatcmpl-{id or _digest(choices)}",
        "object": "chat.completion",
        "created": int(created.timestamp()) if created else 0,
        "model": model or "unknown",
        "choices": [_choice(choice) for choice in choices],
        "usage": None,
    }


def _choice(choice: Choice) -> dict[str, object]:
    return {
        "index": choice.placement,
        "message": {"role": "assistant", "content": choice.content, "refusal": None},
        "logprobs": None,
        "finish_reason": FINISH_REASONS.get(choice.state, UNFINISHED),
    }


def _digest(choices: Sequence[Choice]) -> str:
    import hashlib  # 5 ms, and a task has an id

    text = "\0".join(choice.content for choice in choices)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:24]
