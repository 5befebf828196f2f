"""What the store does with bad input: one clear error, and nothing is lost."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from coatcheck import errors
from coatcheck._cli.exit_codes import ExitCode, exit_code_of
from coatcheck._installation import install_command, upgrade_command
from coatcheck._protocol.urls import without_password
from coatcheck._store import migrations
from coatcheck._store.database import Database, Transaction, UniqueError
from coatcheck._store.location import open_database
from coatcheck._store.migrations import Migration, migrate
from coatcheck._store.sqlite import SqliteDatabase

ADD = "INSERT INTO old_journal (path, mark) VALUES (?, 'm')"
PATHS = "SELECT path FROM old_journal ORDER BY path"


def add(database: Database, path: str) -> None:
    """Insert a row."""
    with database.writing() as transaction:
        transaction.change(ADD, (path,))


def paths(database: Database) -> list[str]:
    """Return the stored paths."""
    with database.reading() as transaction:
        return [path for (path,) in transaction.rows(PATHS)]


def refused(act: Callable[[], object]) -> errors.StoreError:
    """Return the store error of a call, which is one line."""
    with pytest.raises(errors.StoreError) as caught:
        act()
    assert exit_code_of(caught.value) is ExitCode.STORE
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, UniqueError])
def test_a_transaction_is_written_as_a_whole_or_not_at_all(database: Database, error: type[BaseException]) -> None:
    """After any interruption nothing of it is stored, and the next one works."""
    with suppress(error), database.writing() as transaction:
        transaction.change(ADD, ("half",))
        raise error
    add(database, "whole")

    assert ["whole"] == paths(database)


def test_a_second_row_with_the_same_key_is_refused(database: Database) -> None:
    """The transaction is undone, and the connection stays usable."""
    add(database, "a")
    with pytest.raises(UniqueError):
        add(database, "a")
    add(database, "b")

    assert ["a", "b"] == paths(database)


def test_a_connection_is_opened_again_after_closing(database: Database) -> None:
    """Closing loses nothing, twice is once, and before the first use it is nothing."""
    database.close()
    add(database, "a")
    database.close()
    database.close()

    assert ["a"] == paths(database)


@pytest.mark.parametrize("act", [Path.unlink, lambda file: file.rename(file.with_suffix(".corrupt"))])
def test_a_file_that_was_moved_away_is_written_no_more(tmp_path: Path, act: Callable[[Path], object]) -> None:
    """A process that has it open writes where the next one reads, as the remedy for a corrupt file leads to."""
    database = open_database(str(tmp_path))
    add(database, "before")
    act(tmp_path / "coatcheck.sqlite3")
    add(database, "after")
    other = open_database(str(tmp_path))
    known = paths(other)
    for each in (database, other):
        each.close()

    assert ["after"] == known


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**30])
def test_a_number_of_more_than_64_bits_is_one_clear_error(database: Database, number: int) -> None:
    """It is the caller's error, and the connection stays usable; the largest number is taken."""
    query = "SELECT path FROM old_journal LIMIT ?"
    with pytest.raises(errors.ConfigurationError) as caught, database.reading() as transaction:
        transaction.rows(query, (number,))
    with database.reading() as transaction:
        rows = transaction.rows(query, (2**63 - 1,))

    assert (True, "give one of at most 9223372036854775807", []) == (
        str(number) in str(caught.value),
        caught.value.remedy,
        rows,
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_has_a_connection_of_its_own(tmp_path: Path) -> None:
    """Parent and child write in turns, and both rows are there."""
    code = (
        "import os, sys; from coatcheck._store.location import open_database\n"
        "database = open_database(sys.argv[1])\n"
        "def add(name):\n"
        "    with database.writing() as transaction:\n"
        "        transaction.change(\"INSERT INTO old_journal (path, mark) VALUES (?, 'm')\", (name,))\n"
        "add('before'); pid = os.fork(); add('child' if pid == 0 else 'parent')\n"
        "os._exit(0) if pid == 0 else os.waitpid(pid, 0)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=240)
    database = open_database(str(tmp_path))
    known = paths(database)
    database.close()

    assert ["before", "child", "parent"] == known


def test_processes_that_start_at_once_create_the_schema_once(tmp_path: Path) -> None:
    """Each of five finds the tables and writes its row."""
    code = (
        "import sys; from coatcheck._store.location import open_database\n"
        "with open_database(sys.argv[1]).writing() as transaction:\n"
        "    transaction.change(\"INSERT INTO old_journal (path, mark) VALUES (?, 'm')\", (sys.argv[2],))"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(number)]) for number in range(5)]
    codes = [process.wait(240) for process in running]
    database = open_database(str(tmp_path))
    known = paths(database)
    database.close()

    assert ([0] * 5, list("01234")) == (codes, known)


