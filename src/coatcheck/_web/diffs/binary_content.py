"""The content of a git binary patch: base 85, inflated, and deltas applied to the content before.

The formats are git's (``diff.c``, ``emit_binary_diff_body``; ``patch-delta.c``). Invariant: nothing larger than the limit of the
caller is inflated or copied.
"""

from __future__ import annotations

import zlib
from base64 import b85decode

from ..._patches.file_change import BinaryPart, FileChange
from ..._patches.size_rules import size_of_part


def content_after(change: FileChange, before: bytes | None, *, most: int) -> bytes | None:
    """Return the content after a binary change, None where the diff does not have it or it is too large.

    *before* is the content before, which a delta needs.
    """
    parts = change.binary
    return content_of(parts[0], before, most=most) if parts and change.new_path is not None else None


def content_before(change: FileChange, after: bytes | None, *, most: int) -> bytes | None:
    """Return the content before a binary change, from the part of the patch that reverses it."""
    parts = change.binary
    return content_of(parts[1], after, most=most) if len(parts) > 1 and change.old_path is not None else None


def content_of(part: BinaryPart, source: bytes | None, *, most: int) -> bytes | None:
    """Return what a part makes of *source*, None where it cannot be read or is larger than *most*."""
    if size_of_part(part) > most:
        return None
    try:
        data = _inflate(part)
        if part.method == "literal":
            return data
        return None if source is None else apply_delta(source, data, most=most)
    except (ValueError, IndexError, zlib.error):
        return None


def _inflate(part: BinaryPart) -> bytes:
    deflated = b"".join(
        b85decode(line[1:])[: _length(line[0])] for line in part.data.replace(b"\r", b"").split(b"\n") if line
    )
    inflater = zlib.decompressobj()
    data = inflater.decompress(deflated, part.size + 1)
    if len(data) != part.size:
        raise ValueError("a part of a binary patch is not as long as its header counts")
    return data


def _length(letter: int) -> int:
    """Return how many bytes a line encodes: A to Z are 1 to 26, a to z are 27 to 52."""
    return letter - 64 if letter <= 90 else letter - 70


def apply_delta(source: bytes, delta: bytes, *, most: int) -> bytes:
    """Return the target of a delta. Raises `ValueError` and `IndexError` for one that is not for *source*."""
    source_size, at = _size(delta, 0)
    target_size, at = _size(delta, at)
    if source_size != len(source) or target_size > most:
        raise ValueError("the delta is for other content, or too large")
    target = bytearray()
    while at < len(delta):
        command = delta[at]
        at += 1
        if command & 0x80:
            (offset, size), at = _copy(delta, command, at)
            target += source[offset : offset + size]
        else:
            target += delta[at : at + command]
            at += command
        if len(target) > target_size or not command:
            raise ValueError("a delta makes more than its header counts")
    if len(target) != target_size:
        raise ValueError("a delta makes less than its header counts")
    return bytes(target)


def _size(delta: bytes, at: int) -> tuple[int, int]:
    size = shift = 0
    while True:
        byte = delta[at]
        size |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return size, at


def _copy(delta: bytes, command: int, at: int) -> tuple[tuple[int, int], int]:
    """Return offset and size of a copy: each bit of *command* is a byte that is present, the lowest first."""
    values = []
    for bit in range(7):
        present = command >> bit & 1
        values.append(delta[at] if present else 0)
        at += present
    offset = int.from_bytes(bytes(values[:4]), "little")
    return (offset, int.from_bytes(bytes(values[4:]), "little") or 0x10000), at
