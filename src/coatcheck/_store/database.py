"""One connection to the store's database, the same for SQLite and PostgreSQL.

Invariants:

- statements are written once, with ``?`` for parameters and without ``%``; the adapters translate them;
- the connection is opened, and the schema brought up to date, by the first transaction; constructors do no I/O;
- a transaction is committed as a whole or not at all, whatever is raised in it, Ctrl-C included;
- threads share the connection one after the other; a process that was forked opens another one;
- text is stored by the rule of `text.py`;
- whatever the database refuses, and content that is damaged, is a `StoreError`, except `UniqueError`.
"""

from __future__ import annotations

import os
import weakref
from _thread import RLock  # `threading` takes 10 ms to import
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, TypeAlias

from .. import errors
from .text import escape, unescape

Row: TypeAlias = tuple[Any, ...]
# The largest number of a column (https://www.sqlite.org/datatype3.html#storage_classes_and_datatypes).
LARGEST = 2**63 - 1


class UniqueError(Exception):
    """A row with this key exists."""


class DamagedError(ValueError):
    """The content of a row cannot be read; the database itself checks no content."""

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.remedy = remedy


@contextmanager
def reading_content_of(subject: str, *, is_task: bool = True) -> Iterator[None]:
    """Read what rows have about *subject*. Raises `DamagedError`, which names it, for what cannot be read."""
    try:
        yield
    except (errors.ConfigurationError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        remedy = f"delete it from the history: coatcheck history forget {subject}" if is_task else None
        raise DamagedError(f"{subject} cannot be read ({error})", remedy=remedy) from error


def is_damage(error: errors.StoreError) -> bool:
    """Whether only some content cannot be read, and the rest of the store can."""
    return isinstance(error.__cause__, DamagedError)


class Transaction:
    """The statements of one transaction."""

    def __init__(self, database: Database, connection: Any) -> None:
        self._database, self._connection = database, connection
        self.dialect = database.dialect

    def rows(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Return the rows that *statement* selects or returns."""
        fetched = self._run(statement, parameters).fetchall()
        return [tuple([unescape(each) if isinstance(each, str) else each for each in row]) for row in fetched]

    def row(self, statement: str, parameters: Sequence[object] = ()) -> Row | None:
        """Return the first row that *statement* selects or returns, None where there is none."""
        return next(iter(self.rows(statement, parameters)), None)

    def change(self, statement: str, parameters: Sequence[object] = ()) -> int:
        """Return how many rows *statement* has changed."""
        changed: int = self._run(statement, parameters).rowcount
        return changed

    def lock_events(self) -> None:
        """Let no other transaction add events until this one has ended."""
        self._database.lock_events(self)

    def _run(self, statement: str, parameters: Sequence[object]) -> Any:
        return self._database.execute(self._connection, statement, [_stored(each) for each in parameters])


def _stored(value: object) -> object:
    """Return a parameter as the databases take it; they have no number of more than 64 bits."""
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, int) and not -LARGEST <= value <= LARGEST:
        raise errors.ConfigurationError(f"the number {value} is too large", remedy=f"give one of at most {LARGEST}")
    return value


class Database(ABC):
    """A database; its adapters are `SqliteDatabase` and `PostgresDatabase`."""

    dialect: ClassVar[str]

    def __init__(self, location: str, *, prepare: Callable[[Transaction], None]) -> None:
        self.location = location
        self._prepare = prepare
        self._lock = RLock()
        self._connection: Any = None
        self._pid = 0
        self._finalizer: weakref.finalize[Any, Any] | None = None

    @contextmanager
    def writing(self, *, is_durable: bool = True) -> Iterator[Transaction]:
        """Change the database in one transaction, which is on the disk at the end.

        Without *is_durable* it survives the end of the process in whatever way, and not always a loss of power.
        """
        with self._lock, _Translated(self):
            connection = self._begun(lambda each: self.begin(each, is_durable=is_durable))
            with _Ended(self, connection):
                yield Transaction(self, connection)

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Read one state of the database, whatever others write meanwhile."""
        with self._lock, _Translated(self):
            connection = self._begun(self.begin_reading)
            with _Ended(self, connection):
                yield Transaction(self, connection)

    def read(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Return the rows that one statement selects; it reads one state of the database without a transaction."""
        rows: list[Row] = []
        with self._lock, _Translated(self):
            self._begun(lambda each: rows.extend(Transaction(self, each).rows(statement, parameters)))
        return rows

    def close(self) -> None:
        """Close the connection; the next transaction opens another."""
        with self._lock:
            self._connection = None
            if self._finalizer is not None:
                self._finalizer()

    def _begun(self, begin: Callable[[Any], None]) -> Any:
        """Begin a transaction, or read; on a new connection where the other side has closed the former one."""
        connection = self._opened()
        try:
            begin(connection)
        except Exception:
            if self.is_usable(connection):
                raise
            connection = self._opened()
            begin(connection)
        return connection

    def _opened(self) -> Any:
        """Return the connection of this process; one that a fork copied is left alone."""
        if self._connection is not None and self._pid == os.getpid():
            if self.is_usable(self._connection):
                return self._connection
            self.close()
        connection = self.connect()
        try:
            self._prepare(Transaction(self, connection))
        except BaseException:
            connection.close()
            raise
        self._connection, self._pid = connection, os.getpid()
        self._finalizer = weakref.finalize(self, _close, connection, self._pid)
        return connection

    @contextmanager
    def migrating(self, transaction: Transaction, *, is_durable: bool) -> Iterator[None]:
        """Run one step of a migration in a transaction, while no other process runs one; *is_durable* as in `writing`."""
        connection = transaction._connection  # noqa: SLF001 - of this module
        self.begin(connection, is_durable=is_durable)
        with _Ended(self, connection):
            self.lock_schema(transaction)
            yield

    @abstractmethod
    def connect(self) -> Any:
        """Open a connection."""

    @abstractmethod
    def is_usable(self, connection: Any) -> bool:
        """Whether a connection was not closed by the other side, and is to the database at the location."""

    @abstractmethod
    def begin(self, connection: Any, *, is_durable: bool) -> None:
        """Begin a transaction that writes."""

    @abstractmethod
    def begin_reading(self, connection: Any) -> None:
        """Begin a transaction that only reads."""

    @abstractmethod
    def commit(self, connection: Any) -> None:
        """Commit the transaction."""

    @abstractmethod
    def roll_back(self, connection: Any) -> None:
        """Undo the transaction; raises nothing."""

    @abstractmethod
    def execute(self, connection: Any, statement: str, parameters: Sequence[object]) -> Any:
        """Run one statement; return a cursor."""

    @abstractmethod
    def lock_events(self, transaction: Transaction) -> None:
        """Let no other transaction add events until this one has ended, so that ids are in the order of commits."""

    @abstractmethod
    def lock_schema(self, transaction: Transaction) -> None:
        """Let no other transaction change the schema until this one has ended."""

    @abstractmethod
    def has_table(self, transaction: Transaction, name: str) -> bool:
        """Whether there is a table with this name."""

    @abstractmethod
    def translate(self, error: Exception) -> Exception | None:
        """Return the error to raise instead of *error*, None for one that is not of the database."""


class _Ended:
    """Commits a transaction, or undoes it where something is raised; a generator would cost each one a microsecond."""

    def __init__(self, database: Database, connection: Any) -> None:
        self._database, self._connection = database, connection

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._database.roll_back(self._connection)
            return
        try:
            self._database.commit(self._connection)
        except BaseException:
            self._database.roll_back(self._connection)
            raise


class _Translated:
    """Raises the `StoreError` for an error of the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, DamagedError):
            location = self._database.location
            message = f"the store {location} is damaged: {error}"
            raise errors.StoreError(message, location=location, remedy=error.remedy) from error
        if isinstance(error, Exception) and not isinstance(error, errors.CoatcheckError):
            translated = self._database.translate(error)
            if translated is not None:
                raise translated from error


def _close(connection: Any, pid: int) -> None:
    if pid == os.getpid():
        connection.close()
