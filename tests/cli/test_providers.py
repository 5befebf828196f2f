"""`providers`: capabilities of built-in, described and installed providers."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest
from tests.cli.cli_support import Cli

from coatcheck._protocol import registry

ACME = """\
[services.acme]
base_url = "https://acme.example"
[services.acme.submit]
path = "/tasks"
"""


@pytest.fixture
def described(cli: Cli) -> Path:
    """The user's settings, with a service in them."""
    path = Path(cli.environ["HOME"], ".config/coatcheck/config.toml")
    path.parent.mkdir(parents=True)
    path.write_text(ACME)
    return path


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed plug-in that cannot be imported."""
    entry = importlib.metadata.EntryPoint(name="broken", value="no.such.module:thing", group=registry.GROUP)
    monkeypatch.setattr(registry, "_entry_points", lambda: (entry,))


@pytest.mark.usefixtures("described")
def test_a_described_service_is_listed_and_shown(cli: Cli) -> None:
    """A verb that a description does not define is missing, with the reason."""
    assert "acme" in cli("providers").out.splitlines()[0]
    assert {"cancel_task", "delete_task", "list_tasks"} == set(
        cli("providers", "show", "acme", "--json").json["missing"]
    )


def test_a_bad_description_is_a_warning_in_the_list_and_an_error_when_used(cli: Cli, described: Path) -> None:
    """The file and the key, in one line; the other providers are listed all the same."""
    described.write_text(ACME.replace("path", "paht"))
    listed = cli("providers")
    wrong = "config.toml: services.acme.submit: object "

    assert listed.code == 0
    assert listed.out.startswith("COMMAND")
    assert listed.err.startswith("coatcheck: warning: ")
    assert wrong in listed.err
    assert wrong in cli("submit", "--provider", "acme", "Say hello").line


@pytest.mark.usefixtures("broken")
def test_a_broken_plug_in_is_one_warning_and_one_error(cli: Cli) -> None:
    """A broken plug-in is left out of the matrix, and an error names its entry point."""
    listed, reason = cli("providers"), "the provider 'broken' of no.such.module:thing cannot be loaded"

    assert (0, 1, False) == (listed.code, listed.err.count("\n"), "broken" in listed.out)
    assert listed.err.startswith(f"coatcheck: warning: {reason}: ModuleNotFoundError")
    assert cli("list", "--provider", "broken").line.startswith(reason)
    assert {"name": "broken", "error": cli("list", "--provider", "broken").line} in cli("providers", "--json").json[
        "providers"
    ]


def test_a_new_provider_is_written_to_the_working_directory(cli: Cli) -> None:
    """Its files on stdout, what to do next on stderr."""
    done = cli("providers", "new", "acme_cloud")
    paths = [Path(line) for line in done.out.splitlines()]

    assert {cli.folder / "coatcheck-acme-cloud"} == {
        path.parents[len(path.relative_to(cli.folder).parts) - 2] for path in paths
    }
    assert all(path.is_file() for path in paths)
    assert "pip install -e '.[test]' && pytest" in done.err


def test_a_new_provider_in_json(cli: Cli, tmp_path: Path) -> None:
    """The folder and the files, and nothing else."""
    done = cli("providers", "new", "acme", "--folder", "here", "--json")

    assert ("acme", str(tmp_path / "here")) == (done.json["name"], done.json["folder"])
    assert "pyproject.toml" in done.json["files"]
    assert "" == done.err


def test_a_new_provider_needs_a_name(cli: Cli) -> None:
    """And a folder that is empty."""
    assert (
        "coatcheck providers new needs NAME; for examples see: coatcheck providers new --help"
        == cli("providers", "new").line
    )
    assert "is not a valid provider name" in cli("providers", "new", "No").line
    assert 0 == cli("providers", "new", "acme").code
    assert "is not empty; name an empty one with --folder" in cli("providers", "new", "acme").line
