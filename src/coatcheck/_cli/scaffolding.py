"""Write a new provider: a package of its own, or a built-in provider in a checkout of coatcheck.

Either passes the conformance tests before it is changed. The templates are in ``scaffold/``: a whole provider for an
invented service called Acme, whose name is replaced. Their names end in ``.txt``, so that they are not imported or
collected as modules or tests.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterator, Mapping

from .. import errors
from .._protocol.registry import BUILT_IN

TEMPLATES = os.path.join(os.path.dirname(__file__), "scaffold")
SUFFIX = ".txt"
# A name becomes a module, a function, a variable of the environment and the word before the colon of every ref.
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
MAX_NAME = 24

# Where the parts of a package are in a checkout of coatcheck; the first that is the beginning of a path. None: nowhere.
PLACES: Mapping[str, str | None] = {
    "src/coatcheck_acme/emulator.py": "src/coatcheck/testing/emulators/acme.py",
    "src/coatcheck_acme/py.typed": None,
    "src/coatcheck_acme/": "src/coatcheck/providers/acme/",
    "tests/": "tests/providers/acme/",
    "docs/": "docs/reference/providers/",
    "pyproject.toml": None,
}
# The folders of what is only in a checkout, and of what a service has that speaks JSON-RPC in place of HTTP.
CHECKOUT, JSON_RPC = "checkout/", "json_rpc/"
# The module for the tests of all services, which are served over HTTP.
SERVICE = f"{CHECKOUT}tests/providers/acme/service.py"
# The modules of a package, as they are called in a checkout.
MODULES: Mapping[str, str] = {
    "coatcheck_acme.emulator": "coatcheck.testing.emulators.acme",
    "coatcheck_acme": "coatcheck.providers.acme",
}


def checked(name: str) -> str:
    """Return *name*, or raise `ConfigurationError` where it is not valid."""
    from keyword import iskeyword

    if not _NAME.fullmatch(name) or len(name) > MAX_NAME or iskeyword(name):
        raise errors.ConfigurationError(
            f"{name!r} is not a valid provider name",
            remedy=f"use small letters, digits and _, at most {MAX_NAME} of them: acme, acme_cloud",
        )
    if name in BUILT_IN:
        raise errors.ConfigurationError(f"{name} is a provider already", remedy="choose another name")
    return name


def write(name: str, folder: str, *, is_json_rpc: bool = False) -> list[str]:
    """Write a provider called *name* into *folder*, which must be empty or not there; return the files' paths."""
    files = dict(rendered(checked(name), is_json_rpc=is_json_rpc))
    if os.path.isdir(folder) and os.listdir(folder):
        raise errors.ConfigurationError(f"{folder} is not empty", remedy="name an empty one with --folder")
    return _write(files, folder)


def write_built_in(name: str, checkout: str, *, is_json_rpc: bool = False) -> list[str]:
    """Write a built-in provider called *name* into a *checkout* of coatcheck; return the files' paths."""
    files = dict(rendered_built_in(checked(name), is_json_rpc=is_json_rpc))
    if not os.path.isdir(os.path.join(checkout, "src/coatcheck/providers")):
        raise errors.ConfigurationError(f"{checkout} is not a checkout of coatcheck", remedy="name one with --folder")
    existing = [path for path in files if os.path.lexists(os.path.join(checkout, path))]
    if existing:
        raise errors.ConfigurationError(f"{existing[0]} exists already", remedy="choose another name")
    return _write(files, checkout)


def _write(files: Mapping[str, bytes], folder: str) -> list[str]:
    try:
        for path, data in files.items():
            place = os.path.join(folder, path)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "xb") as file:
                file.write(data)
    except OSError as error:
        raise errors.ConfigurationError(f"{folder} cannot be written: {error.strerror}") from None
    return list(files)


def rendered(name: str, *, is_json_rpc: bool = False) -> Iterator[tuple[str, bytes]]:
    """Yield the path and content of every file of a package for a provider called *name*."""
    for path, text in _templates(is_json_rpc=is_json_rpc):
        if not path.startswith(CHECKOUT):
            yield renamed(path, name), renamed(text, name).encode()


