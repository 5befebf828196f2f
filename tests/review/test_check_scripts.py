"""Which files a check's command runs, and that they are protected."""

from __future__ import annotations

import pytest

from coatcheck._patches.path_patterns import path_matcher
from coatcheck._review.check_scripts import scripts_of
from coatcheck._review.protected_paths import DEFAULT_PROTECTED, with_scripts

COMMANDS = {
    "python check.py": ("check.py",),
    "python3.12 -X dev tools/check.py app.py": ("tools/check.py",),
    "python check": ("check",),
    "sh -c 'python check.py && ./run --fast; make test'": ("check.py", "run"),
    "sh -ec 'set -u\npython a.py\nnode b.js'": ("a.py", "b.js"),
    "env A=1 uv run check.py": ("check.py",),
    "timeout 5s ./x": ("x",),
    "bash ci/run": ("ci/run",),
    "./sub/../check -v": ("check",),
    "python -m tools.check": ("tools/check.py", "tools/check/__main__.py", "tools/check/__init__.py"),
    "python -c 'import x' y.py": (),
    "python ../outside.py": (),
    "/usr/bin/make test": (),
    "pytest -q src/app.py": (),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_check_runs_is_found(command: str) -> None:
    """The program, the script and the module that a command runs are found, and its arguments are not."""
    expected = COMMANDS[command]

    assert expected == scripts_of(command)


def test_what_a_check_runs_is_protected() -> None:
    """The script of a check is protected at its path, also where its name has the characters of a pattern."""
    is_protected = path_matcher(with_scripts(DEFAULT_PROTECTED, ["python check.py", "node 'x[1].js'"]))
    paths = ["check.py", "x[1].js", "x1.js", "src/check.py", "app.py"]

    assert ["check.py", "x[1].js"] == list(filter(is_protected, paths))
