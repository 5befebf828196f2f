"""Files of the base, which a diff has only parts of.

Invariant: a file of another version than the one that a change was made on is never returned by `base_lines`: every line
of the change's hunks is compared.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha1, sha256
from typing import Protocol

from ..._patches.checkout import Checkout
from ..._patches.file_change import FileChange, Hunk
from ..._patches.parse import Patch

# Larger files are not read: a page shows none of this size.
MOST_BYTES = 5_000_000

_COMMIT = re.compile(r"[\w./-]+", re.ASCII)
_SIZE = re.compile(rb"[0-9a-f]{40,64} blob (\d+)")


class BaseReader(Protocol):
    """Reads files as they were before the change."""

    def read(self, path: str, blob: str | None) -> bytes | None:
        """Return the blob *blob*, else the file at *path*; None where there is none, or it is too large."""
        ...


class CommitFiles:
    """The blobs of a repository, and the files of one of its commits, else of HEAD. Files are read once."""

    def __init__(self, checkout: Checkout, commit: str | None) -> None:
        """*commit* is a revision; one that git would take for an option or several is ignored."""
        self._checkout = checkout
        self._commit = commit if commit and _COMMIT.fullmatch(commit) and not commit.startswith("-") else None
        self._contents: dict[tuple[str, str | None], bytes | None] = {}

    def read(self, path: str, blob: str | None) -> bytes | None:
        """Return the blob *blob*, else the file at *path* of the commit."""
        if (path, blob) not in self._contents:
            self._contents[path, blob] = self._read(path, blob)
        return self._contents[path, blob]

    def _read(self, path: str, blob: str | None) -> bytes | None:
        names = [blob] if blob and blob.strip("0") else []
        if "\n" not in path:
            names += [f"{commit}:{path}" for commit in dict.fromkeys([self._commit, "HEAD"]) if commit]
        request = "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape")
        answers = self._checkout.git("cat-file", "--batch-check", stdin=request).split(b"\n") if names else []
        for name, answer in zip(names, answers, strict=False):
            if (match := _SIZE.fullmatch(answer)) and int(match[1]) <= MOST_BYTES:
                return self._checkout.blobs({path: name}).get(path)
        return None


class ResultFiles:
    """Files after a patch, read as a base: what an interdiff begins at."""

    def __init__(self, patch: Patch, reader: BaseReader | None) -> None:
        self._changes = {change.new_path: change for change in patch.files}
        self._removed = {change.old_path for change in patch.files if change.old_path != change.new_path}
        self._reader = reader

    def read(self, path: str, blob: str | None) -> bytes | None:
        """Return the file at *path* after the patch; *blob* is not in the repository."""
        del blob
        change = self._changes.get(path)
        if change is not None:
            lines = base_lines(change, self._reader)
            return None if lines is None else content_with(change.hunks, lines)
        return self._reader.read(path, None) if self._reader and path not in self._removed else None


def base_content(change: FileChange, reader: BaseReader | None) -> bytes | None:
    """Return the file before *change*, as *reader* has it."""
    if reader is None or change.old_path is None or change.is_submodule:
        return None
    data = reader.read(change.old_path, change.old_id)
    return None if data is not None and change.is_binary and not _is_blob(data, change.old_id) else data


def _is_blob(data: bytes, blob: str | None) -> bool:
    """Whether *data* is the blob whose id begins with *blob*; a binary file has no lines to compare."""
    whole = b"blob %d\0%s" % (len(data), data)
    return blob is not None and any(hashed(whole).hexdigest().startswith(blob) for hashed in (sha1, sha256))


def base_lines(change: FileChange, reader: BaseReader | None) -> Sequence[bytes] | None:
    """Return the lines before *change*, each with its line end; None where they are not those of the diff."""
    if change.is_binary or change.is_combined:
        return None
    data = b"" if change.old_path is None else base_content(change, reader)
    if data is None:
        return None
    lines = split_lines(data)
    return lines if all(is_at(hunk, lines) for hunk in change.hunks) else None


def split_lines(data: bytes) -> list[bytes]:
    """Return the lines of a file, each with its line feed; only the last one may have none."""
    *lines, last = data.split(b"\n")
    return [line + b"\n" for line in lines] + ([last] if last else [])


def is_at(hunk: Hunk, lines: Sequence[bytes]) -> bool:
    """Whether the lines that a hunk changes are at the place in its header."""
    start = hunk.old_start - (hunk.old_lines != 0)
    return b"".join(lines[start : start + hunk.old_lines]) == hunk.old_side and start <= len(lines)


def content_with(hunks: Sequence[Hunk], lines: Sequence[bytes]) -> bytes:
    """Return the file after hunks that are at their places in *lines*."""
    parts: list[bytes] = []
    position = 0
    for hunk in hunks:
        start = hunk.old_start - (hunk.old_lines != 0)
        parts += lines[position:start]
        parts += [line.content for line in hunk.lines if line.sign != "-"]
        position = start + hunk.old_lines
    return b"".join([*parts, *lines[position:]])
