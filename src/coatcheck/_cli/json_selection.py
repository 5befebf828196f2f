"""Choose what ``--json FIELDS`` prints, and filter it with ``--jq``.

Invariants:

- unknown fields and wrong filters are refused before any request is sent;
- a list of objects becomes an array of objects with the fields, as ``gh --json`` prints it; one object becomes one;
- the word after ``--json`` is FIELDS only where it can be nothing else (`splits_fields`).
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from .. import errors
from .._installation import install_command
from .._values.json_fields import SCHEMA, escaped

if TYPE_CHECKING:
    import click

# Command, or group and subcommand -> the class whose JSON fields its document, or the objects in it, have.
CLASSES: Mapping[str, str] = {
    "list": "_model.tasks:Task",
    "status": "_model.tasks:Task",
    "show": "_model.tasks:Task",
    "history list": "_model.tasks:Task",
    "history show": "_model.tasks:Task",
    "wait": "_model.tasks:Task",
    "run": "_model.tasks:Task",
    "submit": "_model.tasks:Task",
    "message": "_model.tasks:Task",
    "usage": "_model.usage:Usage",
    "models": "_model.catalogue:Model",
    "environments": "_model.catalogue:Environment",
    "config list": "_runtime.config:Setting",
    "config get": "_runtime.config:Setting",
    "config set": "_runtime.config:Setting",
    "config unset": "_runtime.config:Setting",
    "config edit": "_runtime.config:Setting",
    "auth status": "_credentials.login_status:LoginStatus",
    "login": "_credentials.login_status:LoginStatus",
    "watch": "_model.events:TaskEventBase",
    "apply": "_patches.apply_results:AppliedPatch",
    "review": "_review.ranking:Ranking",
    "gates": "_model.gates:Gate",
    "fleet list": "_model.fleets:FleetRecord",
    "fleet plan": "_fleet.plan:FleetPlan",
    "fleet show": "_model.fleets:FleetItem",
    "fleet approve": "_model.fleets:FleetItem",
    "fleet reject": "_model.fleets:FleetItem",
    "fleet retry": "_model.fleets:FleetItem",
    "fleet report": "_fleet.report:FleetReport",
    "hooks list": "_store.hooks:Hook",
    "hooks log": "_store.hooks:HookDelivery",
    "templates show": "_review.templates:Template",
    "templates render": "_review.templates:Rendered",
}
# The fields of a ranking, which `run` prints for several services.
RANKING = ("review", "choice", "reason", "cards", "places", "steps", "base", "notes")
# Fields of documents that have no class, and further fields of those that have one.
NAMES: Mapping[str, tuple[str, ...]] = {
    "run": ("applied", "gate", *RANKING),
    "wait": ("gate",),
    "submit": ("submissions", "gate", "review"),
    "watch": ("state", "raw_state", "error", "message", "plan", "is_approved", "stats", "source", "notice", "data"),
    "status": ("recorded_at",),
    "show": ("recorded_at",),
    "history list": ("recorded_at", "is_current", "template", "template_digest"),
    "history show": ("recorded_at", "is_current", "template", "template_digest"),
    "history import": ("imported",),
    "history forget": ("forgotten",),
    "history prune": ("pruned",),
    "attempts": ("ref", "attempts", "comparison", "recorded_at"),
    "diff": (
        "recorded_at",
        "ref",
        "attempt",
        "diff",
        "diff_base64",
        "stats",
        "files",
        "between",
        "share",
        "diff_of_diffs",
    ),
    "apply": ("gate", "action", "ref", "attempt", "recorded_at", "left_out", "findings", "restored", "removed", "kept"),
    "review": ("applied", "review", "reviews"),
    "approve": ("ref", "action", "gate"),
    "reject": ("ref", "action", "gate"),
    "answer": ("ref", "action", "gate"),
    "templates list": ("name", "path", "is_from_repository", "hides_own", "template", "error"),
    "templates check": ("name", "path", "is_from_repository", "hides_own", "template", "error", "findings"),
    "fleet run": ("status", "problems"),
    "fleet status": ("status", "items"),
    "fleet watch": ("status",),
    "fleet show": ("item", "prompt", "candidates", "delivery", "review"),
    "fleet report": ("path", "format"),
    "fleet pause": ("fleet", "is_changed"),
    "fleet resume": ("fleet", "is_changed"),
    "fleet cancel": ("fleet", "running"),
    "fleet init": ("store", "is_new", "fleets"),
    "fleet work": ("statuses",),
    "codex-host up": ("host", "is_new"),
    "codex-host status": ("host",),
    "codex-host stop": ("host",),
    "hooks add": ("hook", "secret"),
    "hooks remove": ("hook", "action"),
    "hooks on": ("hook",),
    "hooks off": ("hook",),
    "hooks rotate": ("hook", "secret"),
    "hooks test": ("delivery",),
    "hooks replay": ("delivery", "action"),
    "hooks secret": ("sender", "action"),
    "cancel": ("ref", "action"),
    "archive": ("ref", "action"),
    "unarchive": ("ref", "action"),
    "delete": ("ref", "action"),
    "pr": ("ref", "action"),
    "logout": ("provider", "is_revoked"),
    "workflow init": ("path",),
    "providers new": ("name", "folder", "files"),
}
# Keys of documents that hold a list of objects.
LISTS = ("tasks", "models", "environments", "settings", "providers", "gates", "templates")
# The same for commands that have one more; other documents have such a key beside others.
LISTS_OF_COMMANDS: Mapping[str, str] = {
    "fleet list": "fleets",
    "fleet show": "items",
    "fleet approve": "items",
    "fleet reject": "items",
    "fleet retry": "items",
    "hooks list": "hooks",
    "hooks log": "deliveries",
}
# Arguments that hold a person's words.
FREE_TEXT = frozenset({"prompt", "text", "words"})


def fields_of(command: str) -> tuple[str, ...]:
    """Return the fields that ``--json FIELDS`` of *command* takes, an empty tuple where they are not declared."""
    names = ["schema"]
    if path := CLASSES.get(command):
        module, _, name = path.partition(":")
        names += getattr(importlib.import_module(f"...{module}", __name__), name)._json  # noqa: SLF001
    return tuple(dict.fromkeys([*names, *NAMES.get(command, ())])) if len(names) > 1 or command in NAMES else ()


def splits_fields(word: str, command: click.Command) -> bool:
    """Whether *word* after ``--json`` is FIELDS: on a command without arguments, or if it can only be field names.

    Where a command takes a person's words, only ``--json=FIELDS`` names fields.
    """
    names = word.split(",")
    if not all(name.replace("_", "").isalnum() and name.islower() and name.isascii() for name in names):
        return False
    arguments = [each.name for each in command.params if each.param_type_name == "argument"]
    if not arguments:
        return True
    if not FREE_TEXT.isdisjoint(arguments):
        return False
    return len(names) > 1 or word in fields_of(command.name or "")


def joined(arguments: Sequence[str], command: click.Command) -> list[str]:
    """Return *arguments* with ``--json`` and its FIELDS in one word; the fields of several are added.

    What follows ``--``, and the value of another option, is not the option ``--json``.
    """
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    with_value = options_with_value(command)
    words: list[str] = []
    fields: list[str] = []
    position = 0
    while position < end:
        word, position = arguments[position], position + 1
        if word == "--json" and position < end and splits_fields(arguments[position], command):
            fields.append(arguments[position])
            position += 1
        elif word == "--json" or word.startswith("--json="):
            fields.append(word.removeprefix("--json").removeprefix("="))
        else:
            size = 2 if word in with_value else 1
            words += arguments[position - 1 : min(position - 1 + size, end)]
            position += size - 1
    return [f"--json={','.join(filter(None, fields))}", *words, *arguments[end:]]


def options_with_value(command: click.Command) -> set[str]:
    """Return the options of *command* that take the next word as their value."""
    options = (each for each in command.params if each.param_type_name == "option")
    valued = (each for each in options if not (each.is_flag or each.count))  # type: ignore[attr-defined]
    return {name for each in valued for name in each.opts} - {"--json"}


class JsonOutput:
    """What is printed of a document: all of it, the fields, or what the jq filter makes of either."""

    def __init__(self, command: str, fields: str | None, filter: str | None) -> None:
        """Raise `ConfigurationError` for an unknown field, and for a filter that jq cannot compile."""
        self._known = fields_of(command)
        own = LISTS_OF_COMMANDS.get(command)
        self._lists = (*LISTS, own) if own else LISTS
        self._fields = [name.strip() for name in fields.split(",")] if fields else []
        if self._known:
            self._require(self._known)
        self._filter = jq_filter(filter) if filter is not None else None
        self.is_filtered = filter is not None

    def text(self, document: Mapping[str, object], *, is_line: bool = False) -> bytes:
        """Return what is printed of *document*; *is_line* is for a document of a stream."""
        chosen = self._chosen({"schema": SCHEMA, **document})
        data = _encoded(chosen)
        if self._filter is not None:
            return self._filter(data.decode())
        return (data if is_line else msgspec.json.format(data, indent=2)) + b"\n"

    def _chosen(self, document: Mapping[str, object]) -> Any:
        if not self._fields:
            return document
        rows = next((document[name] for name in self._lists if isinstance(document.get(name), list)), None)
        if not isinstance(rows, list):
            return self._row(document)
        return [self._row(row) for row in rows]

    def _row(self, row: Mapping[str, object]) -> dict[str, object]:
        if not self._known:
            self._require(tuple(row))
        failed = {"ref": row.get("ref"), "error": row["error"]} if _is_failure(row) else {}
        return {name: row.get(name) for name in self._fields} | failed

    def _require(self, known: Sequence[str]) -> None:
        for name in self._fields:
            if name not in known:
                remedy = f"choose from: {', '.join(known)}"
                raise errors.ConfigurationError(f"--json has no field {name!r}", remedy=remedy)


def _is_failure(row: Mapping[str, object]) -> bool:
    """Whether *row* stands for a task that a command of several tasks failed for."""
    return set(row) == {"ref", "error"}


class jq_filter:  # noqa: N801 - used as a function
    """A compiled jq program: called with JSON text, it returns a line per result, text without quotes as ``jq -r``."""

    def __init__(self, program: str) -> None:
        self._program = _compiled(program)

    def __call__(self, text: str) -> bytes:
        """Return the results of the program for *text*. Raises `ConfigurationError` where it fails."""
        try:
            results = self._program.input_text(text).all()
        except ValueError as error:
            raise _failure(error) from None
        return b"".join(_line(result) for result in results)


def _compiled(program: str) -> Any:
    try:
        import jq
    except ImportError:
        remedy = f"install it with: {install_command('jq')}; or pipe the output of --json to jq"
        raise errors.ConfigurationError("--jq needs the package jq", remedy=remedy) from None
    try:
        return jq.compile(program)
    except ValueError as error:
        raise _failure(error) from None


def _failure(error: ValueError) -> errors.ConfigurationError:
    message = " ".join(str(error).split()).removeprefix("jq: ").removeprefix("error: ")
    return errors.ConfigurationError(f"--jq: {message}", remedy="see: https://jqlang.org/manual/")


def _line(result: object) -> bytes:
    return (result.encode("utf-8", "backslashreplace") if isinstance(result, str) else _encoded(result)) + b"\n"


def _encoded(value: object) -> bytes:
    """Return *value* as JSON on one line; a lone surrogate (a file name that is not UTF-8) as an escape."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(escaped(value))
