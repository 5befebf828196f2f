from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.checkouts import RepositoryCopies, make_checkout

from coatcheck._app.workspace import Workspace
from coatcheck._runtime.client import Client
from coatcheck._runtime.config import Config
from coatcheck.cloud.models import CloudResult
from coatcheck.cloud.scripted_cloud import DIFF, AttemptScript, ScriptedCloud
from coatcheck.testing.emulator_transport import EmulatorTransport


@pytest.fixture
def checkout(tmp_path: Path, repositories: RepositoryCopies) -> Path:
    """A checkout on the branch ``topic``, without remotes, that the diff of the scripted cloud fits."""
    return repositories.copy(make_topic, tmp_path / "checkout")


def make_topic(folder: Path) -> None:
    """Commit a file on the branch ``topic``."""
    make_checkout(folder, "topic")


@pytest.fixture
def cloud() -> ScriptedCloud:
    """A scripted cloud whose tasks end with two attempts: one without a diff, one with a diff."""
    results = (CloudResult(diff=None), CloudResult(diff=DIFF))
    return ScriptedCloud(attempts=[AttemptScript(timeline=["completed"], result=result) for result in results])


@pytest.fixture
def client(cloud: ScriptedCloud) -> Iterator[Client]:
    """A client of the scripted cloud."""
    transport = EmulatorTransport(cloud)
    token = cloud.tokens.access_token
    with Client("codex", transport=transport, token=token, clock=cloud.clock, environ=dict(os.environ)) as client:
        yield client


@pytest.fixture
def workspace(checkout: Path) -> Workspace:
    """The checkout, without settings."""
    environ = dict(os.environ)
    return Workspace(str(checkout), config=Config(environ=environ), environ=environ, provider="codex")
