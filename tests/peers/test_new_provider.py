"""mypy finds nothing in what `providers new` writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from coatcheck._cli import scaffolding

pytestmark = pytest.mark.peer


def test_a_new_provider_is_typed(tmp_path: Path) -> None:
    """The package passes strict type checks with public names only."""
    package = tmp_path / "new"
    scaffolding.write("acme", str(package))
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache")]
    ran = subprocess.run(command, cwd=package, capture_output=True, text=True, timeout=240, check=False)

    assert "Success" in ran.stdout, ran.stdout + ran.stderr
