from __future__ import annotations

from pathlib import Path

from tests import checkouts
from tests.cli.cli_support import Cli

from coatcheck._protocol import registry


def test_usage_has_every_window(cli: Cli) -> None:
    """Windows by name, with percent and reset time; credits."""
    used = cli("usage", "--json").json

    assert [("primary", 42.0), ("secondary", 85.0)] == [
        (window["name"], window["used_percent"]) for window in used["rate_limit"]["windows"]
    ]
    assert "9.99" == used["credits"]["balance"]
    assert "  primary (5 hours): 42 % used, resets at" in cli("usage").out


def test_environments_are_listed(cli: Cli) -> None:
    """Environments are printed with id, label, repository and branch, without secrets."""
    (environment,) = cli("environments", "--json").json["environments"]

    assert ("owner/repo", ["owner/repo"], "main") == (
        environment["label"],
        environment["repositories"],
        environment["default_branch"],
    )
    assert "owner/repo" in cli("environments").out


def test_environments_of_a_repository(cli: Cli) -> None:
    """--repo lists the environments of one repository."""
    assert [] == cli("environments", "--json", "--repo", "other/thing").json["environments"]
    assert "No environments found.\n" == cli("environments", "--repo", "other/thing").out


def test_models_are_dated(cli: Cli) -> None:
    """Every model has the date of its entry, and no request is sent."""
    known = cli("models", "--all", "--json").json["models"]

    assert all(model["as_of"] and model["source"] for model in known)
    assert {"gpt-5-codex", "gpt-5", "codex-mini-latest"} <= {model["id"] for model in known}
    assert [] == cli.cloud.requests


def test_hidden_models_are_shown_on_request(cli: Cli) -> None:
    """--all shows what the service hides."""
    assert "gpt-daybreak-blue-latest" not in cli("models").out
    assert "gpt-daybreak-blue-latest" in cli("models", "--all").out


def test_settings_have_origins(tmp_path: Path) -> None:
    """Every value has an origin: a variable, a file, or the default."""
    checkouts.mark(tmp_path)
    (tmp_path / "coatcheck.toml").write_text('branch = "next"\n')
    cli = Cli(tmp_path, COATCHECK_ATTEMPTS="3", CODEX_CLOUD_TASKS_BASE_URL="http://127.0.0.1:1/backend-api")
    origins = {each["name"]: each["origin"] for each in cli("config", "--json").json["settings"]}

    assert (
        "environment COATCHECK_ATTEMPTS",
        f"{tmp_path}/coatcheck.toml",
        "environment CODEX_CLOUD_TASKS_BASE_URL",
    ) == (
        origins["attempts"],
        origins["branch"],
        origins["codex.base_url"],
    )
    assert "branch = next" in cli("config").out.splitlines()
    assert "not set" in cli("config", "--show-origin").out


def test_the_matrix_has_every_provider(cli: Cli) -> None:
    """The matrix shows which provider supports which verb, and whether that is documented."""
    header, *rows = [line.split() for line in cli("providers").out.splitlines()]
    cancel = next(dict(zip(header, row, strict=True)) for row in rows if row[0] == "cancel")

    assert ("COMMAND", *registry.names()) == tuple(header)
    assert ("observed", "observed") == (cancel["codex"], cancel["local"])


def test_a_provider_is_shown(cli: Cli) -> None:
    """One provider with everything it can and cannot do."""
    shown = cli("providers", "show", "codex", "--json").json

    assert ("documented", "observed", 4) == (
        shown["verbs"]["create_task"],
        shown["verbs"]["send_message"],
        shown["max_attempts"],
    )
    assert "attempts: 1 to 4" in cli("providers", "show", "codex").out.splitlines()


def test_a_provider_must_be_named(cli: Cli) -> None:
    """`show` without a name is an error with the right command."""
    assert (
        "coatcheck providers show needs NAME; for examples see: coatcheck providers show --help"
        == cli("providers", "show").line
    )
