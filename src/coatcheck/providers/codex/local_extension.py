"""What the local cloud adds to WHAM's responses: the member ``coatcheck`` of a task (docs/guides/local-cloud.md).

Guarantee: a task whose member is missing, or cannot be read, is what WHAM's own members say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from ...provider import UNREADABLE, Notice, PermissionRequest, TaskState, decode_json, errors

if TYPE_CHECKING:
    from ...provider import Page, Task

# A response without these bytes has no such member.
_MEMBER = b'"coatcheck":'


class Extension(msgspec.Struct, frozen=True):
    """The member ``coatcheck``: what a task waits for, and what its agent has used."""

    permission_requests: list[dict[str, Any]] = []
    usage: str | None = None


class _Extended(msgspec.Struct, frozen=True):
    id: str | None = None
    coatcheck: Extension | None = None


class _ExtendedPage(msgspec.Struct, frozen=True):
    items: list[_Extended] = []


def with_details(task: Task, body: bytes) -> Task:
    """Return *task* with what the local cloud adds to its details."""
    extension = _read(body, _Extended).coatcheck if _MEMBER in body else None
    return task if extension is None else _extended(task, extension)


def with_list(page: Page, body: bytes) -> Page:
    """Return *page* with what the local cloud adds to the tasks of a list."""
    if _MEMBER not in body:
        return page
    extensions = {each.id: each.coatcheck for each in _read(body, _ExtendedPage).items if each.coatcheck}
    tasks = (_extended(task, extensions[task.id]) if task.id in extensions else task for task in page.items)
    return msgspec.structs.replace(page, items=tuple(tasks))


def _read(body: bytes, type: type[Any]) -> Any:
    try:
        return decode_json(body, type)
    except (*UNREADABLE, errors.CoatcheckError):
        return type()


def _extended(task: Task, extension: Extension) -> Task:
    requests = tuple(filter(None, map(_request, extension.permission_requests)))
    usage = (Notice(kind="usage", text=extension.usage),) if extension.usage else ()
    return msgspec.structs.replace(
        task,
        state=TaskState.INPUT_REQUIRED if requests else task.state,
        permission_requests=requests,
        notices=(*task.notices, *usage),
    )


def _request(document: Mapping[str, Any]) -> PermissionRequest | None:
    try:
        return PermissionRequest.from_dict(document)
    except errors.CoatcheckError:  # of a newer version
        return None
