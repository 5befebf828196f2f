"""Tasks and their patches as resources: ``coatcheck://task/REF`` and ``coatcheck://task/REF/attempt/N/patch``.

A ref's characters that a URI does not allow are percent-encoded (RFC 3986, section 2.1).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, unquote

from .. import errors
from . import answers
from .tools import task_out

if TYPE_CHECKING:
    from .._app.workspace import Workspace
    from .tools import Call

MAX_LISTED = 50
# A resource comes whole; a longer patch is read in pages by `get_result`.
MAX_PATCH = 1_000_000
_URI = re.compile(r"coatcheck://task/([^/?#]+)(?:/attempt/([1-9][0-9]{0,3})/patch)?")


class ResourceEntry(NamedTuple):
    """A resource, or a template of resources."""

    uri: str
    name: str
    title: str
    media_type: str


RESOURCE_TEMPLATES: Sequence[ResourceEntry] = (
    ResourceEntry("coatcheck://task/{ref}", "task", "A task as it is now", "application/json"),
    ResourceEntry(
        "coatcheck://task/{ref}/attempt/{number}/patch", "patch", "The git diff of an attempt", "text/x-diff"
    ),
)


def task_uri(ref: str) -> str:
    """Return the URI of a task."""
    return f"coatcheck://task/{quote(ref, safe=':@')}"


def list_resources(workspace: Workspace) -> Sequence[ResourceEntry]:
    """Return the tasks that were submitted from this machine, the latest first."""
    from .._app.recent_tasks import recent_tasks

    return [
        ResourceEntry(task_uri(str(each.ref)), str(each.ref), f"The task {each.ref}", "application/json")
        for each in recent_tasks(workspace, limit=MAX_LISTED)
    ]


def patch_links(answer: answers.Answer) -> Sequence[ResourceEntry]:
    """Return a link to the patch of each attempt of an answer that has one."""
    if not isinstance(answer, answers.TaskOut | answers.Waited) or answer.ref is None or not answer.is_terminal:
        return ()
    return [
        ResourceEntry(
            f"{task_uri(answer.ref)}/attempt/{each.number}/patch",
            f"attempt-{each.number}.diff",
            f"The git diff of attempt {each.number}",
            "text/x-diff",
        )
        for each in answer.attempts
        if each.files
    ]


def read_resource(call: Call, uri: str) -> tuple[str, str]:
    """Return the media type and the text of a resource. Raises `ConfigurationError`, and what reading a task raises."""
    import msgspec

    from .._app.bounded_wait import current_task
    from .._app.result_parts import read_part

    match = _URI.fullmatch(uri)
    if match is None:
        raise errors.ConfigurationError(f"unknown resource: {uri[:200]}", remedy="use coatcheck://task/REF")
    task = current_task(call.session, call.session.ref(unquote(match[1])))
    if match[2] is None:
        return "application/json", msgspec.json.encode(answers.to_document(task_out(call, task))).decode()
    text = answers.valid_text(read_part(task, int(match[2]), "diff").text)
    if len(text) > MAX_PATCH:
        raise errors.ConfigurationError(
            f"the patch has {len(text)} characters", remedy="read it in pages with get_result"
        )
    return "text/x-diff", text
