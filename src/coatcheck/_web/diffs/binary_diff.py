"""The difference between two binary results, as git writes it: with both contents where they are known."""

from __future__ import annotations

import zlib
from base64 import b85encode
from collections.abc import Iterator
from hashlib import sha1

from ..._patches.file_change import FileChange
from .base_files import BaseReader, base_content
from .binary_content import content_after
from .written_diff import Names

# Larger contents are not written.
MOST_BYTES = 2_000_000
# diff.c, emit_binary_diff_body: bytes in a line.
_LINE = 52


def binary_diff(left: FileChange, right: FileChange, reader: BaseReader | None) -> bytes:
    """Return the diff from the result of *left* to that of *right*."""
    names = Names.of(left, right)
    old, new = (_content(change, reader) for change in (left, right))
    head = b"diff --git %s %s\n%s" % (*names.quoted, b"".join(names.lines()))
    is_known = (old is not None or names.old is None) and (new is not None or names.new is None)
    if is_known:
        head += b"index %s..%s\n" % (_blob_id(old), _blob_id(new))
        return b"%sGIT binary patch\n%s\n%s\n" % (head, _literal(new or b""), _literal(old or b""))
    return b"%sBinary files %s and %s differ\n" % (head, *names.quoted)


def _content(change: FileChange, reader: BaseReader | None) -> bytes | None:
    return content_after(change, base_content(change, reader), most=MOST_BYTES)


def _blob_id(data: bytes | None) -> bytes:
    """Return the id of a blob, which git needs to apply a binary patch; zeros where there is no file."""
    whole = b"blob %d\0%s" % (len(data or b""), data or b"")
    return b"0" * 40 if data is None else sha1(whole, usedforsecurity=False).hexdigest().encode()


def _literal(data: bytes) -> bytes:
    return b"literal %d\n%s" % (len(data), b"".join(_lines(zlib.compress(data))))


def _lines(deflated: bytes) -> Iterator[bytes]:
    """Yield lines of base 85, each with its length before it: A to Z are 1 to 26, a to z are 27 to 52."""
    for at in range(0, len(deflated), _LINE):
        part = deflated[at : at + _LINE]
        letter = len(part) + (64 if len(part) <= 26 else 70)
        yield bytes([letter]) + b85encode(part, pad=True) + b"\n"
