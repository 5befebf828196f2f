"""Read the files that an agent has left in its folder of artifacts.

The service lists them and gives a presigned URL for each, which is requested without the key
(docs/reference/protocols/cursor.md, "2 Endpoints"). Only texts are requested, within limits; any other file is named with
the reason why its content is missing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...provider import FileSnapshot, Request, check, errors, is_loopback, language_of, origin_of, whole
from . import responses, wire
from .requests import HEADERS, get

if TYPE_CHECKING:
    from ...provider import Exchange

# Limits of what the poll of an ended task requests: each file is two requests.
MAX_FILES = 20
MAX_BYTES = 1_000_000
# The account or the agent has no files: not enabled, not found, archived, gone, not implemented.
NONE_LISTED = frozenset({403, 404, 409, 410, 501})
SIGNED_URL = re.compile(r"(https?)://([A-Za-z0-9.-]+)(?::\d{1,5})?/[!-~]*")


def read_files(agent_path: str, service_url: str) -> Exchange[tuple[FileSnapshot, ...]]:
    """Return the files of the agent at *agent_path*; none where the service does not list them."""
    response = yield get(f"{agent_path}/artifacts")
    if response.status in NONE_LISTED:
        return ()
    listed = responses.read(response, wire.FilePage).items or []
    named = [each for each in listed if each.path]
    result = []
    for place, each in enumerate(named):
        reason = f"only {MAX_FILES} files are requested" if place >= MAX_FILES else _reason(each)
        result.append((yield from _read_file(agent_path, service_url, each.path or "", reason)))
    return tuple(result)


def _reason(listed: wire.File) -> str | None:
    """Return why a file is not requested, None for one that is."""
    size = whole(listed.size_bytes)
    return f"it has {size:,} bytes" if size is not None and size > MAX_BYTES else None


def _read_file(agent_path: str, service_url: str, path: str, reason: str | None) -> Exchange[FileSnapshot]:
    if reason is not None:
        return FileSnapshot(path=path, missing_reason=reason)
    try:
        content = yield from _download(agent_path, service_url, path)
    except errors.CoatcheckError as error:  # the task is complete without this file
        return FileSnapshot(path=path, missing_reason=f"it was not served: {error}")
    if content is None:
        return FileSnapshot(path=path, missing_reason="it is not a text")
    language = language_of(path, content)
    return FileSnapshot(path=path, content=content, is_whole=True, language=language.name if language else None)


def _is_permitted(url: str, service_url: str) -> bool:
    """Whether a presigned URL may be requested: https, or loopback where the service is there."""
    match = SIGNED_URL.fullmatch(url)
    if match is None:
        return False
    return match[1] == "https" or (is_loopback(match[2]) and is_loopback(origin_of(service_url)[1]))


def _download(agent_path: str, service_url: str, path: str) -> Exchange[str | None]:
    """Return the text of a file, None for one that is no text."""
    response = yield get(f"{agent_path}/artifacts/download", query=(("path", path),))
    url = responses.read(response, wire.Download).url or ""
    if not _is_permitted(url, service_url):
        raise errors.UnreadableResponseError("the service's address of it is no https URL", path="$.url")
    response = yield Request("GET", "/", headers=HEADERS[:1], url=url, is_public=True)
    check(response)
    try:
        text: str = response.body.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text
