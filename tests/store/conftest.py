"""The databases of the tests of the store: SQLite always, PostgreSQL in ``make peers``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.store.postgres_server import new_schema, serving_postgres

from coatcheck._store.database import Database
from coatcheck._store.location import open_database

# Read now: each test has an environment in which nothing is set.
TEST_DATABASE = os.environ.get("COATCHECK_TEST_DATABASE")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a PostgreSQL database: of COATCHECK_TEST_DATABASE, else of a server that runs for these tests."""
    if TEST_DATABASE:
        yield TEST_DATABASE
    else:
        with serving_postgres() as url:
            yield url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.peer)])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty place for a store: a folder, or the URL of a schema that is deleted after the test."""
    if request.param == "sqlite":
        yield str(tmp_path / "state")
    else:
        with new_schema(request.getfixturevalue("postgres_url")) as url:
            yield url


@pytest.fixture
def connect(location: str) -> Iterator[Callable[[], Database]]:
    """A function that returns another connection to the store, as another process has it."""
    databases = []

    def connect() -> Database:
        databases.append(open_database(location))
        return databases[-1]

    yield connect
    for database in databases:
        database.close()


@pytest.fixture
def database(connect: Callable[[], Database]) -> Database:
    """An empty store."""
    return connect()
