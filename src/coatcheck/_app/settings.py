"""Change one setting in a TOML file.

Guarantee: comments and the other settings stay as they are. A file whose new text would not read back as intended, or
cannot be read, is not changed; a new text replaces the file atomically.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping

from .. import errors
from .._files.private import replace_file
from .._files.reading import read_regular_file
from .._runtime.config import read_file

_HEADER = re.compile(r"\s*\[")


def set_setting(path: str, name: str, value: str) -> None:
    """Write the setting *name* ("attempts", "codex.base_url") into the file *path*, which is created if it is missing."""
    table, key = _split(name)
    lines, expected = _read_lines(path), {**read_file(path), name: value}
    line = f"{key} = {_encoded(value)}"
    if (index := _find(lines, name)) is not None:
        lines[index] = line
    elif (end := _end_of_table(lines, table)) is not None:
        lines.insert(end, line)
    else:
        lines += [*([""] if lines else []), f"[{table}]", line]
    _write(path, lines, expected)


def unset_setting(path: str, name: str) -> bool:
    """Remove the setting *name* from the file *path*; return whether it was there."""
    values = dict(read_file(path))
    if values.pop(name, None) is None:
        return False
    lines = _read_lines(path)
    if (index := _find(lines, name)) is not None:
        del lines[index]
    _write(path, lines, values)
    return True


def _split(name: str) -> tuple[str, str]:
    table, _, key = name.rpartition(".")
    return table, key


def _read_lines(path: str) -> list[str]:
    try:
        return read_regular_file(path).decode("utf-8-sig").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise errors.ConfigurationError(
            f"{path} cannot be read: {reason}", remedy="move it away, or fix its permissions"
        ) from None


def _find(lines: list[str], name: str) -> int | None:
    """Return the index of the line that sets *name*."""
    table = ""
    for index, line in enumerate(lines):
        if _HEADER.match(line):
            table = _table_of(line)
            continue
        key, equals, _ = line.partition("=")
        full = ".".join(filter(None, (table, _plain(key))))
        if equals and full == name:
            return index
    return None


def _end_of_table(lines: list[str], table: str) -> int | None:
    """Return the index after the last line of *table* that is not blank, None where there is no such table."""
    start = 0
    if table:
        headers = [index for index, line in enumerate(lines) if _HEADER.match(line) and _table_of(line) == table]
        if not headers:
            return None
        start = headers[0] + 1
    end = next((index for index in range(start, len(lines)) if _HEADER.match(lines[index])), len(lines))
    while end > start and not lines[end - 1].strip():
        end -= 1
    return end


def _table_of(header: str) -> str:
    return _plain(header.strip().removeprefix("[").partition("]")[0])


def _plain(key: str) -> str:
    """Return a key without white space and quotes: ``codex . "rate"`` is ``codex.rate``."""
    return ".".join(part.strip().strip("\"'") for part in key.split("."))


def _encoded(value: str) -> str:
    if value in ("true", "false") or (value.isascii() and value.isdecimal() and str(int(value)) == value):
        return value
    return json.dumps(
        value, ensure_ascii=False
    )  # a JSON string is a basic string of TOML (toml.io/en/v1.0.0, "String")


def _write(path: str, lines: list[str], expected: Mapping[str, str]) -> None:
    """Replace the file by *lines*, if they read back as *expected*."""
    data = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
    if not _reads_as(data, expected):
        raise errors.ConfigurationError(
            f"{path} has a form that cannot be changed by a command", remedy="change it with: coatcheck config edit"
        )
    try:
        target = os.path.realpath(path)  # the file may be a link into a folder of dotfiles
        os.makedirs(os.path.dirname(target), exist_ok=True)
        replace_file(target, data)
    except OSError as error:
        raise errors.ConfigurationError(f"{path} cannot be written: {error.strerror}") from None


def _reads_as(data: bytes, expected: Mapping[str, str]) -> bool:
    import tomllib

    from .._runtime.config import flat_settings

    try:
        return flat_settings(tomllib.loads(data.decode("utf-8"))) == expected
    except ValueError:
        return False
