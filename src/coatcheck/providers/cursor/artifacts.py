"""Read the files that an agent has left in its folder of artifacts.

The service lists them and gives a presigned URL for each, which is requested without the key
(docs/reference/protocols/cursor.md, "2 Endpoints"). Only texts are requested, within limits; any other file is named with
the reason why its content is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...provider import FileSnapshot, Request, check, errors, language_of, origin_of, whole
from . import responses, wire
from .requests import HEADERS, get

if TYPE_CHECKING:
    from ...provider import Exchange

# Limits of what the poll of an ended task requests: each file is two requests.
MAX_FILES = 20
MAX_BYTES = 1_000_000


def read_files(agent_path: str) -> Exchange[tuple[FileSnapshot, ...]]:
    """Return the files of the agent at *agent_path*; none where the service does not list them."""
    response = yield get(f"{agent_path}/artifacts")
    if response.status in (403, 404, 501):
        return ()
    listed = responses.read(response, wire.FilePage).items or []
    named = [each for each in listed if each.path]
    result = []
    for place, each in enumerate(named):
        reason = f"only {MAX_FILES} files are requested" if place >= MAX_FILES else _reason(each)
        result.append((yield from _read_file(agent_path, each.path or "", reason)))
    return tuple(result)


def _reason(listed: wire.File) -> str | None:
    """Return why a file is not requested, None for one that is."""
    size = whole(listed.size_bytes)
    return f"it has {size:,} bytes" if size is not None and size > MAX_BYTES else None


def _read_file(agent_path: str, path: str, reason: str | None) -> Exchange[FileSnapshot]:
    if reason is not None:
        return FileSnapshot(path=path, missing_reason=reason)
    try:
        content = yield from _download(agent_path, path)
    except errors.CoatcheckError as error:  # the task is complete without this file
        return FileSnapshot(path=path, missing_reason=f"it was not served: {error}")
    if content is None:
        return FileSnapshot(path=path, missing_reason="it is not a text")
    language = language_of(path, content)
    return FileSnapshot(path=path, content=content, is_whole=True, language=language.name if language else None)


def _download(agent_path: str, path: str) -> Exchange[str | None]:
    """Return the text of a file, None for one that is no text."""
    response = yield get(f"{agent_path}/artifacts/download", query=(("path", path),))
    url = responses.read(response, wire.Download).url or ""
    origin_of(url)
    response = yield Request("GET", "/", headers=HEADERS[:1], url=url, is_public=True)
    check(response)
    try:
        text: str = response.body.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text