def rendered_built_in(name: str, *, is_json_rpc: bool = False) -> Iterator[tuple[str, bytes]]:
    """Yield the path and content of every file of a built-in provider called *name*."""
    for path, text in _templates(is_json_rpc=is_json_rpc):
        place = _place_in_checkout(path)
        if place is not None and not (is_json_rpc and path == SERVICE):
            content = with_modules_of_checkout(text, place) if place.endswith(".py") else text
            yield renamed(place, name), renamed(content, name).encode()


def _place_in_checkout(path: str) -> str | None:
    """Return where a file of a package is in a checkout, None where it is not."""
    if path.startswith(CHECKOUT):
        return path.removeprefix(CHECKOUT)
    for start, place in PLACES.items():
        if path.startswith(start):
            return place and path.replace(start, place, 1)
    return path


def _templates(*, is_json_rpc: bool) -> Iterator[tuple[str, str]]:
    """Yield the path of each template in the package, and its text: those for JSON-RPC replace the others."""
    paths = sorted(
        os.path.relpath(os.path.join(folder, file), TEMPLATES)
        for folder, _, files in os.walk(TEMPLATES)
        for file in files
        if file.endswith(SUFFIX)
    )
    chosen = {path: path for path in paths if not path.startswith(JSON_RPC)}
    if is_json_rpc:
        chosen |= {path.removeprefix(JSON_RPC): path for path in paths if path.startswith(JSON_RPC)}
    for path, template in sorted(chosen.items()):
        with open(os.path.join(TEMPLATES, template), encoding="utf-8") as file:
            yield path.removesuffix(SUFFIX), file.read()


def renamed(text: str, name: str) -> str:
    """Return *text* with Acme's name, in each of its forms, replaced by *name*'s."""
    forms: Mapping[str, str] = {
        "coatcheck-acme": f"coatcheck-{name.replace('_', '-')}",
        "ac-me": name.replace("_", "-"),
        "ACME": name.upper(),
        "Acme": "".join(part.capitalize() for part in name.split("_")),
        "acme": name,
    }
    return re.sub("|".join(forms), lambda match: forms[match[0]], text)


# --- modules of a checkout --------------------------------------------------------------------------------------------


def with_modules_of_checkout(text: str, place: str) -> str:
    """Return the *text* of a module at *place* with the modules of a checkout, imported in the order of this project."""
    if place.startswith("src/coatcheck/providers/"):
        text = text.replace("    from coatcheck.provider import Settings\n\n", "    from ...provider import Settings\n")
        text = text.replace("from coatcheck.provider import", "from ...provider import")
    if place.startswith("src/coatcheck/testing/"):
        text = text.replace("from . import", "from coatcheck_acme import")
        text = text.replace("from .provider import", "from coatcheck_acme.provider import")
        text = text.replace(
            "from coatcheck.testing import FakeClock, faults",
            "from coatcheck.cloud import faults\nfrom coatcheck.testing.fake_clock import FakeClock",
        )
    for module, other in MODULES.items():
        text = text.replace(module, other)
    return _with_sorted_imports(text)


def _with_sorted_imports(text: str) -> str:
    """Return *text* with its imports in sections: the standard library, other packages, coatcheck, relative ones."""
    lines = text.splitlines(keepends=True)
    statements = [node for node in ast.parse(text).body if isinstance(node, ast.Import | ast.ImportFrom)]
    statements = [node for node in statements if ast.unparse(node) != "from __future__ import annotations"]
    if not statements:
        return text
    sections: dict[int, list[ast.Import | ast.ImportFrom]] = {}
    for node in statements:
        sections.setdefault(_section(node), []).append(node)
    blocks = [
        "".join("".join(lines[node.lineno - 1 : node.end_lineno]) for node in sorted(nodes, key=_order))
        for _, nodes in sorted(sections.items())
    ]
    before, after = lines[: statements[0].lineno - 1], lines[statements[-1].end_lineno or 0 :]
    return "".join((*before, "\n".join(blocks), *after))


def _section(node: ast.Import | ast.ImportFrom) -> int:
    if isinstance(node, ast.ImportFrom) and node.level:
        return 3
    package = _module(node).partition(".")[0]
    return 2 if package == "coatcheck" else 0 if package in sys.stdlib_module_names else 1


def _order(node: ast.Import | ast.ImportFrom) -> tuple[bool, int, str]:
    level = node.level if isinstance(node, ast.ImportFrom) else 0
    return isinstance(node, ast.ImportFrom), -level, _module(node)


def _module(node: ast.Import | ast.ImportFrom) -> str:
    return (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
