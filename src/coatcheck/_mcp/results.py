"""Answers and errors of tools as results of the SDK.

Guarantee: of an error that is not ours only the type is returned; the log has the rest.
"""

from __future__ import annotations

import logging
from typing import Any

import mcp_types as types
import msgspec

from .. import errors
from .._app.field_errors import FieldError
from . import answers
from .resources import patch_links

logger = logging.getLogger("coatcheck.mcp")


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


def message_of(error: Exception) -> str:
    """Return the message of an error and its remedy; of one that is not ours its type, and the log has the rest."""
    if isinstance(error, FieldError):
        error = error.spelled(lambda field: field)
    if isinstance(error, msgspec.ValidationError):
        return f"the arguments do not fit: {error}"
    if not isinstance(error, errors.CoatcheckError):
        logger.error("a tool failed", exc_info=error)
        return f"this is a bug in coatcheck: {type(error).__name__}; its standard error has the details"
    message = " ".join(str(error).split())
    return f"{message}; {error.remedy}" if error.remedy else message
