"""What is stored is read again, and a list never reads a result."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from coatcheck import errors
from coatcheck.cloud.issued_tokens import TokenRecord
from coatcheck.cloud.models import CloudEnvironment, CloudResult, CloudTask, TaskOrder, TaskQuery
from coatcheck.cloud.task_store import Store
from coatcheck.cloud.transitions import plan_task

ENVIRONMENT = CloudEnvironment(id="e", label="owner/repo")


def task(number: int, **order: object) -> CloudTask:
    """Plan the task of this number."""
    return plan_task(
        TaskOrder(prompt=f"Task {number}", attempts=2, **order), ENVIRONMENT, id=f"t{number}", now=float(number)
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Open a new store."""
    store = Store(tmp_path / "cloud.sqlite3")
    store.open()
    yield store
    store.close()


def test_a_task_is_read_by_another_process(store: Store, tmp_path: Path) -> None:
    """With its results."""
    kept = task(1)
    store.add_task(kept)
    result = CloudResult(messages=("hi",), diff="d")
    store.change_attempt(
        "t1", kept.last.attempts[1].id, lambda each: msgspec.structs.replace(each, result=result), now=2.0
    )
    store.close()
    again = Store(tmp_path / "cloud.sqlite3")
    again.open()
    found = again.get_task("t1")
    again.close()

    assert found is not None
    assert [None, result] == [attempt.result for attempt in found.last.attempts]


def test_changing_a_task_keeps_the_results_that_are_there(store: Store) -> None:
    """An archived task has not lost its diff."""
    kept = task(1)
    store.add_task(kept)
    result = CloudResult(diff="d")
    store.change_attempt(
        "t1", kept.last.attempts[0].id, lambda each: msgspec.structs.replace(each, result=result), now=2.0
    )
    store.change_task("t1", lambda each: msgspec.structs.replace(each, is_archived=True))
    found = store.get_task("t1")

    assert found is not None
    assert (True, result) == (found.is_archived, found.last.attempts[0].result)


def test_a_list_holds_no_results(store: Store) -> None:
    """They may be 64 MiB each."""
    kept = task(1)
    store.add_task(kept)
    store.change_attempt(
        "t1", kept.last.attempts[0].id, lambda each: msgspec.structs.replace(each, result=CloudResult()), now=2.0
    )

    assert [None, None] == [attempt.result for attempt in store.list_tasks(TaskQuery()).tasks[0].last.attempts]


def test_a_query_means_the_same_as_in_memory(store: Store) -> None:
    """`TaskQuery.matches` and SQL select the same tasks."""
    tasks = [msgspec.structs.replace(task(number), is_archived=number % 3 == 0) for number in range(12)]
    for each in tasks:
        store.add_task(each)
    queries = [
        TaskQuery(filter=filter, text=text, before=before, environment_id=environment, limit=20)
        for filter in ("current", "archived", "all")
        for text in (None, "TASK 1", "%")
        for before in (None, (5.0, "t5"), (5.0, "t6"))
        for environment in (None, "e", "other")
    ]
    for query in queries:
        expected = sorted((each for each in tasks if query.matches(each)), key=lambda each: each.key, reverse=True)

        assert [each.id for each in expected] == [each.id for each in store.list_tasks(query).tasks]


def test_the_file_is_its_owners_alone(store: Store, tmp_path: Path) -> None:
    """It holds prompts, diffs and digests."""
    store.add_task(task(1))

    assert {0o600} == {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("cloud.sqlite3*")}


def test_a_token_is_exchanged_once(store: Store) -> None:
    """Of two concurrent requests only one changes it."""
    store.put(TokenRecord(digest="d", kind="refresh", expires_at=float("inf")))

    assert [True, False] == [store.replace("d", "used"), store.replace("d", "used")]


def test_no_token_is_in_the_file(store: Store, tmp_path: Path) -> None:
    """Digests only."""
    from coatcheck.cloud.issued_tokens import Account, TokenBook

    tokens = TokenBook(account=Account(), time=lambda: 0.0, store=store).issue()
    store.close()
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())

    assert not [token for token in (tokens.access_token, tokens.refresh_token) if token.encode() in content]


@pytest.mark.parametrize("content", [b"not a database, but longer than a header" * 20, b"\0" * 5000])
def test_a_file_that_is_no_database_is_a_clear_error(content: bytes, tmp_path: Path) -> None:
    """Naming it, with what to do."""
    path = tmp_path / "cloud.sqlite3"
    path.write_bytes(content)
    with pytest.raises(errors.ConfigurationError, match=r"cloud\.sqlite3"):
        Store(path).open()


def test_a_file_of_another_version_is_a_clear_error(tmp_path: Path) -> None:
    """And it is left alone."""
    import sqlite3

    path = tmp_path / "cloud.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    size = os.stat(path).st_size
    with pytest.raises(errors.ConfigurationError, match="another version"):
        Store(path).open()

    assert size == os.stat(path).st_size
