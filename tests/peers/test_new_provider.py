"""The tools of a project find nothing in what `providers new` writes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from coatcheck._cli import scaffolding

pytestmark = pytest.mark.peer

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a tool in *folder*, with the sources there."""
    environ = {**os.environ, "PYTHONPATH": str(folder / "src")}
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.parametrize("is_json_rpc", [False, True])
def test_a_new_provider_is_typed(is_json_rpc: bool, tmp_path: Path) -> None:
    """The package passes strict type checks with public names only."""
    package = tmp_path / "new"
    scaffolding.write("acme", str(package), is_json_rpc=is_json_rpc)
    ran = run(package, sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache"))

    assert "Success" in ran.stdout, ran.stdout + ran.stderr


@pytest.mark.parametrize("name", ["a", "abc_defghijkl_mnopq_rs_t"])
def test_a_new_built_in_provider_passes_the_checks(name: str, tmp_path: Path) -> None:
    """A built-in provider passes this project's linter, formatter, types and layers."""
    folder = tmp_path / "checkout"
    for part in ("src", "tests", "docs"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("_build"))
    for part in ("README.md", "pyproject.toml"):
        shutil.copy2(ROOT / part, folder / part)
    scaffolding.write_built_in(name, str(folder), is_json_rpc=name == "a")
    commands = (
        (sys.executable, "docs/project/tools/generate_provider_index.py"),
        (str(BIN / "ruff"), "check", "--no-cache", "."),
        (str(BIN / "ruff"), "format", "--check", "--no-cache", "."),
        (str(BIN / "mypy"), "--cache-dir", str(tmp_path / "cache")),
        (str(BIN / "lint-imports"), "--no-cache"),
    )
    failures = [ran.stdout + ran.stderr for command in commands if (ran := run(folder, *command)).returncode]

    assert [] == failures
