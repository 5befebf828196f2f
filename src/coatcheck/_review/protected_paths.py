"""The paths that are protected where the person names none: tests, and the configuration of checks.

Patterns are those of a ``.gitignore`` (`_patches.path_patterns`): a name without ``/`` is found at any depth, and a folder
means all files below it. `Tests/a.py` is `tests/a.py` on some systems, so the case of letters does not count, except in a
pattern of names with capitals such as ``*Test.java``, which is not ``latest.java``. The files that the commands of
checks run are protected as well (`check_scripts`).
``docs/guides/review.md`` gives the reasons.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from .._patches.path_patterns import path_matcher
from ..errors import ConfigurationError
from .check_scripts import scripts_of

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
        *("playwright.config.*", "cypress.config.*", ".eslintrc*", "eslint.config.*", ".npmrc", "vite.config.*"),
        *("babel.config.*", ".babelrc*", ".nycrc*", "bunfig.toml", "deno.json*"),
    ),
    # A manifest can switch tests off, as pyproject.toml and package.json can: ``[lib] test = false``, ``skipTests``, a
    # ``replace`` of the library that asserts.
    "other languages": (
        *("Cargo.toml", "build.rs", ".cargo", "nextest.toml", "go.mod", "go.work", "pom.xml", ".mvn", "build.gradle*"),
        *("settings.gradle*", "gradle.properties", "*.runsettings", "Directory.Build.*", "composer.json"),
        *("phpunit.xml*", ".rspec", "Rakefile", "mix.exs", "Package.swift", "CMakeLists.txt", "meson.build"),
    ),
    "commands of checks": ("Makefile", "GNUmakefile", "makefile", "*.mk", "justfile", "Justfile", "Taskfile.y*ml"),
    "hooks": (".pre-commit-config.yaml", ".husky"),
}

# With them git writes other bytes to the files of checks than the commit has: other line ends, another encoding
# (gitattributes(5), "working-tree-encoding").
ATTRIBUTES = ".gitattributes"

# What a pattern gives a meaning to.
_LITERAL = re.compile(r"[*?\[]")

DEFAULT_PROTECTED = tuple(pattern for patterns in BY_SUBJECT.values() for pattern in patterns)


def require_patterns(patterns: Iterable[str], root: str | None = None) -> None:
    """Raise `ConfigurationError` for a pattern that would protect nothing in the repository, which is at *root*."""
    for pattern in patterns:
        if ".." in pattern.split("/"):
            reason, remedy = "contains ..", "write it relative to the root of the repository"
        elif pattern.startswith("!"):
            reason, remedy = "begins with !, which has no meaning here", "name the files to protect"
        elif not pattern.strip("/ ."):
            reason, remedy = "names no file", "write ** for all files"
        elif root is not None and pattern.startswith(f"{root}/"):
            reason = "is the path of a file, and / at its beginning means the repository"
            remedy = f"write {pattern.removeprefix(root)}"
        else:
            continue
        raise ConfigurationError(f"the protected pattern {pattern!r} {reason}", remedy=remedy)


def protected_matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Return a test of paths: whether one is protected by *patterns*; where there are any, git's attributes are as well."""
    exact: list[str] = []
    folded = [ATTRIBUTES] if patterns else []
    for pattern in patterns:
        (exact if _LITERAL.search(pattern) and pattern != pattern.lower() else folded).append(pattern)
    matches, matches_folded = path_matcher(exact), path_matcher(folded, ignore_case=True)
    return lambda path: matches(path) or matches_folded(path)


def with_scripts(protected: tuple[str, ...], commands: Iterable[str]) -> tuple[str, ...]:
    """Return *protected*; where it has the default patterns, also the files that *commands* of checks run (`check_scripts`).

    A candidate that could write `check.py` would decide what the check ``python check.py`` finds about it.
    """
    if not set(DEFAULT_PROTECTED) <= set(protected):
        return protected
    scripts = dict.fromkeys(path for command in commands for path in scripts_of(command))
    return (*protected, *(_LITERAL.sub(r"[\g<0>]", f"/{path}") for path in scripts))
