"""The paths that are protected where the person names none: tests, and the configuration of checks.

Patterns are those of a ``.gitignore`` (`_patches.path_patterns`): a name without ``/`` is found at any depth, and a folder
means all files below it. ``docs/guides/review.md`` gives the reasons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