# The version of the schema after the newest one.
NEWER = len(migrations.MIGRATIONS) + 1


def with_migrations(database: Database, number: int, *, oldest_writer: int = 1) -> None:
    """Open *database* as a version with so many migrations would."""
    further = [
        Migration(statements=(f"CREATE TABLE further_{each} (id BIGINT)",), oldest_writer=oldest_writer)
        for each in range(2, number + 1)
    ]
    with database.reading() as transaction:
        connection = transaction._connection
    migrate(Transaction(database, connection), database, migrations=[migrations.FIRST, *further])


def test_an_older_version_writes_what_a_newer_one_allows(connect: Callable[[], Database]) -> None:
    """A database with further tables is used as long as it allows this version to write."""
    add(connect(), "a")
    with_migrations(connect(), NEWER)
    add(connect(), "b")

    assert ["a", "b"] == paths(connect())


def test_a_database_of_a_newer_version_is_one_clear_error(connect: Callable[[], Database]) -> None:
    """It is not changed, and the remedy is to upgrade."""
    add(connect(), "a")
    with_migrations(connect(), NEWER, oldest_writer=NEWER)
    error = refused(lambda: add(connect(), "b"))

    assert (upgrade_command(), True) == (
        (error.remedy or "").partition(": ")[2],
        f"schema {NEWER}" in str(error),
    )


def test_a_new_store_waits_for_the_disk_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the last step of a migration is durable: with it, those before it are on the disk."""
    begun: list[bool] = []
    begin = SqliteDatabase.begin

    def recorded(database: SqliteDatabase, connection: Any, *, is_durable: bool) -> None:
        begun.append(is_durable)
        begin(database, connection, is_durable=is_durable)

    monkeypatch.setattr(SqliteDatabase, "begin", recorded)
    with closing(open_database(str(tmp_path))) as database, database.reading():
        pass

    assert [*[False] * (len(migrations.MIGRATIONS) - 1), True] == begun


def test_a_migration_that_fails_changes_nothing(
    connect: Callable[[], Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The version is unchanged, and the next start runs it again."""
    broken = Migration(statements=("CREATE TABLE further (id BIGINT)", "no statement"))
    monkeypatch.setattr(migrate, "__kwdefaults__", {"migrations": [migrations.FIRST, broken]})
    refused(lambda: paths(connect()))
    monkeypatch.setattr(migrate, "__kwdefaults__", {"migrations": [migrations.FIRST]})
    database = connect()
    with database.reading() as transaction:
        version = transaction.rows("SELECT version FROM schema")

    assert ([(1,)], False) == (version, database.has_table(Transaction(database, database._connection), "further"))


@pytest.mark.parametrize("damage", ["text", "middle"])
def test_a_corrupt_file_is_one_clear_error(tmp_path: Path, damage: str) -> None:
    """The file is unchanged; the remedy moves it away."""
    database = open_database(str(tmp_path))
    add(database, "a")
    database.close()
    file = tmp_path / "coatcheck.sqlite3"
    content = file.read_bytes()
    file.write_bytes(b"no database" * 1000 if damage == "text" else content[:100] + b"\xff" * 4000 + content[4100:])
    damaged = file.read_bytes()
    error = refused(lambda: paths(open_database(str(tmp_path))))

    assert (True, str(file), damaged) == (f"mv {file} " in (error.remedy or ""), error.location, file.read_bytes())


