from __future__ import annotations

import ast
import graphlib
import importlib.util
import inspect
import pydoc
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

import coatcheck
from coatcheck._protocol import registry

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src"
MODULES = sorted((SRC / "coatcheck").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))

# The budget of the code bases that we read as models: what exceeds it hides a step without a name.
LONGEST_BODY = 60
LONGEST_MODULE = 450
# Tables that a script writes are data, whatever their suffix; they say so in their first line.
GENERATED = "Generated: do not edit."

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def parse(path: Path) -> ast.Module:
    """Return the syntax tree of the file at *path*."""
    return ast.parse(path.read_bytes(), filename=str(path))


def relative(path: Path) -> str:
    """Return *path* as seen from the root of the repository."""
    return path.relative_to(ROOT).as_posix()


# --- what is public ---------------------------------------------------------------------------------------------------


def declared_names() -> dict[str, str]:
    """Return the names that type checkers see, each with the module that it comes from."""
    block = next(node for node in parse(SRC / "coatcheck/__init__.py").body if isinstance(node, ast.If))
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name: node.module or "" for node in imports for alias in node.names}


def test_public_names_are_sorted() -> None:
    """`__all__` is one flat, sorted list without repetition."""
    assert sorted(set(coatcheck.__all__)) == coatcheck.__all__


def test_type_checkers_and_python_see_the_same_names() -> None:
    """The imports for type checkers and the table for Python name the same things in the same places."""
    assert declared_names() == coatcheck._HOMES


def test_dir_shows_every_public_name() -> None:
    """A prompt completes names that have not been imported yet."""
    assert set(coatcheck.__all__) <= set(dir(coatcheck))


@pytest.mark.parametrize("name", coatcheck.__all__)
def test_public_names_exist(name: str) -> None:
    """Every public name resolves, and a class says that it lives where users import it from."""
    value = getattr(coatcheck, name)

    assert not inspect.isclass(value) or value.__module__ == "coatcheck"


@pytest.mark.parametrize("name", sorted({*coatcheck.__all__} - {"__version__"}))
def test_help_works(name: str) -> None:
    """``help()`` explains every public name, which takes a signature that needs nothing evaluated."""
    value = getattr(coatcheck, name)

    assert name in pydoc.plain(pydoc.render_doc(value))


def test_nothing_else_is_public() -> None:
    """What a user can reach without an underscore is listed, or is one of the public modules."""
    for name in coatcheck.__all__:
        getattr(coatcheck, name)
    reachable = {
        name for name, value in vars(coatcheck).items() if not name.startswith("_") and not inspect.ismodule(value)
    }

    assert {name for name in coatcheck.__all__ if name not in {"__version__", "errors"}} == reachable - {
        "TYPE_CHECKING",
        "annotations",
    }


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name fails as in any module."""
    with pytest.raises(AttributeError, match="has no attribute 'Cleint'"):
        _ = coatcheck.Cleint  # type: ignore[attr-defined]


def test_the_version_is_one() -> None:
    """The installed metadata and the package tell the same version."""
    assert coatcheck.__version__ == metadata.version("coatcheck")


def test_built_in_providers_are_entry_points() -> None:
    """The table that spares us from reading metadata says what the metadata says."""
    ours = metadata.distribution("coatcheck").entry_points.select(group=registry.GROUP)

    assert {entry.name: entry.value for entry in ours} == registry.BUILT_IN


# --- how the code reads -----------------------------------------------------------------------------------------------


def body_length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the number of lines of *function* from its first statement after the docstring to its last."""
    statements = function.body[1:] if ast.get_docstring(function) else function.body
    return statements[-1].end_lineno - statements[0].lineno + 1 if statements else 0


def is_generated(path: Path) -> bool:
    """Tell whether the file at *path* says in its first line that a script writes it."""
    return GENERATED in path.read_text("utf-8").partition("\n")[0]


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_modules_state_their_law(path: Path) -> None:
    """Every module begins by saying what it is for."""
    assert len((ast.get_docstring(parse(path)) or "").split()) >= 3


def test_bodies_are_short() -> None:
    """No function is longer than one can hold in mind."""
    long = [
        f"{relative(path)}:{node.lineno} {node.name} has {body_length(node)} lines"
        for path in MODULES
        for node in ast.walk(parse(path))
        if isinstance(node, FUNCTIONS) and body_length(node) > LONGEST_BODY
    ]

    assert [] == long


