"""Write docs/reference/coatcheck-1.schema.json from the values; with --check, compare it.

Values declare which fields there are and what they mean; their annotations say of what type they are. What is computed
from several attributes has its type in `COMPUTED`.
"""

from __future__ import annotations

import collections.abc
import datetime as dt
import enum
import inspect
import json
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import coatcheck
from coatcheck._fleet import (
    control as fleet_control,
    estimate as fleet_estimate,
    merge_plan as fleet_merge_plan,
    plan as fleet_plan,
    report as fleet_report,
    report_values as fleet_report_values,
)
from coatcheck._model import catalogue, comparison, events, fleets, gates, outcome, tasks, usage
from coatcheck._patches import (
    apply_results,
    compare,
    file_change,
    languages,
    patch_stats,
    policy,
    repair_rows,
    undo_journal,
)
from coatcheck._review import candidates, checks, ranking, score_card
from coatcheck._store import events as stored_events, hooks, reviews
from coatcheck._values import json_fields

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


# Name in the schema -> the class of values that declares it, and whether it is its summary.
VALUES: Mapping[str, tuple[type[Any], bool]] = {
    "Task": (tasks.Task, True),
    "TaskResult": (tasks.Task, False),
    "Outcome": (outcome.Outcome, False),
    "Attempt": (outcome.Attempt, True),
    "AttemptResult": (outcome.Attempt, False),
    "Message": (outcome.Message, False),
    "Citation": (outcome.Citation, False),
    "Item": (outcome.Item, False),
    "PullRequest": (outcome.PullRequest, False),
    "FileSnapshot": (outcome.FileSnapshot, False),
    "FileLines": (outcome.FileLines, False),
    "DiffStats": (outcome.DiffStats, False),
    "Failure": (outcome.Failure, False),
    "Plan": (outcome.Plan, False),
    "PlanStep": (outcome.PlanStep, False),
    "Notice": (outcome.Notice, False),
    "Artifact": (outcome.Artifact, True),
    "Usage": (usage.Usage, False),
    "RateLimit": (usage.RateLimit, False),
    "RateWindow": (usage.RateWindow, False),
    "Credits": (usage.Credits, False),
    "SpendControl": (usage.SpendControl, False),
    "Environment": (catalogue.Environment, False),
    "Model": (catalogue.Model, False),
    "AppliedPatch": (apply_results.AppliedPatch, False),
    "FileOutcome": (apply_results.FileOutcome, False),
    "Finding": (policy.Finding, False),
    "StoredEvent": (stored_events.StoredEvent, False),
    "Gate": (gates.Gate, False),
    "GateOption": (gates.GateOption, False),
    "PermissionRequest": (gates.PermissionRequest, False),
    "Decision": (gates.Decision, False),
    "FleetRecord": (fleets.FleetRecord, False),
    "FleetStatus": (fleets.FleetStatus, False),
    "FleetItem": (fleets.FleetItem, False),
    "FleetCandidate": (fleets.FleetCandidate, False),
    "FleetAccount": (fleets.FleetAccount, False),
    "FleetDelivery": (fleets.FleetDelivery, False),
    "ItemReport": (fleet_control.ItemReport, False),
    "FleetReport": (fleet_report.FleetReport, False),
    "ServiceReport": (fleet_report_values.ServiceReport, False),
    "WaveReport": (fleet_report_values.WaveReport, False),
    "RatePoint": (fleet_report_values.RatePoint, False),
    "ReportedItem": (fleet_report_values.ReportedItem, False),
    "RejectedCandidate": (fleet_report_values.RejectedCandidate, False),
    "Unfinished": (fleet_report_values.Unfinished, False),
    "FleetPlan": (fleet_plan.FleetPlan, False),
    "PlanItem": (fleet_plan.PlanItem, False),
    "MergePlan": (fleet_merge_plan.MergePlan, False),
    "PlannedDelivery": (fleet_merge_plan.PlannedDelivery, False),
    "Estimate": (fleet_estimate.Estimate, False),
    "Hook": (hooks.Hook, False),
    "HookDelivery": (hooks.HookDelivery, False),
    "Repair": (repair_rows.Repair, False),
    "UndoResult": (undo_journal.UndoResult, False),
    "Overlap": (compare.Overlap, False),
    "Language": (languages.Language, False),
    "LanguageStats": (patch_stats.LanguageStats, False),
    "PatchStats": (patch_stats.PatchStats, False),
    "FileChange": (file_change.FileChange, False),
    "Comparison": (comparison.Comparison, False),
    "AttemptChange": (comparison.AttemptChange, False),
    "AttemptPair": (comparison.AttemptPair, False),
    "Ranking": (ranking.Ranking, False),
    "RankingStep": (ranking.RankingStep, False),
    "ScoreCard": (score_card.ScoreCard, False),
    "Candidate": (candidates.Candidate, False),
    "StoredReview": (reviews.StoredReview, False),
    "ReviewSubmission": (reviews.ReviewSubmission, False),
    "CheckResult": (checks.CheckResult, False),
    **{cls.__name__: (cls, True) for cls in events.EVENT_TYPES.values()},
}

