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
    """Every field of an answer that is read is on the page of payloads."""
    assert set() == set(struct.__struct_fields__) - words_in(PAYLOADS)


def test_every_request_is_documented() -> None:
    """The path of every request of a client is on the page of payloads."""
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
    requested = {(request.method, re.sub(r"task_e_\w+", "{id}", request.path)) for request in cloud.requests}
    requested = {(method, re.sub(r"\{id\}~\w+", "{turn}", path)) for method, path in requested}
    shown = PAYLOADS.replace("{owner}/{repo}", "owner/repo")

    assert [] == sorted(
        f"{method} {path}" for method, path in requested if f"{method} {path.removeprefix('/backend-api')}" not in shown
    )


def test_the_states_are_those_of_the_table() -> None:
    """The page maps every state of the service to the state that the code maps it to."""
    shown = {
        word: state.strip("`")
        for words, state, _ in table_under("States", CODEX)
        for word in re.findall(r"`(\w+)`", words)
    }

    assert {word: state.name for word, state in STATES.items()} == shown


def test_the_states_that_end_a_task_are_marked() -> None:
    """The page marks the terminal states."""
    shown = {state.strip("`"): ends == "yes" for _, state, ends in table_under("States", CODEX)}

    assert {state: coatcheck.TaskState[state].is_terminal for state in shown} == shown


def test_the_verbs_are_those_that_are_declared() -> None:
    """The page shows the capabilities, and how each is known."""
    shown = {verb.strip("`"): support for verb, support in table_under("What it supports, and the evidence", CODEX)}

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
    """Every setting that `coatcheck config` prints is on the page of settings."""
    page = (REFERENCE / "settings.md").read_text("utf-8")

    assert [] == [name for name in SETTINGS if f"`{name}`" not in page]


MODULES = [coatcheck, coatcheck.provider, coatcheck.testing]
REEXPORTED = API.partition("can be imported from `coatcheck.provider` as well:\n")[2].partition("\n\n")[0]


def described_in(module: ModuleType) -> set[str]:
    """Return the names of *module* that have an entry in the reference."""
    prefix = re.escape(module.__name__)
    return set(
        re.findall(
            rf"^\.\. (?:auto(?:class|data|function|module(?=:: coatcheck\.errors))|py:data):: {prefix}\.(\w+)$",
            API,
            re.MULTILINE,
        )
    )


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_everything_public_is_in_the_reference(module: ModuleType) -> None:
    """Every public name has an entry under the module that exports it, or is listed as exported a second time."""
    reexported = set(re.findall(r"`(\w+)`", REEXPORTED)) if module is coatcheck.provider else set()
    expected = sorted(module.__all__)

    assert expected == sorted(described_in(module) | reexported)


def test_names_that_are_exported_twice_are_the_same() -> None:
    """A name that is listed as exported a second time is the same object, and its first entry exists."""
    described = described_in(coatcheck)
    wrong = [
        name
        for name in re.findall(r"`(\w+)`", REEXPORTED)
        if name not in described or getattr(coatcheck.provider, name) is not getattr(coatcheck, name)
    ]

    assert [] == wrong


def test_no_entry_is_written_twice() -> None:
    """The reference describes a name once in each module, and does not list described names again."""
    listed = set(re.findall(r"`(\w+)`", REEXPORTED))
    entries = re.findall(r"^\.\. auto\w+:: (coatcheck[\w.]*)$", API, re.MULTILINE)

    assert (sorted(set(entries)), set()) == (sorted(entries), listed & described_in(coatcheck.provider))