def test_modules_are_short() -> None:
    """No module is longer than one reads in a sitting; generated tables are not read."""
    lengths = {relative(path): len(path.read_text("utf-8").splitlines()) for path in MODULES if not is_generated(path)}

    assert {} == {path: length for path, length in lengths.items() if length > LONGEST_MODULE}


def module_name(path: Path) -> str:
    """Return the dotted name of the module at *path*."""
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(path: Path, known: set[str]) -> Iterator[str]:
    """Yield the modules of the package that *path* imports, anywhere in it, for types as well."""
    package = module_name(path) if path.name == "__init__.py" else module_name(path).rpartition(".")[0]
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            inner = {f"{source}.{alias.name}" for alias in node.names} & known
            yield from inner or {source}


def test_imports_go_one_way() -> None:
    """No two modules need each other, not even for types: a third one below would be missing."""
    known = {module_name(path) for path in MODULES}
    graph = {module_name(path): {*imported_modules(path, known)} & known - {module_name(path)} for path in MODULES}
    del graph["coatcheck"]  # the public face names everything, lazily
    graph["coatcheck.errors"] -= {"coatcheck._model.tasks"}  # for types: errors name what they carry

    assert len(list(graphlib.TopologicalSorter(graph).static_order())) >= len(graph)


@pytest.mark.parametrize("path", TESTS, ids=relative)
def test_tests_state_their_law(path: Path) -> None:
    """The docstring of a test is the law that it proves."""
    lawless = [
        f"{relative(path)}:{node.lineno} {node.name}"
        for node in ast.walk(parse(path))
        if isinstance(node, FUNCTIONS) and node.name.startswith("test_") and not ast.get_docstring(node)
    ]

    assert [] == lawless


# --- what the repository holds ----------------------------------------------------------------------------------------

# In pieces, because this file is searched as well. Paths of a developer's machine, and hosts of package indexes: which
# index is used is the user's business, and pip and npm know it.
FOREIGN = re.compile(
    "|".join(
        (
            r"(?<![\w./-])/" + "work/",
            r"(?<![\w./-])/" + "root/",
            r"\bpypi" + r"\.org",
            r"pythonhosted" + r"\.org",
            r"npmjs" + r"\.org",
            r"deb\.debian" + r"\.org",
        )
    ).encode()
)


def repository_files() -> list[Path]:
    """Return the files that are, or are about to be, under version control."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=30).stdout
    return [path for name in listed.decode().split("\0") if name and (path := ROOT / name).is_file()]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="asks git what belongs to the repository")
def test_the_repository_names_no_machine() -> None:
    """No file names a path of a developer's machine or a package index."""
    found = {relative(path): match[0] for path in repository_files() if (match := FOREIGN.search(path.read_bytes()))}

    assert {} == found


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").glob("*.txt")), ids=relative)
def test_locked_versions_have_hashes(path: Path) -> None:
    """Every locked version comes with the hashes of its files."""
    pins = re.findall(r"^[a-z0-9].*(?:\n    .*)*", path.read_text("utf-8"), re.MULTILINE)

    assert pins
    assert [] == [pin for pin in pins if "==" not in pin or "--hash=sha256:" not in pin]


# --- what starting costs ----------------------------------------------------------------------------------------------


def modules_imported_by(*arguments: str) -> set[str]:
    """Return the names of all modules that a fresh interpreter with *arguments* imports."""
    command = [sys.executable, "-X", "importtime", *arguments]
    log = subprocess.run(command, capture_output=True, check=True, timeout=30, text=True).stderr
    return {line.rpartition("|")[2].strip() for line in log.splitlines() if line.startswith("import time:")}


def test_importing_the_library_is_free() -> None:
    """`import coatcheck` imports nothing that takes time: names come when they are used."""
    heavy = {"asyncio", "click", "dataclasses", "inspect", "msgspec", "pathlib", "pyreqwest", "re", "typing"}

    assert set() == (modules_imported_by("-c", "import coatcheck") - modules_imported_by("-c", "pass")) & heavy


def test_asking_for_the_version_is_free() -> None:
    """`coatcheck --version` answers before the command line is built."""
    command = str(Path(sys.executable).with_name("coatcheck"))

    assert set() == modules_imported_by(command, "--version") & {"asyncio", "click", "msgspec", "pyreqwest"}