def test_a_file_with_other_tables_is_one_clear_error(tmp_path: Path) -> None:
    """A database with a table that is not as ours is keeps its tables; the remedy moves it away."""
    file = tmp_path / "coatcheck.sqlite3"
    with closing(sqlite3.connect(file)) as other, other:
        other.execute("CREATE TABLE schema (x)")
    error = refused(lambda: paths(open_database(str(tmp_path))))
    with closing(sqlite3.connect(file)) as other:
        tables = other.execute("SELECT name FROM sqlite_master").fetchall()

    assert (f"mv {file} {file}.corrupt", [("schema",)]) == ((error.remedy or "").rpartition(": ")[2], tables)


def test_a_full_disk_is_one_clear_error(tmp_path: Path) -> None:
    """What was written before is still there, and writing works once there is space."""
    database = open_database(str(tmp_path))
    add(database, "a")
    database._connection.execute("PRAGMA max_page_count = 1")  # what SQLite reports where the disk is full
    error = refused(lambda: [add(database, f"{number} {'x' * 4000}") for number in range(100)])
    database._connection.execute("PRAGMA max_page_count = 100000")
    add(database, "b")
    known = paths(database)
    database.close()

    assert ("free space on its disk", "a", "b") == (error.remedy, known[-2], known[-1])


@pytest.mark.parametrize(
    ("free", "remedy"), [(4096, "free space on its disk"), (10**9, "check the disk; dmesg shows its errors")]
)
def test_an_input_error_on_a_full_disk_has_the_remedy_of_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, remedy: str
) -> None:
    """SQLite reports one where the disk is too full for the index of its write-ahead log."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=free))
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = 4874  # SQLITE_IOERR_SHMSIZE (https://www.sqlite.org/rescode.html#ioerr_shmsize)
    translated = SqliteDatabase(str(tmp_path / "x"), prepare=lambda _: None).translate(error)

    assert isinstance(translated, errors.StoreError)
    assert remedy == translated.remedy


def test_a_locked_file_is_one_clear_error(tmp_path: Path) -> None:
    """The writer waits, then names the file; once the other one has ended, writing works."""
    database = SqliteDatabase(str(tmp_path / "coatcheck.sqlite3"), prepare=lambda _: None, busy_seconds=0.0)
    add_table = "CREATE TABLE old_journal (path TEXT, mark TEXT)"
    with database.writing() as transaction:
        transaction.change(add_table)
    with closing(sqlite3.connect(database.location, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        error = refused(lambda: add(database, "a"))
    add(database, "b")
    known = paths(database)
    database.close()

    assert ("another program holds it", ["b"]) == ((error.remedy or "").partition(":")[0], known)


def test_a_folder_that_cannot_be_created_is_one_clear_error(tmp_path: Path) -> None:
    """The remedy names the variable that moves the store."""
    (tmp_path / "file").write_text("")
    error = refused(lambda: paths(open_database(str(tmp_path / "file" / "state"))))

    assert "COATCHECK_STATE_HOME" in (error.remedy or "")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only_is_one_clear_error(tmp_path: Path) -> None:
    """The remedy names the variable that moves the store."""
    tmp_path.chmod(0o500)
    error = refused(lambda: add(open_database(str(tmp_path)), "a"))
    tmp_path.chmod(0o700)

    assert "COATCHECK_STATE_HOME" in (error.remedy or "")


def test_the_files_are_private(tmp_path: Path) -> None:
    """Database and write-ahead log have mode 0600, the folder 0700, for any umask."""
    before = os.umask(0)
    database = open_database(str(tmp_path / "state"))
    add(database, "a")
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "state").iterdir()}
    database.close()
    os.umask(before)

    assert ({0o600}, 0o700) == (set(modes.values()), (tmp_path / "state").stat().st_mode & 0o777)


def test_a_network_file_system_has_no_write_ahead_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its shared memory does not work there; the rollback journal does."""
    modes = []
    for is_network in (False, True):
        monkeypatch.setattr("coatcheck._store.sqlite.is_on_network", lambda _, answer=is_network: answer)
        database = open_database(str(tmp_path / str(is_network)))
        with database.reading() as transaction:
            modes += transaction.rows("PRAGMA journal_mode")
        database.close()

    assert [("wal",), ("delete",)] == modes


