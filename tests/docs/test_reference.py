from __future__ import annotations

import inspect
import re
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

import coatcheck
import coatcheck.provider
import coatcheck.testing
from coatcheck._runtime.config import SETTINGS
from coatcheck.providers.codex import wire
from coatcheck.providers.codex.extract import STATES
from coatcheck.providers.codex.model_catalogue import models
from coatcheck.providers.codex.provider import CAPABILITIES
from coatcheck.testing import EmulatorTransport, ScriptedCloud

REFERENCE = Path(__file__).parents[2] / "docs/reference"
PAYLOADS = (REFERENCE / "payloads.md").read_text("utf-8")
CODEX = (REFERENCE / "providers/codex.md").read_text("utf-8")
API = (REFERENCE / "api.md").read_text("utf-8")
# The settings that have a row of their own; the variable of the file of services is on the page of described services.
KNOWN = SETTINGS.keys() - {"poll_cost", "services_file"}


def table_under(heading: str, page: str) -> list[list[str]]:
    """Return the rows of the first table after *heading*, without its head."""
    after = page.partition(f"\n## {heading}\n")[2]
    rows = re.findall(r"^\|(.*)\|$", after.partition("\n## ")[0], re.MULTILINE)
    return [[cell.strip() for cell in row.split("|")] for row in rows[2:]]


def words_in(page: str) -> set[str]:
    """Return every word in backticks."""
    return {word for quoted in re.findall(r"`([^`\n]+)`", page) for word in re.findall(r"\w+", quoted)}


STRUCTS = [each for _, each in inspect.getmembers(wire, inspect.isclass) if issubclass(each, msgspec.Struct)]


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_every_field_that_is_read_is_documented(struct: type[msgspec.Struct]) -> None:
    """Nothing of an answer is read in silence."""
    assert set() == set(struct.__struct_fields__) - words_in(PAYLOADS)


def test_every_request_is_documented() -> None:
    """What a client asks for, by its path, is on the page."""
    cloud = ScriptedCloud(["completed"])
    with coatcheck.Client("codex", token=cloud.tokens.access_token, transport=EmulatorTransport(cloud)) as client:
        ref = client.create_task("Say hello", repository="owner/repo", attempts=2).ref
        client.list_attempts(ref)
        list(client.list_tasks())
        client.get_usage()
        for act in (client.cancel_task, client.archive_task, client.unarchive_task, client.create_pull_request):
            act(ref)
        list(client.stream_task(ref))
        client.delete_task(ref)
    asked = {(request.method, re.sub(r"task_e_\w+", "{id}", request.path)) for request in cloud.requests}
    asked = {(method, re.sub(r"\{id\}~\w+", "{turn}", path)) for method, path in asked}
    shown = PAYLOADS.replace("{owner}/{repo}", "owner/repo")

    assert [] == sorted(
        f"{method} {path}" for method, path in asked if f"{method} {path.removeprefix('/backend-api')}" not in shown
    )


def test_the_states_are_those_of_the_table() -> None:
    """Every word of the service leads on the page where it leads in the code."""
    shown = {
        word: state.strip("`")
        for words, state, _ in table_under("States", CODEX)
        for word in re.findall(r"`(\w+)`", words)
    }

    assert {word: state.name for word, state in STATES.items()} == shown


def test_the_states_that_end_a_task_are_marked() -> None:
    """The page says of each state whether it is terminal."""
    shown = {state.strip("`"): ends == "yes" for _, state, ends in table_under("States", CODEX)}

    assert {state: coatcheck.TaskState[state].is_terminal for state in shown} == shown


def test_the_verbs_are_those_that_are_declared() -> None:
    """The page shows the capabilities, and how each is known."""
    shown = {verb.strip("`"): support for verb, support in table_under("What it does, and how we know", CODEX)}

    assert {verb: support.value for verb, support in CAPABILITIES.verbs.items()} == shown


def test_the_models_are_those_of_the_data_file() -> None:
    """The page shows the catalogue as it is."""
    expected = [
        [
            str(part or "")
            for part in (model.id, model.context, model.max_context, model.max_output, model.successor, model.as_of)
        ]
        for model in models()
    ]

    assert expected == [[cell.strip("`") for cell in row] for row in table_under("Models", CODEX)]


def test_every_setting_is_documented() -> None:
    """What `coatcheck config` shows, the guide explains."""
    page = (REFERENCE.parent / "guides/usage.md").read_text("utf-8")

    assert [] == [name for name in KNOWN if f"`{name}`" not in page.partition("\n## Settings\n")[2]]


@pytest.mark.parametrize(
    "module", [coatcheck, coatcheck.provider, coatcheck.testing], ids=lambda module: module.__name__
)
def test_everything_public_is_in_the_reference(module: ModuleType) -> None:
    """What may be imported is explained."""
    names = set(module.__all__) - (set() if module is coatcheck else set(coatcheck.__all__))
    missing = [name for name in sorted(names) if not re.search(rf":: {re.escape(module.__name__)}\.{name}\b", API)]

    assert [] == [name for name in missing if name not in {"__version__", "faults"}]
