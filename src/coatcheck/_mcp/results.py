"""Answers and errors of tools as results of the SDK."""

from __future__ import annotations

from typing import Any

import mcp_types as types
import msgspec

from . import answers
from .error_text import message_of
from .resources import patch_links


def result_of(answer: answers.Answer) -> types.CallToolResult:
    """Return *answer* as structured content, as the same in JSON for clients that read text, and as links."""
    document = answers.to_document(answer)
    content: list[Any] = [types.TextContent(text=msgspec.json.encode(document).decode())]
    content += [
        types.ResourceLink(uri=each.uri, name=each.name, title=each.title, mime_type=each.media_type)
        for each in patch_links(answer)
    ]
    return types.CallToolResult(content=content, structured_content=document)


def error_result(error: Exception, *, ref: str | None = None) -> types.CallToolResult:
    """Return an error as a result that the model can read; it names the task *ref*."""
    text = answers.valid_text(message_of(error))
    if ref is not None and ref not in text:
        text = f"{answers.valid_text(ref)}: {text}"
    return types.CallToolResult(content=[types.TextContent(text=text)], is_error=True)
