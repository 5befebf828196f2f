"""Write an outcome as a Chat Completions response object, which many tools read.

It holds known facts only: no service reports the tokens of a task, so `usage` is null; nothing is estimated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .markdown import fenced

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from .._patches.parse import Patch

# The format has no reason for a failure: an attempt that did not succeed is "length", which readers of the format treat
# as incomplete (https://platform.openai.com/docs/api-reference/chat/object, finish_reason).
SUCCEEDED, INCOMPLETE = "stop", "length"


class Choice(NamedTuple):
    """One attempt: its position among the others, from 0, and whether it succeeded."""

    placement: int
    content: str
    is_success: bool


def content_of(text: str, patch: Patch | None) -> str:
    """Return the content of a message: the text, then the diff as a code block."""
    diff = fenced(bytes(patch).decode("utf-8", "backslashreplace"), "diff") if patch else ""
    return "\n\n".join(filter(None, (text, diff)))


def completion(
    choices: Sequence[Choice], *, model: str | None, id: str | None, created: datetime | None
) -> dict[str, object]:
    """Return the response object. Without an *id* it is a digest of the content; `created` is 0 where the time is not known."""
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
        "finish_reason": SUCCEEDED if choice.is_success else INCOMPLETE,
    }


def _digest(choices: Sequence[Choice]) -> str:
    import hashlib  # 5 ms, and a task has an id

    text = "\0".join(choice.content for choice in choices)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:24]
