"""The paths that are protected where the person names none: tests, and the configuration of checks.

Patterns are those of a ``.gitignore`` (`_patches.path_patterns`): a name without ``/`` is found at any depth, and a folder
means all files below it. Shell scripts that the commands of checks name are protected as well. ``docs/guides/review.md`` gives the reasons.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

# What it configures or contains -> patterns.
BY_SUBJECT: Mapping[str, Sequence[str]] = {
    "tests": ("test", "tests", "spec", "specs", "__tests__", "testdata", "__snapshots__"),
    "tests by their names": (
        *("test_*.py", "*_test.py", "*_test.go", "*_test.rb", "*_spec.rb", "*_test.rs", "*Test.java", "*Tests.cs"),
        *("*.test.js", "*.test.jsx", "*.test.mjs", "*.test.ts", "*.test.tsx"),
        *("*.spec.js", "*.spec.jsx", "*.spec.mjs", "*.spec.ts", "*.spec.tsx"),
    ),
    "Python": (
        *("conftest.py", "pytest.ini", "pyproject.toml", "setup.cfg", "tox.ini", "noxfile.py", ".coveragerc"),
        *("mypy.ini", ".mypy.ini", "pyrightconfig.json", "ruff.toml", ".ruff.toml", ".flake8", ".pylintrc"),
        *("sitecustomize.py", "usercustomize.py", "*.pth"),
    ),
    "JavaScript and TypeScript": (
        *("package.json", "tsconfig*.json", "jest.config.*", "vitest.config.*", "karma.conf.*", ".mocharc*"),
        *("playwright.config.*", "cypress.config.*", ".eslintrc*", "eslint.config.*", ".npmrc"),
    ),
    "other languages": (".rspec", "Rakefile", "phpunit.xml*", "build.rs", ".cargo"),
    "commands of checks": ("Makefile", "GNUmakefile", "makefile", "*.mk", "justfile", "Justfile", "Taskfile.y*ml"),
    "hooks": (".pre-commit-config.yaml", ".husky"),
}

DEFAULT_PROTECTED = tuple(pattern for patterns in BY_SUBJECT.values() for pattern in patterns)

# The path of a shell script in the text of a command, also inside `sh -c '…'`.
_SCRIPT = re.compile(
    r"(?<![\w./@+-])(?:\./)?(?P<path>[\w@+-][\w@+.-]*(?:/[\w@+-][\w@+.-]*)*\.(?:sh|bash|ksh|zsh))(?![\w./@+-])"
)


def with_scripts(protected: tuple[str, ...], commands: Iterable[str]) -> tuple[str, ...]:
    """Return *protected*; where it has the default patterns, also the shell scripts that *commands* of checks name.

    A candidate that could write `check.sh` would decide what the check ``sh check.sh`` finds about it.
    """
    if not set(DEFAULT_PROTECTED) <= set(protected):
        return protected
    scripts = dict.fromkeys(match["path"] for command in commands for match in _SCRIPT.finditer(command))
    return (*protected, *scripts)
