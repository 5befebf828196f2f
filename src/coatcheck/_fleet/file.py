"""Read a fleet file: TOML, or JSON where its name ends in ``.json``.

Invariants:

- a key that is not known is an error that suggests the nearest one; every error names the file and the key;
- what a file names by path (prompt, items) is read here, relative to the file; nothing else is opened.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from .. import errors
from .._runtime.config import suggestion
from .sections import FleetSections, Section

T = TypeVar("T")

# A fleet file is written by hand; more is another kind of file.
MAX_SIZE = 16 * 1024 * 1024


def read_file(path: Path) -> FleetSections:
    """Return the tables of the fleet file at *path*, with the text of `prompt_file` as the prompt."""
    return in_file(path, lambda: _with_prompt(convert(_document(path)), path.parent))


def in_file(path: Path, read: Callable[[], T]) -> T:
    """Return what *read* returns; its errors name the file."""
    try:
        return read()
    except errors.ConfigurationError as error:
        if str(path) in str(error):
            raise
        raise errors.ConfigurationError(f"{path}: {error}", remedy=error.remedy) from None


def convert(document: Mapping[str, Any]) -> FleetSections:
    """Return a document as tables. Raises `ConfigurationError` that names the key."""
    _check_keys(FleetSections, document, "")
    try:
        return msgspec.convert(document, FleetSections)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None


def schema() -> dict[str, Any]:
    """Return the JSON Schema of fleet files, for editors."""
    return msgspec.json.schema(FleetSections)


def _document(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SIZE + 1)
    except OSError as error:
        raise errors.ConfigurationError(
            f"{path} cannot be read: {error.strerror}", remedy="name a fleet file"
        ) from None
    if len(data) > MAX_SIZE:
        raise errors.ConfigurationError(f"{path} has more than {MAX_SIZE} bytes", remedy="keep items in a CSV file")
    try:
        document = _parse(data.decode("utf-8-sig"), is_json=path.suffix == ".json")
    except (ValueError, RecursionError) as error:
        kind = "JSON" if path.suffix == ".json" else "TOML"
        raise errors.ConfigurationError(f"{path} is not {kind}: {error}", remedy=f"correct the {kind}") from None
    if not isinstance(document, Mapping):
        raise errors.ConfigurationError(f"{path} should hold an object", remedy="see docs/reference/fleet-file.md")
    return document


def _parse(text: str, *, is_json: bool) -> Any:
    if is_json:
        import json

        return json.loads(text)
    import tomllib

    return tomllib.loads(text)


def _with_prompt(sections: FleetSections, folder: Path) -> FleetSections:
    """Return *sections* with the text of its prompt file as the prompt."""
    task = sections.task
    given = [name for name in ("prompt", "prompt_file", "template") if getattr(task, name) is not None]
    if len(given) != 1:
        raise errors.ConfigurationError(
            f"task has {' and '.join(given) or 'no prompt'}", remedy="give one of prompt, prompt_file and template"
        )
    if task.prompt_file is None:
        return sections
    path = folder / task.prompt_file
    try:
        prompt = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise errors.ConfigurationError(
            f"the prompt file {path} cannot be read: {error.strerror}", remedy="correct task.prompt_file"
        ) from None
    except UnicodeDecodeError:
        raise errors.ConfigurationError(f"the prompt file {path} is not UTF-8", remedy="save it as UTF-8") from None
    task = msgspec.structs.replace(task, prompt=prompt, prompt_file=None)
    return msgspec.structs.replace(sections, task=task)


# --- errors -----------------------------------------------------------------------------------------------------------


def _check_keys(cls: type[Section], document: Any, at: str) -> None:
    """Raise for the first key in *document* that *cls* does not declare, in any of its tables."""
    if not isinstance(document, Mapping):
        return
    hints = typing.get_type_hints(cls)
    for name, value in document.items():
        if name not in hints:
            near = suggestion(str(name), hints)
            raise errors.ConfigurationError(
                f"there is no key {at}{name}", remedy=near or f"known keys: {', '.join(hints)}"
            )
        if (inner := _section_of(hints[name])) is None:
            continue
        if isinstance(value, list | tuple):
            for number, each in enumerate(value):
                _check_keys(inner, each, f"{at}{name}[{number}].")
        else:
            _check_keys(inner, value, f"{at}{name}.")


def _section_of(hint: Any) -> type[Section] | None:
    """Return the class of table that *hint* contains, None where it is plain."""
    if isinstance(hint, type) and issubclass(hint, Section):
        return hint
    found = (_section_of(each) for each in typing.get_args(hint))
    return next((each for each in found if each is not None), None)


def _invalid(reason: str) -> errors.ConfigurationError:
    """Return the error of a value that does not fit, from msgspec's *reason*: the key, then what is wrong."""
    what, _, path = reason.partition(" - at `$.")
    key = path.rstrip("`")
    if match := re.fullmatch(r"Object missing required field `(\w+)`", what):
        key = f"{key}.{match[1]}".lstrip(".")
        return errors.ConfigurationError(f"{key} is missing", remedy=f"add {key}")
    if key == "name":
        return errors.ConfigurationError(
            "name is not usable as the name of a fleet", remedy="use letters, digits, dots, - and _, at most 100"
        )
    return errors.ConfigurationError(
        f"{key or 'the file'}: {what[:1].lower()}{what[1:]}", remedy="see the fleet file's page"
    )
