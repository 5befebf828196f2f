"""Texts and patches by the SHA-256 of their content: kept once, compressed where that makes them smaller.

Blobs are written and deleted in transactions that hold the lock of events (`Transaction.lock_events`), so that a blob
which is about to be used again is not deleted.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from .database import DamagedError

if TYPE_CHECKING:
    from .database import Row, Transaction

# Below this many bytes zlib's header and checksum outweigh what it saves.
SMALLEST = 64


def digest_of(content: bytes) -> bytes:
    """Return the digest by which *content* is kept."""
    import hashlib  # 3 ms, and reading needs no digest

    return hashlib.sha256(content).digest()


def put_blob(transaction: Transaction, content: bytes) -> int:
    """Keep *content*; return its number."""
    digest = digest_of(content)
    row = transaction.row("SELECT number FROM blob WHERE digest = ?", (digest,))
    if row is None:
        packed = zlib.compress(content) if len(content) > SMALLEST else content
        is_smaller = len(packed) < len(content)
        row = transaction.row(
            "INSERT INTO blob (digest, is_compressed, data) VALUES (?, ?, ?) RETURNING number",
            (digest, int(is_smaller), packed if is_smaller else content),
        )
    return int(row[0])  # type: ignore[index] # an insert returns a row


def get_blob(transaction: Transaction, number: int) -> bytes:
    """Return the content with this number."""
    return content_of_row(transaction.rows("SELECT is_compressed, data FROM blob WHERE number = ?", (number,)))


def find_blob(transaction: Transaction, digest: bytes) -> bytes:
    """Return the content with this digest."""
    return content_of_row(transaction.rows("SELECT is_compressed, data FROM blob WHERE digest = ?", (digest,)))


def delete_unused_blobs(transaction: Transaction, numbers: Iterable[int]) -> None:
    """Delete those of the blobs that no task, no event, no fleet and no result of a check refers to."""
    unused = (
        "DELETE FROM blob WHERE number = ? AND NOT EXISTS (SELECT 1 FROM task_blob WHERE blob = ?)"
        " AND NOT EXISTS (SELECT 1 FROM fleet_blob WHERE blob = ?)"
        " AND NOT EXISTS (SELECT 1 FROM event WHERE text_blob = ?)"
        " AND NOT EXISTS (SELECT 1 FROM check_result WHERE log = blob.digest)"
    )
    for number in sorted(set(numbers)):
        transaction.change(unused, (number,) * 4)


def content_of(is_compressed: int, data: bytes) -> bytes:
    """Return the content of a row. Raises `DamagedError`."""
    try:
        return zlib.decompress(data) if is_compressed else bytes(data)
    except zlib.error as error:
        raise DamagedError(f"a text cannot be decompressed ({error})") from error


def content_of_row(rows: Sequence[Row]) -> bytes:
    """Return the content of the one row of columns ``is_compressed, data``. Raises `DamagedError`."""
    if not rows:
        raise DamagedError("a text is missing")
    return content_of(*rows[0])
