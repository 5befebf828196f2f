"""Starlette is imported by what serves, and by nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest

COMMAND = """
import contextlib, sys
from coatcheck._cli.main import main
sys.argv = ["coatcheck", *{arguments}]
with contextlib.suppress(SystemExit):
    main()
"""
SCRIPTED = """
import sys
from coatcheck.testing import ScriptedCloud, serving
with serving(ScriptedCloud()):
    pass
"""
REPORT = "\nprint([name for name in ('starlette', 'uvicorn', 'anyio') if name in sys.modules])"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (COMMAND.format(arguments=["--version"]), []),
        (COMMAND.format(arguments=["list", "--provider", "codex"]), []),
        (COMMAND.format(arguments=["serve", "--help"]), []),
        (SCRIPTED, ["uvicorn"]),
    ],
)
def test_only_what_serves_routes_imports_them(code: str, expected: list[str]) -> None:
    """Commands that serve nothing import no server, and a cloud without further routes no Starlette."""
    output = subprocess.run([sys.executable, "-c", code + REPORT], capture_output=True, text=True, check=True).stdout

    assert str(expected) == output.splitlines()[-1]
