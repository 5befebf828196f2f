"""The result of a workflow: an artifact with ``result.json``, ``message.md`` and ``patch.diff``, each optional. Pure.

Invariants:

- Three files are read by name and nothing is written: other entries of an archive and their paths are ignored.
- The size that an archive states is not trusted: reading stops at the limit.
- A result that cannot be read is a `Notice`, not an error: the run ended as it ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...provider import (
    UNREADABLE,
    Failure,
    Message,
    Notice,
    Patch,
    PullRequest,
    Value,
    decode_json,
    fields,
    flag,
    text,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from zipfile import ZipFile

# A diff of 100 MB is the largest that is read (the same as of the transports), packed or not.
MAX_ARCHIVE = MAX_FILE = 128 * 2**20


class Result(Value, frozen=True, kw_only=True):
    """The result of a run; `branch` is where it was pushed."""

    messages: tuple[Message, ...] = ()
    patch: Patch | None = None
    base_commit: str | None = None
    branch: str | None = None
    pull_request: PullRequest | None = None
    error: Failure | None = None
    model: str | None = None
    prompt: str | None = None
    notices: tuple[Notice, ...] = ()


def no_result(why: str) -> Result:
    """Return the result of a run whose result cannot be had."""
    return Result(notices=(Notice(kind="no_result", text=why),))


def read(archive: bytes) -> Result:
    """Return what the artifact's archive holds."""
    import zlib  # with zipfile 15 ms, and only the end of a run needs them
    from io import BytesIO
    from zipfile import BadZipFile, ZipFile

    try:
        with ZipFile(BytesIO(archive)) as opened:
            result = {name: member(opened, name) for name in ("result.json", "message.md", "patch.diff")}
    except TooLargeError as error:
        return no_result(f"its result is not read: {error} is larger than {MAX_FILE >> 20} MiB")
    except (BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        return no_result(f"its result is not an archive that can be read: {' '.join(str(error).split())[:100]}")
    return result_of(_document(result["result.json"]), message=result["message.md"], diff=result["patch.diff"])


class TooLargeError(Exception):
    """A file is larger than what is read."""


def member(archive: ZipFile, name: str) -> bytes:
    """Return a file of the archive's root, empty where there is none; raises `TooLargeError`."""
    if name not in archive.NameToInfo:
        return b""
    with archive.open(name) as file:
        data = file.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise TooLargeError(name)
    return data


def result_of(document: Mapping[str, object], *, message: bytes, diff: bytes) -> Result:
    """Return the result of a run from its files."""
    declared = message.decode("utf-8-sig", "replace").strip() or text(document.get("message"))
    error = text(document.get("error"))
    return Result(
        messages=(Message(text=declared),) if declared else (),
        patch=Patch(diff) if diff.strip() else None,
        base_commit=text(document.get("base_commit")),
        branch=text(document.get("branch")),
        pull_request=_pull_request(fields(document.get("pull_request")), document),
        error=Failure(message=error) if error else None,
        model=text(document.get("model")),
        prompt=text(document.get("prompt")),
    )


def _document(data: bytes) -> Mapping[str, object]:
    try:
        return fields(decode_json(data, object)) if data else {}
    except UNREADABLE:
        return {}


def _pull_request(pull: Mapping[str, object], document: Mapping[str, object]) -> PullRequest | None:
    commit_message = text(document.get("commit_message"))
    if not pull and commit_message is None:
        return None
    return PullRequest(
        title=text(pull.get("title")),
        body=text(pull.get("body")),
        branch=text(document.get("branch")),
        number=whole(pull.get("number")),
        url=text(pull.get("url")),
        draft=flag(pull.get("draft")),
        commit_message=commit_message,
    )
