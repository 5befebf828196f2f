from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from coatcheck._app.workspace import Workspace
from coatcheck._runtime.client import Client
from coatcheck._runtime.config import Config
from coatcheck.cloud.models import CloudResult
from coatcheck.cloud.scripted_cloud import DIFF, AttemptScript, ScriptedCloud
from coatcheck.testing.emulator_transport import EmulatorTransport


def git(folder: Path, *arguments: str) -> str:
    """Run git in *folder* with an author."""
    identity = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, timeout=240)
    return done.stdout.decode()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout on the branch ``topic``, without remotes, that the diff of the scripted cloud fits."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "topic")
    (folder / "hello.txt").write_text("hello\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")
    return folder


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
