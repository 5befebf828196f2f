"""The review file."""

from __future__ import annotations

from pathlib import Path

import pytest

from coatcheck import Check, Limits, Verification
from coatcheck._patches.path_patterns import translate
from coatcheck._review.protected_paths import DEFAULT_PROTECTED
from coatcheck._review.review_file import ReviewFile, read_review_file
from coatcheck.errors import ConfigurationError

WHOLE = """
setup = "uv sync --frozen"
setup_inputs = ["uv.lock"]
protected = ["tests"]
allow_protected = true
sandbox = "none"
network = true
scorer = "python score.py"
workers = 4

[checks]
build = "make"
[checks.tests]
run = "make test"
timeout = "5m"
[checks.lint]
run = "ruff check ."
required = false
weight = 2

[limits]
wall = "20m"
memory = "1.5GiB"
processes = 64

[policy]
strict = true
reject = ["binary"]
ignore = ["secret"]
"""


def written(folder: Path, text: str) -> str:
    """Write a review file and return its path."""
    (folder / "review.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    return str(folder / "review.toml")


def test_every_key_is_read(tmp_path: Path) -> None:
    """A file sets checks, setup, protected paths, limits, sandbox, policy and scorer."""
    expected = ReviewFile(
        verification=Verification(
            checks=(
                Check(name="build", run="make"),
                Check(name="tests", run="make test", timeout=300.0),
                Check(name="lint", run="ruff check .", required=False, weight=2.0),
            ),
            setup="uv sync --frozen",
            setup_inputs=("uv.lock",),
            protected=("tests",),
            sandbox="none",
            network=True,
            limits=Limits(wall=1200.0, memory=3 * 2**29, processes=64),
        ),
        strict=True,
        reject=("binary",),
        ignore=("secret",),
        allow_protected=True,
        scorer="python score.py",
        workers=4,
    )

    assert expected == read_review_file(written(tmp_path, WHOLE))


def test_an_empty_file_has_the_defaults(tmp_path: Path) -> None:
    """Without keys tests and the configuration of checks are protected, and the sandbox is chosen automatically."""
    assert ReviewFile(verification=Verification(protected=DEFAULT_PROTECTED)) == read_review_file(written(tmp_path, ""))


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    """A file with a byte-order mark, as editors of Windows write it, is read as without."""
    assert 3 == read_review_file(written(tmp_path, "\ufeffworkers = 3")).workers


def test_a_file_without_an_end_is_refused() -> None:
    """A device is not read: it may have no end."""
    with pytest.raises(ConfigurationError) as caught:
        read_review_file("/dev/zero")

    assert "the review file /dev/zero cannot be read: it is a device" == str(caught.value).partition(";")[0]


@pytest.mark.parametrize(
    ("text", "problem", "remedy"),
    [
        ('setpu = "x"', "setpu is no key of a review file", "did you mean setup?"),
        ('[verify]\nsetup = "x"', "verify is no key", "known keys: checks, setup"),
        ('[checks.tests]\nrun = "x"\nrequird = true', "checks.tests.requird is no key", "did you mean required?"),
        ("[checks.tests]\nrequired = true", "checks.tests.run should be a text", "correct"),
        ('[checks]\ntests = ""', "checks.tests should be a text that is not empty", "correct"),
        ("[checks]\ntests = 3", "checks.tests should be a table", "correct"),
        ('checks = ["make test"]', "checks should be a table", "correct"),
        ('[checks.tests]\nrun = "x"\nweight = -1', "checks.tests.weight should be a number from 0, not -1", "correct"),
        ('[checks.tests]\nrun = "x"\nweight = nan', "checks.tests.weight should be a number from 0", "correct"),
        ('[checks.tests]\nrun = "x"\ntimeout = "soon"', "checks.tests.timeout is not a length of time: 'soon'", "90s"),
        ('[checks.tests]\nrun = "x"\nrequired = "yes"', "checks.tests.required should be of type bool", "correct"),
        ('[limits]\nmemory = "2 parsecs"', "limits.memory is not a size", "2GiB"),
        ("[limits]\nmemory = -1", "limits.memory is not a size", "2GiB"),
        ("[limits]\nprocesses = true", "limits.processes should be a whole number from 1", "correct"),
        ("[limits]\nmemroy = 1", "limits.memroy is no key", "did you mean memory?"),
        ('sandbox = "docker"', "sandbox is one of auto, bubblewrap, sandbox-exec, none, not 'docker'", "correct"),
        ('protected = "tests"', "protected should be a list of texts", "correct"),
        ("[policy]\nstrct = true", "policy.strct is no key", "did you mean strict?"),
        ("workers = 0", "workers should be a whole number from 1, not 0", "correct"),
        ('[checks]\n"" = "make"', "checks. is a check without a name", "correct"),
        ('[checks."\\t"]\nrun = "make"', "checks. is a check without a name", "correct"),
        ("setup = ", "is not TOML", "correct"),
        ("\udcff", "is not TOML", "correct"),
    ],
)
def test_a_wrong_key_is_named(tmp_path: Path, text: str, problem: str, remedy: str) -> None:
    """A key that is not known, or has a wrong value, is an error in one line with a remedy."""
    with pytest.raises(ConfigurationError) as caught:
        read_review_file(written(tmp_path, text))

    assert (True, True, 1) == (
        problem in str(caught.value),
        remedy in str(caught.value.remedy),
        len(str(caught.value).splitlines()),
    )


@pytest.mark.parametrize(
    ("path", "is_protected"),
    [
        *((path, True) for path in ("tests/test_x.py", "src/pkg/tests/data.json", "test_x.py", "a/x_test.go")),
        *((path, True) for path in ("web/app.test.tsx", "spec/a_spec.rb", "src/__tests__/a.js", "conftest.py")),
        *(
            (path, True)
            for path in ("vite.config.ts", "crates/a/Cargo.toml", "go.mod", "app/build.gradle.kts", "pom.xml")
        ),
        *((path, True) for path in ("pyproject.toml", "a/Makefile", "package.json", ".husky/pre-commit")),
        *((path, True) for path in ("sitecustomize.py", "src/evil.pth", "tsconfig.build.json", "src/test/java/A.java")),
        *((path, False) for path in ("src/app.py", "latest.py", "src/contest/a.py", "docs/testing.md", "attest.go")),
    ],
)
def test_tests_and_their_configuration_are_protected(path: str, is_protected: bool) -> None:
    """By default tests and the configuration of checks are protected at any depth, and other files are not."""
    import re

    assert is_protected == any(re.fullmatch(translate(pattern), path) for pattern in DEFAULT_PROTECTED)
