"""The engines: the loop on SQLite always, the loop on PostgreSQL and PgQueuer in ``make peers``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engines.engine_fixture import EngineFixture
from tests.store.conftest import TEST_DATABASE
from tests.store.postgres_server import BINARIES, new_schema, serving_postgres

ENGINES = [
    pytest.param("loop-sqlite", marks=[]),
    pytest.param("loop-postgres", marks=pytest.mark.peer),
    pytest.param("pgqueuer", marks=pytest.mark.peer),
]


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a PostgreSQL database: of COATCHECK_TEST_DATABASE, else of a server that runs for these tests."""
    if TEST_DATABASE:
        yield TEST_DATABASE
    elif not BINARIES.is_dir():
        pytest.skip("there is no PostgreSQL: run make peers, or set COATCHECK_TEST_DATABASE")
    else:
        with serving_postgres() as url:
            yield url


@pytest.fixture
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EngineFixture]:
    """The engine that a test names, with an empty store."""
    name = request.param
    if name == "loop-sqlite":
        yield EngineFixture("loop", str(tmp_path / "state"), tmp_path)
    else:
        with new_schema(request.getfixturevalue("postgres_url")) as url:
            yield EngineFixture(name.partition("-")[0], url, tmp_path)
