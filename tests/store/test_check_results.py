"""Results of checks in the store."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from coatcheck._store.blobs import delete_unused_blobs, digest_of
from coatcheck._store.check_results import CheckKey, CheckResults, StoredCheck
from coatcheck._store.database import Database
from coatcheck.testing import FakeClock

KEY = CheckKey(patch="p", base="b", command="c", setup="s")
OUTPUT = b"line\n" * 100
PASSED = StoredCheck(verdict="passed", exit_code=0, seconds=1.5, log="line\n", log_digest=digest_of(OUTPUT).hex())


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock that does not run."""
    return FakeClock()


@pytest.fixture
def results(database: Database, clock: FakeClock) -> CheckResults:
    """Return the results of an empty store."""
    return CheckResults(database, clock=clock)


def test_a_result_has_all_of_its_key(results: CheckResults) -> None:
    """A result is found by patch, base, command and setup, and by nothing less."""
    results.put(KEY, PASSED, output=OUTPUT)
    others = [msgspec.structs.replace(KEY, **{name: "other"}) for name in ("patch", "base", "command", "setup")]

    assert [results.get(key) for key in (KEY, *others)] == [PASSED, None, None, None, None]


def test_the_first_of_two_results_stays(connect: Callable[[], Database], clock: FakeClock) -> None:
    """Two processes that ran the same check store one result."""
    first, second = (CheckResults(connect(), clock=clock) for _ in range(2))
    first.put(KEY, PASSED, output=OUTPUT)
    second.put(KEY, msgspec.structs.replace(PASSED, verdict="failed"), output=b"other")

    assert second.get(KEY) == PASSED


def test_the_output_is_kept_with_its_result(results: CheckResults, database: Database) -> None:
    """The output is found by its digest, also after the tasks that had the same text are gone."""
    results.put(KEY, PASSED, output=OUTPUT)
    with database.writing() as transaction:
        numbers = [row[0] for row in transaction.rows("SELECT number FROM blob")]
        delete_unused_blobs(transaction, numbers)

    assert results.log(PASSED.log_digest or "") == OUTPUT


def test_the_last_time_of_a_command_is_known(results: CheckResults, clock: FakeClock) -> None:
    """How long a command took is the time of its last run, on whatever files."""
    for number, seconds in enumerate((3.0, 4.0)):
        results.put(
            msgspec.structs.replace(KEY, patch=str(number)),
            msgspec.structs.replace(PASSED, seconds=seconds),
            output=b"",
        )
        clock.advance(1)

    assert (results.seconds("c"), results.seconds("unknown")) == (4.0, None)
