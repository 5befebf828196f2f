"""Tests of guides beyond the output of their examples."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import msgspec
import pytest

from coatcheck import AsyncClient, Client
from coatcheck._protocol.provider import task_pages_of
from coatcheck._protocol.registry import BUILT_IN
from coatcheck._runtime.config import Config
from coatcheck._runtime.provider_lookup import provider_of
from coatcheck.providers.generic_http import description

GUIDES = Path(__file__).parents[2] / "docs/guides"


def blocks(page: str, language: str) -> list[str]:
    """Return the code blocks of a guide in one language."""
    text = (GUIDES / page).read_text("utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_the_provider_of_the_guide_passes_the_conformance_tests(tmp_path: Path) -> None:
    """The example provider of the guide passes the conformance tests."""
    (tmp_path / "test_toy.py").write_text("\n".join(blocks("providers.md", "python")))
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_toy.py"]
    ran = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=240, check=False)

    assert 0 == ran.returncode, ran.stdout


DESCRIBED = blocks("any-202-service.md", "toml")


@pytest.mark.parametrize("toml", DESCRIBED, ids=range(len(DESCRIBED)))
def test_every_description_of_the_guide_is_one(toml: str) -> None:
    """Every description of a service in the guide is valid."""
    services = tomllib.loads(toml)["services"]

    assert all(description.read(name, table, origin="guide") for name, table in services.items())


def test_every_extra_is_documented() -> None:
    """The table of extras has each one that the project declares, and no other."""
    root = GUIDES.parents[1]
    declared = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    section = (root / "docs/start/install.md").read_text("utf-8").partition("| Extra |")[2].partition("\n## ")[0]

    assert sorted(declared) == re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)


def test_every_site_whose_urls_are_accepted_is_documented() -> None:
    """The list of accepted URLs has the site of each task page that a built-in provider declares, and no other site."""
    config = Config(environ={f"COATCHECK_{name.upper()}_BASE_URL": "http://127.0.0.1:9" for name in BUILT_IN})
    pages = [page for name in BUILT_IN for page in task_pages_of(provider_of(name, config))]
    section = (GUIDES.parent / "reference/refs.md").read_text("utf-8").partition("## Which URLs are accepted")[2]

    assert {page.site for page in pages} == set(re.findall(r"`(https://[^`/]+)`[,:]", section))


def test_the_guide_has_every_key() -> None:
    """The table of the guide has every key of a description, and no other."""
    keys = set(description.Description.__struct_fields__) - set(PARTS)
    keys |= {f"{part}.{name}" for part, kind in PARTS.items() for name in kind.__struct_fields__}
    table = (GUIDES / "any-202-service.md").read_text("utf-8").partition("## Every key")[2].partition("\n## ")[0]
    shown = [re.findall(r"`([a-z_.]+)`", row.split("|")[1]) for row in table.splitlines() if row.startswith("| `")]

    assert keys == {key for row in shown for key in row}


PARTS: dict[str, type[msgspec.Struct]] = {
    "submit": description.Submit,
    "status": description.Status,
    "task": description.TaskPlaces,
    "result": description.Result,
    "cancel": description.Act,
    "delete": description.Act,
    "list": description.Listing,
}

STEPS = {
    "create_task": "Step 1/2",
    "send_message": "Step 1/2",
    "resume_submissions": "Step 1/2",
    "poll_task": "Step 2/2",
    "poll_tasks": "Step 2/2",
    "watch_task": "Step 2/2",
    "watch_tasks": "Step 2/2",
    "get_task": "Step 2/2",
    "get_task_status": "Step 2/2",
}


@pytest.mark.parametrize("client", [Client, AsyncClient])
@pytest.mark.parametrize("verb", STEPS)
def test_every_verb_names_its_step(client: type, verb: str) -> None:
    """The docstrings of both clients name the step of each method."""
    assert STEPS[verb] in (getattr(client, verb).__doc__ or "")


def test_submitting_and_waiting_names_both_steps() -> None:
    """The docstring of the method that submits and waits names both steps."""
    assert "Steps 1/2 and 2/2" in (Client.create_task_and_wait.__doc__ or "")


@pytest.mark.parametrize("verb", [name for name in vars(Client) if not name.startswith("_")])
def test_both_clients_have_the_same_docstrings(verb: str) -> None:
    """Both clients have the same docstrings."""
    different = {"close": "aclose", "tokens": "tokens"}

    assert verb in different or getattr(Client, verb).__doc__ == getattr(AsyncClient, verb).__doc__
