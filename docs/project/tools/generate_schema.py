"""Write docs/reference/coatcheck-1.schema.json from the tables and the types of values; with --check, compare it.

The tables say which fields there are and what they mean, the annotations of the values say of what type they are. What
a table computes from several fields has its type in `COMPUTED`.
"""

from __future__ import annotations

import datetime as dt
import enum
import inspect
import json
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

import coatcheck
from coatcheck._cli import apply, patch_formatting
from coatcheck._model import catalogue, json_fields, outcome, tasks, usage
from coatcheck._patches import policy, results, undo_journal

PATH = Path(__file__).parents[2] / "reference" / "coatcheck-1.schema.json"
TEXT: Mapping[str, object] = {"type": "string"}
NUMBER: Mapping[str, object] = {"type": "integer"}
OR_NULL: Mapping[str, object] = {"type": ["string", "null"]}


def ref(name: str) -> dict[str, object]:
    """Return a reference to an object."""
    return {"$ref": f"#/$defs/{name}"}


def maybe(schema: object) -> dict[str, object]:
    """Return what allows null as well."""
    return {"anyOf": [schema, {"type": "null"}]}


def many(schema: object) -> dict[str, object]:
    """Return a list."""
    return {"type": "array", "items": schema}


# Name in the schema -> module of the table, its name there.
OBJECTS: Mapping[str, tuple[ModuleType, str]] = {
    "Task": (tasks, "TASK"),
    "TaskResult": (tasks, "TASK_RESULT"),
    "Event": (tasks, "EVENT"),
    "Outcome": (outcome, "OUTCOME"),
    "Attempt": (outcome, "ATTEMPT"),
    "AttemptResult": (outcome, "ATTEMPT_RESULT"),
    "Message": (outcome, "MESSAGE"),
    "Citation": (outcome, "CITATION"),
    "Item": (outcome, "ITEM"),
    "PullRequest": (outcome, "PULL_REQUEST"),
    "FileSnapshot": (outcome, "FILE"),
    "DiffStats": (outcome, "STATS"),
    "Failure": (outcome, "FAILURE"),
    "Plan": (outcome, "PLAN"),
    "PlanStep": (outcome, "STEP"),
    "Notice": (outcome, "NOTICE"),
    "Artifact": (outcome, "ARTIFACT"),
    "Usage": (usage, "USAGE"),
    "RateLimit": (usage, "RATE_LIMIT"),
    "RateWindow": (usage, "WINDOW"),
    "Credits": (usage, "CREDITS"),
    "SpendControl": (usage, "SPEND_CONTROL"),
    "Environment": (catalogue, "ENVIRONMENT"),
    "Model": (catalogue, "MODEL"),
    "AppliedPatch": (landing, "APPLICATION"),
    "FileOutcome": (landing, "LANDED_FILE"),
    "Finding": (landing, "FINDING"),
    "UndoResult": (landing, "UNDONE"),
    "FileChange": (outcome, "CHANGE"),
    "Comparison": (changes, "COMPARISON"),
    "AttemptChange": (changes, "ATTEMPT_CHANGE"),
    "AttemptPair": (changes, "PAIR"),
    "Counts": (changes, "COUNTS"),
}

COMPUTED: Mapping[tuple[str, str], Mapping[str, object]] = {
    ("Task", "ref"): TEXT,
    ("Task", "id"): TEXT,
    ("Task", "provider"): TEXT,
    ("TaskResult", "ref"): TEXT,
    ("TaskResult", "id"): TEXT,
    ("TaskResult", "provider"): TEXT,
    ("TaskResult", "attempts"): many(ref("AttemptResult")),
    ("Event", "ref"): TEXT,
    ("Outcome", "patch"): OR_NULL,
    ("Outcome", "changes"): maybe(many(ref("FileChange"))),
    ("Attempt", "stats"): maybe(ref("DiffStats")),
    ("Attempt", "error"): maybe(ref("Failure")),
    ("AttemptResult", "stats"): maybe(ref("DiffStats")),
    ("AttemptResult", "error"): maybe(ref("Failure")),
    ("Artifact", "size"): NUMBER,
    ("FileOutcome", "kind"): OR_NULL,
    ("FileOutcome", "detail"): OR_NULL,
    ("FileChange", "old_path"): OR_NULL,
    ("AttemptChange", "files"): NUMBER,
    ("AttemptChange", "added"): NUMBER,
    ("AttemptChange", "removed"): NUMBER,
    ("AttemptChange", "languages"): many(ref("Counts")),
    ("Counts", "language"): OR_NULL,
    ("Counts", "files"): NUMBER,
    ("Counts", "added"): NUMBER,
    ("Counts", "removed"): NUMBER,
}

PLAIN: Mapping[object, Mapping[str, object]] = {
    str: TEXT,
    int: NUMBER,
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    dt.datetime: {"type": "string", "format": "date-time"},
    object: {},
}

NAMES = {name: getattr(coatcheck, name) for name in coatcheck.__all__}
NAMES |= {"datetime": dt.datetime, "Mapping": Mapping, "Sequence": Sequence}
NAMES |= vars(typing) | vars(results) | vars(policy) | vars(journal)


def of_type(hint: object) -> Mapping[str, object]:
    """Return the schema of a value of the type *hint*."""
    if hint in PLAIN:
        return PLAIN[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [of_type(each) for each in arguments]}
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        return many(of_type(arguments[0]))
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return {"enum": [member.value for member in hint]}
    if isinstance(hint, type) and hint.__name__ in OBJECTS:
        return ref(hint.__name__)
    message = f"no schema for {hint!r}"
    raise TypeError(message)


def type_of(subject: type, field: str) -> object:
    """Return the type of a field or a property."""
    for cls in subject.__mro__:
        if (found := inspect.get_annotations(cls).get(field)) is not None:
            return evaluated(found)
        if isinstance(found := vars(cls).get(field), property) and found.fget is not None:
            return evaluated(found.fget.__annotations__["return"])
    raise LookupError(f"{subject.__name__}.{field}")


def evaluated(hint: object) -> object:
    """Return what an annotation means."""
    hint = hint.__forward_arg__ if isinstance(hint, typing.ForwardRef) else hint  # as named tuples keep it
    return eval(hint, dict(NAMES)) if isinstance(hint, str) else hint  # noqa: S307 - our own source


def object_of(name: str, module: ModuleType, table: str) -> dict[str, object]:
    """Return the schema of one kind of object. Fields may be added within a schema, so others are allowed."""
    fields = getattr(module, table)
    subject = NAMES.get(module.__annotations__[table].removeprefix("Fields[").removesuffix("]"), object)
    properties = {
        field: {
            **(COMPUTED[name, field] if (name, field) in COMPUTED else of_type(type_of(subject, field))),
            "description": what.replace("`", ""),
        }
        for field, (what, _) in fields.items()
    }
    return {"type": "object", "properties": properties, "required": list(fields)}


def schema() -> dict[str, object]:
    """Return all of it. `Task.to_dict` gives a TaskResult, `Outcome.to_dict` an Outcome."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": json_fields.SCHEMA,
        "description": "Generated by docs/project/tools/generate_schema.py from the tables beside the values.",
        "$defs": {name: object_of(name, *place) for name, place in OBJECTS.items()},
    }


def main() -> int:
    """Write the file, or compare it."""
    text = json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"
    if "--check" not in sys.argv:
        PATH.write_text(text, encoding="utf-8")
        return 0
    if PATH.exists() and PATH.read_text("utf-8") == text:
        return 0
    print(f"out of date: {PATH.name}; run: python {Path(__file__).name}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
