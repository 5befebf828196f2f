"""Starlette is imported by what serves, and by nothing else."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

SCRIPTED = "from coatcheck.testing import ScriptedCloud, serving\nwith serving(ScriptedCloud()): pass"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["-m", "coatcheck", "--version"], set()),
        (["-m", "coatcheck", "list", "--provider", "codex"], set()),
        (["-m", "coatcheck", "serve", "--help"], set()),
        (["-c", SCRIPTED], {"uvicorn"}),
    ],
)
def test_only_what_serves_routes_imports_them(arguments: list[str], expected: set[str]) -> None:
    """Commands that serve nothing import no server, and a cloud without further routes no Starlette."""
    report = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=False
    ).stderr
    imported = set(re.findall(r"\| +(starlette|uvicorn|anyio)$", report, re.MULTILINE))

    assert ("coatcheck" in report, expected) == (True, imported)
