"""What `providers new` writes is a provider: it passes the conformance tests and the linter, untouched."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from coatcheck import errors
from coatcheck._cli import scaffolding

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]
# The shortest name and the longest: lines must fit with both.
NAMES = ("a", "abc_defghijkl_mnopq_rs_t")
# Scripts that write the tables of providers, and those tables.
SCRIPTS = (("generate_provider_index",), ("generate_provider_tables", "generate_capabilities"))
TABLES = {
    "README.md",
    "docs/guides/webhooks.md",
    "docs/reference/api.md",
    "docs/reference/capabilities.md",
    "docs/reference/settings.md",
    "src/coatcheck/_model/provider_index.py",
    "src/coatcheck/testing/emulators/__init__.py",
}
OWN = (
    "docs/reference/providers/new-one.md",
    "src/coatcheck/providers/new_one/",
    "src/coatcheck/testing/emulators/new_one.py",
    "tests/providers/new_one/",
)


def run(*command: str, folder: Path) -> str:
    """Run a tool in *folder*, and return what it prints; fails with it where the tool does."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(folder / "src")}
    ran = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=240, check=False)
    assert ran.returncode == 0, f"{ran.stdout}\n{ran.stderr}"
    return ran.stdout


JSON_RPC = pytest.mark.parametrize("is_json_rpc", [False, True], ids=["http", "json-rpc"])


@pytest.mark.slow
@JSON_RPC
def test_a_new_provider_passes_its_tests(is_json_rpc: bool, tmp_path: Path) -> None:
    """A new provider passes its tests unchanged, and contains no name of the template."""
    package = tmp_path / "new"
    scaffolding.write(NAMES[1], str(package), is_json_rpc=is_json_rpc)

    assert " passed" in run(
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", folder=package
    )


@JSON_RPC
@pytest.mark.parametrize("name", NAMES)
def test_a_new_provider_is_tidy(name: str, is_json_rpc: bool, tmp_path: Path) -> None:
    """A new provider passes the linter and the formatter."""
    package, ruff = tmp_path / "new", BIN / "ruff"
    scaffolding.write(name, str(package), is_json_rpc=is_json_rpc)
    if not ruff.exists():
        pytest.skip("ruff is in requirements/check.txt")
    run(str(ruff), "check", "--no-cache", ".", folder=package)

    assert "already formatted" in run(str(ruff), "format", "--check", "--no-cache", ".", folder=package)


def checkout_at(folder: Path) -> Path:
    """Return a copy of what a checkout needs for one provider and its tests, with the compiled modules."""
    for part in ("src/coatcheck", "docs"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("_build"))
    for part in ("README.md", "pyproject.toml", "tests/providers/service.py"):
        (folder / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / part, folder / part)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files in *folder*, without compiled modules."""
    paths = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.mark.slow
def test_a_built_in_provider_changes_only_generated_tables(tmp_path: Path) -> None:
    """A built-in provider is found, documented and passes its tests, and no file changes but the generated ones."""
    folder = checkout_at(tmp_path / "checkout")
    before = contents(folder)
    scaffolding.write_built_in("new_one", str(folder))
    tools = folder / "docs/project/tools"
    for scripts in SCRIPTS:  # the first writes what the others import
        start = f"import sys; sys.path.insert(0, {str(tools)!r}); import {', '.join(scripts)}"
        run(sys.executable, "-c", "; ".join((start, *(f"{script}.main()" for script in scripts))), folder=folder)
    after = contents(folder)
    tests = run(sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "tests/providers/new_one", folder=folder)

    assert set() == before.keys() - after.keys()
    assert TABLES == {path for path, content in before.items() if after[path] != content}
    assert [] == [path for path in after.keys() - before.keys() if not path.startswith(OWN)]
    assert " passed" in tests


def test_a_built_in_provider_needs_a_checkout(tmp_path: Path) -> None:
    """Outside of a checkout nothing is written, and in one no file is replaced."""
    with pytest.raises(errors.ConfigurationError, match="is not a checkout of coatcheck"):
        scaffolding.write_built_in("new_one", str(tmp_path))
    page = tmp_path / "docs/reference/providers/new-one.md"
    for path in (page, tmp_path / "src/coatcheck/providers/x"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("precious")
    with pytest.raises(errors.ConfigurationError, match=r"new-one.md exists already"):
        scaffolding.write_built_in("new_one", str(tmp_path))

    assert {"docs/reference/providers/new-one.md", "src/coatcheck/providers/x"} == contents(tmp_path).keys()


def test_a_new_provider_is_found_by_its_entry_point(tmp_path: Path) -> None:
    """A new provider that is installed is listed with its capabilities."""
    package = tmp_path / "new"
    scaffolding.write("acme", str(package))
    info = package / "src/coatcheck_acme-0.1.0.dist-info"  # what an installer makes of its pyproject.toml
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: coatcheck-acme\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text("[coatcheck.providers]\nacme = coatcheck_acme:acme\n")
    shown = run(str(BIN / "coatcheck"), "providers", "show", "acme", folder=package)

    assert "no: Acme keeps every job" in shown


def test_the_templates_import_only_what_is_public() -> None:
    """The templates import public names only."""
    text = "".join(
        path.read_text("utf-8")
        for path in Path(scaffolding.TEMPLATES).rglob("*.py.txt")
        if "checkout" not in path.parts
    )

    assert {"coatcheck", "coatcheck.provider", "coatcheck.testing"} == {
        line.split()[1] for line in text.splitlines() if line.startswith("from coatcheck") and "_acme" not in line
    }


@pytest.mark.parametrize("name", ["", "Acme", "acme-cloud", "7up", "class", "a b", "../x", "a" * 25, "é"])
def test_some_words_are_no_names(name: str, tmp_path: Path) -> None:
    """A name that is not valid is one line with the rule, and nothing is written."""
    with pytest.raises(errors.ConfigurationError, match="is not a valid provider name"):
        scaffolding.write(name, str(tmp_path / "new"))

    assert [] == list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """A folder with something in it is left alone, and a built-in provider keeps its name."""
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(errors.ConfigurationError, match="is not empty"):
        scaffolding.write("acme", str(tmp_path))
    with pytest.raises(errors.ConfigurationError, match="is a provider already"):
        scaffolding.write("codex", str(tmp_path / "new"))

    assert ["mine"] == [path.name for path in tmp_path.iterdir()]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    """A folder that cannot be written is an error with the path and the system's reason."""
    (tmp_path / "file").write_text("")

    with pytest.raises(errors.ConfigurationError, match=r"file/new cannot be written: Not a directory"):
        scaffolding.write("acme", str(tmp_path / "file/new"))
