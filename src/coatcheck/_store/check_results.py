"""Results of checks, by what was checked: the same command on the same files of the same base is not run again.

Invariants:

- a result is stored once for each key; a second one of the same key (two processes ran the same check) changes nothing;
- the whole captured output is a blob, kept as long as a result refers to it (`blobs.delete_unused_blobs`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from .blobs import digest_of, find_blob, put_blob

if TYPE_CHECKING:
    from .._protocol.effects import Clock
    from .database import Database, Row

_COLUMNS = "verdict, exit_code, seconds, reason, log_tail, log"


class CheckKey(msgspec.Struct, frozen=True, kw_only=True):
    """What was checked: digests of the patched files, the command with its limits, and the setup; the base commit."""

    patch: str
    base: str
    command: str
    setup: str = ""


class StoredCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A result: the exit status decides `verdict`; `log` is the end of the output, `log_digest` the key of all of it."""

    verdict: str
    exit_code: int | None
    seconds: float
    reason: str | None = None
    log: str = ""
    log_digest: str | None = None


class CheckResults:
    """The results of checks in a database."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def get(self, key: CheckKey) -> StoredCheck | None:
        """Return the result of an earlier run, None where there is none."""
        with self._database.reading() as transaction:
            row = transaction.row(
                f"SELECT {_COLUMNS} FROM check_result WHERE patch = ? AND base = ? AND command = ? AND setup = ?",  # noqa: S608 - ours
                (key.patch, key.base, key.command, key.setup),
            )
        return _stored(row) if row else None

    def put(self, key: CheckKey, result: StoredCheck, *, output: bytes) -> None:
        """Store a result with all the output that was captured."""
        with self._database.writing(is_durable=False) as transaction:
            transaction.lock_events()  # blobs are written and deleted under it
            blob = put_blob(transaction, output) if output else None
            transaction.change(
                f"INSERT INTO check_result (patch, base, command, setup, at, {_COLUMNS})"  # noqa: S608 - ours
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (patch, base, command, setup) DO NOTHING",
                (
                    key.patch,
                    key.base,
                    key.command,
                    key.setup,
                    self._clock.time(),
                    result.verdict,
                    result.exit_code,
                    result.seconds,
                    result.reason,
                    result.log,
                    blob and digest_of(output),
                ),
            )

    def log(self, digest: str) -> bytes:
        """Return the output with this digest. Raises `ValueError` where no result has it."""
        with self._database.reading() as transaction:
            return find_blob(transaction, bytes.fromhex(digest))

    def seconds(self, command: str) -> float | None:
        """Return how long the command with this digest took last, None where it was not run."""
        with self._database.reading() as transaction:
            row = transaction.row(
                "SELECT seconds FROM check_result WHERE command = ? ORDER BY at DESC LIMIT 1", (command,)
            )
        return row[0] if row else None


def _stored(row: Row) -> StoredCheck:
    verdict, exit_code, seconds, reason, log, digest = row
    return StoredCheck(
        verdict=verdict,
        exit_code=exit_code,
        seconds=seconds,
        reason=reason,
        log=log,
        log_digest=None if digest is None else bytes(digest).hex(),
    )
