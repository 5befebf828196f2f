from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import coatcheck
from coatcheck._protocol.registry import BUILT_IN

PACKAGE = Path(coatcheck.__file__).parent
USE_CASES = sorted((PACKAGE / "_app").rglob("*.py"))
COMMANDS = sorted((PACKAGE / "_cli").rglob("*.py"))


# "cursor" is also the position in a list.
NAMES = {*BUILT_IN} - {"cursor"}
# What starts the program `codex` as a host, and what writes its configuration as a client of MCP.
OF_THE_CODEX_CLI = {"codex_host.py", "mcp_clients.py", "mcp.py"}
# A command in a remedy, to the end of its clause.
COMMAND = re.compile(r"\b(?:coatcheck|git|npm) [^;]*")
OPTION = re.compile(r"(?<!\w)--?[a-z]\w+")


def texts(path: Path) -> Iterator[str]:
    """Yield the texts in the code of a module, without docstrings."""
    tree = ast.parse(path.read_text("utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def test_no_provider_is_named() -> None:
    """The command line and the use cases treat no provider by its name; the Codex CLI is a program as well."""
    paths = [path for path in (*USE_CASES, *COMMANDS) if path.name not in OF_THE_CODEX_CLI]

    assert [] == [(path.name, text) for path in paths for text in texts(path) if text in NAMES]


def test_use_cases_name_no_option() -> None:
    """The messages of use cases name fields; only the command line names options, outside of whole commands."""
    assert [] == [
        (path.name, text)
        for path in USE_CASES
        for text in texts(path)
        if " " in text and OPTION.search(COMMAND.sub("", text))
    ]
