"""A digest of what changes do to a file, which is the same for the same change, however its diff is written."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256

from ..._patches.file_change import FileChange
from ...errors import PatchError

# The changed lines of a hunk, with git's note about the end of the file.
_CHANGED = re.compile(rb"^[+-].*+\n?(?:\\.*+\n?)?", re.MULTILINE)


def changed_content(change: FileChange) -> list[bytes]:
    """Return the changed lines, or the whole content of what is no text; the blob's id where the diff has none."""
    try:
        if change.is_binary:
            return [b"".join(part.data for part in change.binary[:1]) or (change.new_id or "").encode()]
        return [line for hunk in change.hunks for line in _CHANGED.findall(bytes(hunk))]
    except PatchError:  # what cannot be read is the same only where the text is
        return [bytes(change)]


def change_digest(changes: Sequence[FileChange]) -> bytes:
    """Return a digest of names, modes, binary content, and the changed lines without their positions."""
    digest = sha256()
    for change in changes:
        modes = (change.old_mode, change.new_mode) if change.old_mode != change.new_mode else None
        digest.update(repr((change.old_path, change.new_path, modes)).encode("utf-8", "surrogatepass"))
        digest.update(b"".join(changed_content(change)))
    return digest.digest()
