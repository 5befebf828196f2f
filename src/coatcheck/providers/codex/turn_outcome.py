"""From the items of a turn to an `Outcome`. Pure.

Invariants:

- What both turns contain is kept once.
- The diff is searched in the official client's order: the diff turn, then the assistant's; the first one that
  is not empty. A diff kept elsewhere is reported as that, never as none.
- No loop here goes over the lines of a diff.

See docs/reference/protocols/codex-wham.md, "2.3 GET /wham/tasks/{task_id}" and "4 Extraction rules".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING

from ...provider import (
    Citation,
    DiffStats,
    Failure,
    FileLines,
    FileSnapshot,
    Message,
    Outcome,
    Patch,
    PatchState,
    PullRequest,
    fields,
    flag,
    items,
    text,
    whole,
)
from . import wire

if TYPE_CHECKING:
    from ...provider import Language

NO_ITEMS: list[wire.Item] = []


def outcome(turn: wire.Turn, *, diff_turn: wire.Turn | None = None, pull_request: PullRequest | None = None) -> Outcome:
    """Return the outcome of *turn*; *diff_turn* where the service shows the change in another one.

    *pull_request* is the turn's, as it exists on the host.
    """
    own = turn.output_items or NO_ITEMS
    both = [*((diff_turn and diff_turn.output_items) or NO_ITEMS), *own]
    if not (both or turn.worklog or turn.pull_request_data or pull_request):  # most polls: no output yet
        return Outcome(base_commit=text(turn.base_commit_sha), error=failure(turn))
    worklog = _worklog(turn) if turn.worklog else ()
    change = _change(both)
    patch = Patch(change.diff.encode()) if change and change.diff else None
    size = diff_stats(change) if change else None
    return Outcome(
        messages=_messages(both, own) or tuple(message for message in worklog if message.role == "assistant"),
        patch=patch,
        patch_state=_patch_state(patch, change),
        external_file_id=_external_file(change),
        base_commit=(text(change.base_commit_sha) if change else None) or text(turn.base_commit_sha),
        stats=size,
        pull_request=_pull_request_of(both, turn, change, pull_request, size),
        files=_files(both, own),
        error=failure(turn),
        worklog=worklog,
    )


def failure(turn: wire.Turn) -> Failure | None:
    """Return why *turn* failed, None where no error is given."""
    error = turn.error
    if isinstance(error, str):
        return Failure(message=error) if error else None
    return Failure(code=error.code, message=error.message) if error and (error.code or error.message) else None


def prompt(turn: wire.Turn | None) -> str | None:
    """Return the user's prompt; parts are joined by a blank line, a missing role is the user's.

    See docs/reference/protocols/codex-wham.md, "4 Extraction rules".
    """
    if turn is None:
        return None
    user_items = [
        item for item in turn.input_items or NO_ITEMS if item.type == "message" and item.role in (None, "user")
    ]
    return "\n\n".join(texts for item in user_items for texts in _texts(item.content)) or None


# -- messages ----------------------------------------------------------------------------------------------------------


def _messages(both: list[wire.Item], own: list[wire.Item]) -> tuple[Message, ...]:
    own_messages = tuple(_assistant_messages(own))
    if len(both) == len(own):
        return own_messages
    others = _assistant_messages(both[: len(both) - len(own)])
    return (*(message for message in others if message not in own_messages), *own_messages)


def _assistant_messages(found: Iterable[wire.Item]) -> Iterator[Message]:
    for item in found:
        if item.type == "message" and (message := _message(item.content, item.role)):
            yield message


def _worklog(turn: wire.Turn) -> tuple[Message, ...]:
    entries = (turn.worklog.messages if turn.worklog else None) or ()
    texts = (
        _message(entry.content.parts if entry.content else None, entry.author.role if entry.author else None)
        for entry in entries
    )
    return tuple(filter(None, texts))


def _message(content: wire.Content, role: str | None) -> Message | None:
    """Join the parts: a citation is inside a running text, a text after a text is a new paragraph."""
    if isinstance(content, list) and len(content) == 1 and isinstance(part := content[0], wire.Part) and part.text:
        return Message(text=part.text, role=role or "assistant")  # nearly all messages
    texts: list[str] = []
    citations: list[Citation] = []
    length, is_running = 0, True
    for part in _parts(content):
        content_text = part if isinstance(part, str) else part.text
        if content_text:
            gap = "" if is_running else "\n\n"
            texts += (gap, content_text)
            length += len(gap) + len(content_text)
        elif isinstance(part, wire.Part) and (citation := _citation(part, length)):
            citations.append(citation)
        is_running = not content_text
    if not (length or citations):
        return None
    return Message(text="".join(texts), role=role or "assistant", citations=tuple(citations))


def _parts(content: wire.Content) -> list[wire.Part | str]:
    return [content] if isinstance(content, str) else [part for part in content or () if part is not None]


def _texts(content: wire.Content) -> Iterator[str]:
    content_text = (part if isinstance(part, str) else part.text for part in _parts(content))
    return filter(None, content_text)


def _citation(part: wire.Part, offset: int) -> Citation | None:
    target = text(part.path) or text(part.terminal_chunk_id) or text(part.asset_pointer)
    if target is None:
        return None
    kind = part.content_type or "citation"
    return Citation(
        kind=kind, target=target, start=whole(part.line_range_start), end=whole(part.line_range_end), offset=offset
    )


# -- the change --------------------------------------------------------------------------------------------------------


def _change(found: Iterable[wire.Item]) -> wire.Diff | None:
    """Return the first diff that is there, else the first that is kept elsewhere, else the first at all."""
    changes = [change for item in found if (change := _change_in(item))]
    for change in changes:
        if change.diff:
            return change
    elsewhere = (change for change in changes if _external_file(change))
    return next(elsewhere, None) or next(iter(changes), None)


def _change_in(item: wire.Item) -> wire.Diff | None:
    if item.type == "output_diff":
        return item
    return item.output_diff if item.type == "pr" else None


def _external_file(change: wire.Diff | None) -> str | None:
    return text(fields(change.external_storage_diff).get("file_id")) if change else None


def _patch_state(patch: Patch | None, change: wire.Diff | None) -> PatchState:
    if patch is not None:
        return PatchState.PRESENT
    return PatchState.OFFLOADED if change and fields(change.external_storage_diff) else PatchState.NONE


def diff_stats(source: wire.Diff) -> DiffStats | None:
    """Return the size that the service states of a change."""
    return stats(source.files_modified, source.lines_added, source.lines_removed)


def stats(files: object, added: object, removed: object) -> DiffStats | None:
    """Return files, added and removed lines; negative ones are 0, None where the service states none of them.

    See docs/reference/protocols/codex-wham.md, "3 Status model".
    """
    stated = whole(files), whole(added), whole(removed)
    if stated == (None, None, None):
        return None
    return DiffStats(files=max(0, stated[0] or 0), added=max(0, stated[1] or 0), removed=max(0, stated[2] or 0))


# -- pull requests -----------------------------------------------------------------------------------------------------


def _pull_request_of(
    found: Iterable[wire.Item],
    turn: wire.Turn,
    change: wire.Diff | None,
    existing: PullRequest | None,
    size: DiffStats | None,
) -> PullRequest | None:
    """Return the text that the agent wrote, with the number and address of the host."""
    item = next((item for item in found if item.type == "pr"), None)
    on_host = existing or (pull_request(turn.pull_request_data) if turn.pull_request_data else None)
    if item is None:
        return None if on_host == PullRequest() else on_host
    if on_host is None:
        return PullRequest(
            title=text(item.pr_title),
            body=text(item.pr_message),
            branch=text(turn.branch_name),
            base=text(turn.branch),
            stats=size,
            commit_message=text(change.commit_message) if change else None,
        )
    return PullRequest(
        title=text(item.pr_title) or on_host.title,
        body=text(item.pr_message) or on_host.body,
        branch=text(turn.branch_name) or on_host.branch,
        base=on_host.base or text(turn.branch),
        stats=size if change else on_host.stats,
        commit_message=text(change.commit_message) if change else None,
        **{name: getattr(on_host, name) for name in ("number", "url", "state", "draft", "is_merged")},
    )


def pull_request(value: object) -> PullRequest | None:
    """Return a pull request of the host, bare or inside an external one; None for anything else.

    See docs/reference/protocols/codex-wham.md, "2.1 GET /wham/tasks/list".
    """
    outer = fields(value)
    found = fields(outer.get("pull_request")) or outer
    if not ("number" in found or "url" in found):
        return None
    return PullRequest(
        title=text(found.get("title")),
        body=text(found.get("body")),
        branch=text(found.get("head")),
        base=text(found.get("base")),
        number=whole(found.get("number")),
        url=text(found.get("url")),
        state=text(found.get("state")),
        draft=flag(found.get("draft")),
        is_merged=flag(found.get("merged")),
        stats=stats(found.get("changed_files"), found.get("additions"), found.get("deletions")),
    )


# -- files -------------------------------------------------------------------------------------------------------------


def _files(both: list[wire.Item], own: list[wire.Item]) -> tuple[FileSnapshot, ...]:
    own_messages = tuple(_snapshots(own))
    if len(both) == len(own):
        return own_messages
    paths = {snapshot.path for snapshot in own_messages}
    others = _snapshots(both[: len(both) - len(own)])
    return (*own_messages, *(snapshot for snapshot in others if snapshot.path not in paths))


def _snapshots(found: Iterable[wire.Item]) -> Iterator[FileSnapshot]:
    for item in found:
        if item.type == "partial_repo_snapshot":
            for entry in map(fields, items(item.files)):
                if path := text(entry.get("path")):
                    yield _snapshot(path, entry)


def _snapshot(path: str, sent: Mapping[str, object]) -> FileSnapshot:
    contents = sent.get("contents")
    if isinstance(contents, str):
        parts: tuple[FileLines, ...] = (FileLines(start=1, text=contents),)
        content, is_whole = contents, True
    else:
        parts, ends = _ranges(sent.get("line_range_contents"))
        content, is_whole = _joined(parts, ends=ends)
    return FileSnapshot(
        path=path,
        content=content if parts else None,
        is_whole=is_whole,
        parts=parts,
        language=_language(path, content if is_whole else None),
        missing_reason=text(sent.get("missing_reason")),
    )


def _ranges(value: object) -> tuple[tuple[FileLines, ...], bool]:
    """Return the parts of a file in their order, overlaps cut off, and whether the last one ends the file."""
    parts: list[FileLines] = []
    ends, following = False, 1
    for start, entry in sorted(map(_placed, items(value)), key=itemgetter(0)):
        lines = entry.get("content")
        fresh = lines[max(0, following - start) :] if isinstance(lines, list) else []
        if (joined := _text_of(fresh)) is not None:
            parts.append(FileLines(start=max(start, following), text=joined))
            following = max(start, following) + len(fresh)
            ends = ends or entry.get("contains_end_of_file") is True
    return tuple(parts), ends


def _placed(value: object) -> tuple[int, Mapping[str, object]]:
    """Return a part of a file with the number of its first line, from 1."""
    part = fields(value)
    return max(1, whole(part.get("line_range_start")) or 1), part


def _text_of(lines: list[str]) -> str | None:
    """Join lines without their ends; None for no lines, and for what are none."""
    try:
        return "\n".join(lines) + "\n" if lines else None
    except TypeError:
        return None


def _joined(parts: tuple[FileLines, ...], *, ends: bool) -> tuple[str, bool]:
    """Return the parts as one text with a line for every gap, and whether there is no gap."""
    texts, following = [], 1
    for part in parts:
        if part.start > following:
            texts.append(_gap(following, part.start - 1))
        texts.append(part.text)
        following = part.start + part.text.count("\n")
    is_whole = ends and len(texts) == len(parts)
    if parts and not ends:
        texts.append(f"[… from line {following} on: not sent]\n")
    return "".join(texts), is_whole


def _gap(first: int, last: int) -> str:
    return f"[… line {first}: not sent]\n" if first == last else f"[… lines {first} to {last}: not sent]\n"


def _language(path: str, content: str | None) -> str | None:
    found = _language_of()(path, content)
    return found.name if found else None


@cache
def _language_of() -> Callable[[str, str | None], Language | None]:
    from ...provider import language_of  # a table of 700 languages, for answers with files only

    return language_of