def test_an_old_sqlite_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version without RETURNING is refused before anything is written."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    error = refused(lambda: paths(open_database(str(tmp_path / "state"))))

    assert ("needs 3.35" in str(error), False) == (True, (tmp_path / "state").exists())


def test_postgres_without_psycopg_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The remedy installs the extra; the password is not shown."""
    monkeypatch.setitem(sys.modules, "psycopg", None)
    error = refused(lambda: paths(open_database("postgresql://me:secret@localhost/x")))

    assert (f"install it with: {install_command('postgres')}", False) == (
        error.remedy,
        "secret" in str(error.to_dict()),
    )


@pytest.mark.peer
def test_a_server_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    """The message has the URL without its password."""
    error = refused(lambda: paths(open_database(f"postgresql://me:secret@/x?host={tmp_path}")))

    assert (True, False) == (f"postgresql://me@/x?host={tmp_path}" in str(error), "secret" in str(error.to_dict()))


@pytest.mark.peer
def test_a_connection_that_the_server_ended_is_replaced(postgres_url: str) -> None:
    """The next transaction works."""
    database = open_database(postgres_url)
    with database.reading() as transaction:
        first = transaction.rows("SELECT pg_backend_pid()")
    other = open_database(postgres_url)
    with suppress(errors.StoreError), other.writing() as transaction:
        transaction.rows("SELECT pg_terminate_backend(?)", first[0])
    with database.reading() as transaction:
        second = transaction.rows("SELECT pg_backend_pid()")
    for each in (database, other):
        each.close()

    assert first != second


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://me:secret@host:5432/db", "postgresql://me@host:5432/db"),
        (
            "postgresql://host/db?user=me&password=secret&sslmode=require",
            "postgresql://host/db?user=me&sslmode=require",
        ),
        ("postgresql:///db", "postgresql:///db"),
        ("postgresql://me:a%40b:c@host/db", "postgresql://me@host/db"),
        ("postgresql://me:se@cret@host/db", "postgresql://me@host/db"),
        ("postgresql://me:s/e?c@host/db", "postgresql://me@host/db"),
        ("postgresql://host/db?password=secret", "postgresql://host/db"),
        ("postgresql://host/db?user=me&PASSWORD=secret", "postgresql://host/db?user=me"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, expected: str) -> None:
    """In the user part and in the query."""
    assert expected == without_password(url)


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:hunter2@[::1/d", "postgresql://u:p@hunter2@127.0.0.1/d", "postgresql://u@[::1/d?password=hunter2"],
)
def test_a_message_that_quotes_the_password_is_replaced(url: str) -> None:
    """The library quotes an URL that is not valid; the error has what to write instead."""
    pytest.importorskip("psycopg")
    database = open_database(url)
    error = database.translate(_psycopg_error(f"failed to resolve: {url} hunter2@127.0.0.1"))

    assert (True, False) == ("as %XX" in str(error), "hunter2" in f"{error} {getattr(error, 'remedy', '')}")


def _psycopg_error(message: str) -> Exception:
    import psycopg

    return psycopg.OperationalError(message)


@pytest.mark.parametrize("text", ["host=h password=hunter2", "password = 'hunter2' dbname=d"])
def test_parameters_of_libpq_are_no_folder(text: str) -> None:
    """A folder that is named so would show the password; the error does not."""
    with pytest.raises(errors.ConfigurationError) as caught:
        open_database(text)

    assert "the database is given as parameters of libpq" == str(caught.value)


def test_another_url_is_refused() -> None:
    """A folder cannot have that name by mistake, and the password of the URL is not shown."""
    with pytest.raises(errors.ConfigurationError) as caught:
        open_database("mysql://me:secret@host/db")

    assert "secret" not in str(caught.value)
