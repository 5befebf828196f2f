from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from coatcheck import (
    Attempt,
    Citation,
    DiffStats,
    Failure,
    FileSnapshot,
    Message,
    Notice,
    Outcome,
    Patch,
    PatchState,
    Plan,
    PlanStep,
    PullRequest,
    RateLimit,
    RateWindow,
    Task,
    TaskRef,
    TaskState,
)
from coatcheck.cloud.scripted_cloud import DIFF

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/reference/coatcheck-1.schema.json").read_text("utf-8"))
TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
    "array": list,
    "object": dict,
}
WHEN = datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC)

FULL = Outcome(
    messages=(Message(text="Done.", citations=(Citation(kind="file", target="a.py", start=1),)),),
    patch=Patch.parse(DIFF),
    patch_state=PatchState.PRESENT,
    base_commit="0" * 40,
    stats=DiffStats(files=1, added=1),
    pull_request=PullRequest(title="T", body="B", stats=DiffStats()),
    files=(FileSnapshot(path="a.py", content="x = 1\n", is_whole=True, language="Python"),),
    error=Failure(code="c", message="m"),
)
TASKS = {
    "bare": Task(ref=TaskRef("codex", "task_e_1"), state=TaskState.UNKNOWN),
    "full": Task(
        ref=TaskRef("codex", "task_e_1"),
        state=TaskState.SUCCEEDED,
        mode="code",
        created_at=WHEN,
        outcome=FULL,
        attempts=(Attempt(id="t", placement=0, state=TaskState.SUCCEEDED, outcome=FULL, created_at=WHEN),),
        plan=Plan(id="p", steps=(PlanStep(title="s"),)),
        notices=(Notice(kind="stalled", text="x"),),
        pull_requests=(PullRequest(number=1),),
        rate_limit=RateLimit(windows=(RateWindow(name="primary", used_percent=1.5, resets_at=WHEN),)),
    ),
}


def problems(value: Any, schema: Mapping[str, Any], where: str = "$") -> list[str]:
    """Return where *value* does not match *schema*, for the parts of JSON Schema that ours uses."""
    if "$ref" in schema:
        return problems(value, SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], where)
    if "anyOf" in schema:
        found = [problems(value, each, where) for each in schema["anyOf"]]
        return [] if [] in found else [each for some in found for each in some]
    if "enum" in schema:
        return [] if value in schema["enum"] else [f"{where} is {value!r}"]
    wanted = schema.get("type", [])
    names = [wanted] if isinstance(wanted, str) else wanted
    is_number_for_bool = isinstance(value, bool) and "boolean" not in names
    if names and (is_number_for_bool or not any(isinstance(value, TYPES[name]) for name in names)):
        return [f"{where} is {value!r}, not {wanted}"]
    if isinstance(value, list):
        return [bad for at, each in enumerate(value) for bad in problems(each, schema["items"], f"{where}[{at}]")]
    return _inside(value, schema, where) if isinstance(value, dict) else []


def _inside(value: Mapping[str, Any], schema: Mapping[str, Any], where: str) -> list[str]:
    properties = schema.get("properties", {})
    missing = [f"{where} has no {name}" for name in schema.get("required", ()) if name not in value]
    inner = [problems(each, properties[name], f"{where}.{name}") for name, each in value.items() if name in properties]
    return [*missing, *(bad for some in inner for bad in some)]


@pytest.mark.parametrize("name", TASKS)
def test_documents_match_the_schema(name: str) -> None:
    """A task as plain data has every field with its published type, also after JSON."""
    document = TASKS[name].to_dict()

    assert [] == problems(json.loads(json.dumps(document)), {"$ref": "#/$defs/TaskResult"})


def test_outcomes_match_the_schema() -> None:
    """The document of an outcome matches the schema."""
    assert [] == problems(json.loads(json.dumps(FULL.to_dict())), {"$ref": "#/$defs/Outcome"})


@pytest.mark.parametrize(
    "wrong", [{"state": "great"}, {"title": 1}, {"attempts": [{}]}, {"outcome": {"stats": []}}, {"created_at": 1.5}]
)
def test_other_documents_do_not_match(wrong: Mapping[str, object]) -> None:
    """The schema refuses wrong types, wrong words and missing fields, at every depth."""
    assert problems({**TASKS["full"].to_dict(), **wrong}, {"$ref": "#/$defs/TaskResult"})


def test_documents_name_their_schema() -> None:
    """Every document names its schema."""
    assert SCHEMA["title"] == TASKS["bare"].to_dict()["schema"] == FULL.to_dict()["schema"]
