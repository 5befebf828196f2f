"""Write the folder of a new provider: a package that passes the conformance tests before it is changed.

The templates are in ``scaffold/``: a whole provider for an invented service called Acme, whose name is replaced. Their
names end in ``.txt``, so that they are not imported or collected as modules or tests.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

from .. import errors
from .._protocol.registry import BUILT_IN

TEMPLATES = os.path.join(os.path.dirname(__file__), "scaffold")
SUFFIX = ".txt"
# A name becomes a module, a function, a variable of the environment and the word before the colon of every ref.
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
MAX_NAME = 24


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


def write(name: str, folder: str) -> list[str]:
    """Write a provider called *name* into *folder*, which must be empty or not there; return the files' paths."""
    files = dict(rendered(checked(name)))
    try:
        if os.path.isdir(folder) and os.listdir(folder):
            raise errors.ConfigurationError(f"{folder} is not empty", remedy="name an empty one with --folder")
        for path, data in files.items():
            place = os.path.join(folder, path)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "xb") as file:
                file.write(data)
    except OSError as error:
        raise errors.ConfigurationError(f"{folder} cannot be written: {error.strerror}") from None
    return list(files)


def rendered(name: str) -> Iterator[tuple[str, bytes]]:
    """Yield the path and content of every file of a provider called *name*."""
    for folder, _, files in sorted(os.walk(TEMPLATES)):
        for file in sorted(each for each in files if each.endswith(SUFFIX)):
            path = os.path.join(folder, file)
            with open(path, encoding="utf-8") as template:
                text = renamed(template.read(), name)
            yield renamed(os.path.relpath(path, TEMPLATES).removesuffix(SUFFIX), name), text.encode()


def renamed(text: str, name: str) -> str:
    """Return *text* with Acme's name, in each of its four forms, replaced by *name*'s."""
    forms: Mapping[str, str] = {
        "coatcheck-acme": f"coatcheck-{name.replace('_', '-')}",
        "ACME": name.upper(),
        "Acme": "".join(part.capitalize() for part in name.split("_")),
        "acme": name,
    }
    return re.sub("|".join(forms), lambda match: forms[match[0]], text)
