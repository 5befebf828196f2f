"""How much a patch would write, known before anything is written.

A limit is on the result, never on the patch: 200 bytes of a binary patch can make gigabytes (a delta copies the same bytes
again and again, deflated zeros inflate a thousandfold, ``copy from`` makes a file of another one). The sizes are read from the
patch without inflating it: git refuses a literal or a delta whose length differs from its header (apply.c, ``inflate_it``;
patch-delta.c), and sets aside that much memory before.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from .header import BinaryForm, ChangeStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .file_change import BinaryPart, FileChange
    from .policy import Policy

    # The size of the file at a path before the patch, None where there is none or the size is not known.
    SizeOf = Callable[[str], int | None]

# Two sizes of at most ten bytes each begin a delta (patch-delta.c, get_delta_hdr_size). Deflated, they are within the first
# lines of base 85: a block begins with at most a few hundred bytes of tables (RFC 1951, section 3.2.7).
_HEADER = 20
_MOST_LINES = 32


def can_grow(change: FileChange) -> bool:
    """Whether *change* can write more than its part of the diff contains."""
    return change.header.binary is BinaryForm.PATCH or change.status is ChangeStatus.COPIED


def size_of_part(part: BinaryPart) -> int:
    """Return the size of what a part of a binary patch makes, or of its delta where that is more."""
    return max(part.size, _target_size(part)) if part.method == "delta" else part.size


def result_size(change: FileChange, size_of: SizeOf) -> int:
    """Return how many bytes *change* writes, as far as they are not in its file already."""
    if change.new_path is None:
        return 0
    if change.header.binary is BinaryForm.PATCH:
        return max((size_of_part(part) for part in change.binary[:1]), default=0)
    copied = (size_of(change.old_path) or 0) if change.status is ChangeStatus.COPIED and change.old_path else 0
    return copied + len(bytes(change))


def problems(changes: Iterable[FileChange], policy: Policy, size_of: SizeOf) -> Iterator[tuple[str, str]]:
    """Yield path and detail of what is beyond the limits: each file, and the one with which all become too much.

    A file may stay as large as it is.
    """
    total, is_beyond = 0, False
    for change in changes:
        before = 0 if change.old_path is None else size_of(change.old_path) or 0
        size = result_size(change, size_of)
        largest = max([size, *(size_of_part(part) for part in change.binary[1:])])
        if largest > max(policy.largest_file, before):
            yield change.path, f"{largest:,} bytes would be written; the limit of a file is {policy.largest_file:,}"
        total += size if change.status is ChangeStatus.COPIED else max(0, size - before)
        if total > policy.largest_total and not is_beyond:
            is_beyond = True
            yield (
                change.path,
                f"with it {total:,} bytes would be written; the limit of all files is {policy.largest_total:,}",
            )


def _target_size(part: BinaryPart) -> int:
    """Return the size of the result in the header of a delta, 0 where it cannot be read: git refuses such a delta."""
    try:
        head = _head(part.data)
        _, at = _number(head, 0)
        return _number(head, at)[0]
    except (zlib.error, ValueError, IndexError):
        return 0


def _head(data: bytes) -> bytes:
    """Return the first bytes that *data* inflates to."""
    from base64 import b85decode

    inflater, head = zlib.decompressobj(), b""
    for line in data.split(b"\n", _MOST_LINES)[:_MOST_LINES]:
        if len(head) >= _HEADER or not line:
            break
        head += inflater.decompress(b85decode(line[1:].rstrip(b"\r"))[: _length(line[0])], _HEADER - len(head))
    return head


def _length(letter: int) -> int:
    """Return how many bytes a line of base 85 encodes (git's diff.c, emit_binary_diff_body): A to Z, then a to z."""
    return letter - 64 if letter <= 90 else letter - 70


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Read a size: seven bits in each byte, the lowest first. Return it and where the next one begins."""
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return number, at
