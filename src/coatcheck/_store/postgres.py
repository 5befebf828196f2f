"""PostgreSQL by URL, for many machines: psycopg 3, the extra ``coatcheck[postgres]``.

Invariants:

- events get their ids under an advisory lock that is held until the transaction has ended
  (https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS): a reader that has seen one id sees every
  smaller one;
- no message shows the password of the URL;
- a connection that the server has closed is replaced by the next transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, ClassVar

from .. import errors
from .._installation import install_command
from .._protocol.urls import password_parts, without_password
from .database import Database, Transaction, UniqueError

# The numbers of our advisory locks: any two that other programs in the same database do not use.
EVENT_LOCK = 0x636F6174_0001
SCHEMA_LOCK = 0x636F6174_0002
CONNECT_SECONDS = 10
# As SQLite's `BUSY_SECONDS`, in milliseconds.
SETTINGS = "-c lock_timeout=10000 -c client_encoding=UTF8"
REMEDY = "check that the server runs and that COATCHECK_DATABASE is right: psql '{url}'"


class PostgresDatabase(Database):
    """The database at *url*; its password may also be in PGPASSWORD or a password file, as for psql."""

    dialect: ClassVar[str] = "postgres"

    def __init__(self, url: str, *, prepare: Callable[[Transaction], None]) -> None:
        super().__init__(without_password(url), prepare=prepare)
        self._url = url

    def connect(self) -> Any:
        """Connect to the server."""
        psycopg = _psycopg(self.location)
        options = psycopg.conninfo.conninfo_to_dict(self._url).get("options")
        return psycopg.connect(
            self._url,
            autocommit=True,
            connect_timeout=CONNECT_SECONDS,
            application_name="coatcheck",
            options=" ".join(filter(None, (str(options or ""), SETTINGS))),
        )

    def is_usable(self, connection: Any) -> bool:
        """Whether a connection was not closed by the other side."""
        return not (connection.closed or connection.broken)

    def begin(self, connection: Any, *, is_durable: bool) -> None:
        """Begin a transaction that writes."""
        connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
        if not is_durable:
            connection.execute("SET LOCAL synchronous_commit = off")

    def begin_reading(self, connection: Any) -> None:
        """Begin a transaction that only reads."""
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def commit(self, connection: Any) -> None:
        """Commit the transaction."""
        connection.execute("COMMIT")

    def roll_back(self, connection: Any) -> None:
        """Undo the transaction; raises nothing."""
        with suppress(Exception):
            connection.execute("ROLLBACK")

    def execute(self, connection: Any, statement: str, parameters: Sequence[object]) -> Any:
        """Run one statement; return a cursor."""
        from psycopg.errors import UniqueViolation

        try:
            return connection.execute(_translated(statement), parameters)
        except UniqueViolation as error:
            raise UniqueError(str(error)) from error

    def lock_events(self, transaction: Transaction) -> None:
        """Let no other transaction add events until this one has ended."""
        transaction.rows("SELECT pg_advisory_xact_lock(?)", (EVENT_LOCK,))

    def lock_schema(self, transaction: Transaction) -> None:
        """Let no other transaction change the schema until this one has ended."""
        transaction.rows("SELECT pg_advisory_xact_lock(?)", (SCHEMA_LOCK,))

    def has_table(self, transaction: Transaction, name: str) -> bool:
        """Whether there is a table with this name.

        The catalog is read: `to_regclass` may answer from the cache of the connection, which is older than the lock that
        was waited for.
        """
        query = "SELECT count(*) FROM pg_catalog.pg_class WHERE relname = ? AND pg_table_is_visible(oid)"
        return transaction.rows(query, (name,)) != [(0,)]

    def translate(self, error: Exception) -> Exception | None:
        """Return the `StoreError` for an error of psycopg."""
        import psycopg

        if not isinstance(error, psycopg.Error):
            return None
        return errors.StoreError(
            f"the store {self.location} cannot be used: {self._reason(error)}",
            location=self.location,
            remedy=REMEDY.format(url=self.location),
        )

    def _reason(self, error: Exception) -> str:
        """Return the server's or the library's reason; of an URL that is not valid they quote parts."""
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        if any(part in reason for part in password_parts(self._url)):
            return "its URL is not valid; write the special characters of the password as %XX (RFC 3986, section 2.1)"
        return reason


def _psycopg(location: str) -> Any:
    try:
        import psycopg
        import psycopg.conninfo
    except ImportError as error:
        raise errors.StoreError(
            f"the store {location} needs psycopg, which is not usable here: {error}",
            location=location,
            remedy=f"install it with: {install_command('postgres')}",
        ) from None
    return psycopg


@lru_cache(maxsize=256)
def _translated(statement: str) -> str:
    return statement.replace("?", "%s")