COMPUTED: Mapping[tuple[str, str], Mapping[str, object]] = {
    ("StoredEvent", "event"): ref("Event"),
    ("ItemReport", "review"): maybe(ref("Ranking")),
    ("Task", "provider"): TEXT,
    ("TaskResult", "provider"): TEXT,
    ("TaskResult", "attempts"): many(ref("AttemptResult")),
    ("Outcome", "patch"): OR_NULL,
    ("Outcome", "patch_base64"): OR_NULL,
    ("Outcome", "changes"): maybe(many(ref("FileChange"))),
    ("Candidate", "patch"): OR_NULL,
    ("Candidate", "patch_base64"): OR_NULL,
    ("Attempt", "stats"): maybe(ref("DiffStats")),
    ("Attempt", "error"): maybe(ref("Failure")),
    ("AttemptResult", "stats"): maybe(ref("DiffStats")),
    ("AttemptResult", "error"): maybe(ref("Failure")),
    ("Artifact", "size"): NUMBER,
    ("FileChange", "old_path"): OR_NULL,
    ("FileOutcome", "kind"): OR_NULL,
    ("FileOutcome", "detail"): OR_NULL,
}

PLAIN: Mapping[object, Mapping[str, object]] = {
    str: TEXT,
    int: NUMBER,
    float: {"type": "number"},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    dt.datetime: {"type": "string", "format": "date-time"},
    object: {},
    coatcheck.TaskRef: TEXT,
}

NAMES = {name: getattr(coatcheck, name) for name in coatcheck.__all__}
NAMES |= {"datetime": dt.datetime, "Mapping": Mapping, "Sequence": Sequence}
NAMES |= {"ReviewState": reviews.ReviewState, "SubmissionState": reviews.SubmissionState}
NAMES |= vars(typing)
NAMES |= {cls.__name__: cls for cls, _ in VALUES.values()}


def of_type(hint: object) -> Mapping[str, object]:
    """Return the schema of a value of the type *hint*."""
    if hint in PLAIN:
        return PLAIN[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [of_type(each) for each in arguments]}
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin in (collections.abc.Mapping, tuple):
        is_list = origin is tuple
        return (
            many(of_type(arguments[0]))
            if is_list
            else {"type": "object", "additionalProperties": of_type(arguments[1])}
        )
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return {"enum": [member.value for member in hint]}
    if isinstance(hint, type) and hint.__name__ in VALUES:
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


def object_of(name: str, fields: Mapping[str, object], subject: type) -> dict[str, object]:
    """Return the schema of one kind of object. Fields may be added within a schema, so others are allowed."""
    properties = {
        field: {**schema_of(name, field, subject), "description": meaning(entry).replace("`", "")}
        for field, entry in fields.items()
    }
    return {"type": "object", "properties": properties, "required": list(fields)}


def schema_of(name: str, field: str, subject: type) -> Mapping[str, object]:
    """Return the schema of one field of *subject*."""
    if (name, field) in COMPUTED:
        return COMPUTED[name, field]
    if field == "type" and issubclass(subject, events.Event):
        return {"enum": [subject.type]}
    return of_type(type_of(subject, field))


def meaning(entry: object) -> str:
    """Return the description of a field, from its declaration."""
    return entry if isinstance(entry, str) else entry[0]  # type: ignore[index]


def of_value(name: str, cls: type[Any], *, is_summary: bool) -> dict[str, object]:
    """Return the schema of a class of values."""
    hidden = cls._details if is_summary else ()
    return object_of(name, {key: entry for key, entry in cls._json.items() if key not in hidden}, cls)


def schema() -> dict[str, object]:
    """Return all of it. `Task.to_dict` gives a TaskResult, `Outcome.to_dict` an Outcome."""
    values = {name: of_value(name, cls, is_summary=is_summary) for name, (cls, is_summary) in VALUES.items()}
    any_event = {"anyOf": [ref(cls.__name__) for cls in events.EVENT_TYPES.values()]}
    of_tasks = [cls for cls in events.EVENT_TYPES.values() if issubclass(cls, events.TaskEventBase)]
    task_event = {"anyOf": [ref(cls.__name__) for cls in of_tasks]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": json_fields.SCHEMA,
        "description": "Generated by docs/project/tools/generate_schema.py from the declarations of the values.",
        "$defs": {**values, "Event": any_event, "TaskEvent": task_event},
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
