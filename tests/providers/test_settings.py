from __future__ import annotations

from pathlib import Path

import pytest

from coatcheck._protocol import registry
from coatcheck._runtime.config import Config
from coatcheck._runtime.provider_lookup import (
    declared_settings,
    login_notes,
    provider_of,
    provider_of_login,
    server_hints,
)
from coatcheck.provider import COMMON_SETTINGS, LOGIN_SETTINGS, ProviderSetting

DOCS = Path(__file__).parents[2] / "docs"
PAGES = "".join(page.read_text("utf-8") for page in [*DOCS.glob("guides/*.md"), *DOCS.glob("reference/**/*.md")])


class FakeSettings:
    """Settings and variables as a user sets them."""

    def __init__(self, **values: str) -> None:
        self._values = values

    def get(self, name: str, *, variable: str | None = None) -> str | None:
        """Return the setting, else the variable."""
        return self._values.get(name) or self._values.get(variable or "")


SETTING = ProviderSetting("region", "where", "default", ("FIRST", "SECOND"))


@pytest.mark.parametrize(
    ("expected", "values"),
    [
        ("default", {}),
        ("default", {"region": ""}),
        ("b", {"SECOND": "b"}),
        ("a", {"FIRST": "a", "SECOND": "b"}),
        ("own", {"region": "own", "FIRST": "a"}),
    ],
)
def test_a_setting_is_read_before_its_variables_and_its_default(expected: str, values: dict[str, str]) -> None:
    """The setting comes first, then its variables in their order, then the default."""
    assert expected == SETTING.read(FakeSettings(**values))


def test_every_built_in_provider_declares_its_settings() -> None:
    """The declarations of all built-in providers can be read without their settings."""
    declared = declared_settings(Config(environ={}))

    assert set(registry.BUILT_IN) == {name.partition(".")[0] for name in declared}


def test_every_declared_setting_is_documented() -> None:
    """A guide or the provider's page explains each setting that a provider declares, or that every provider has."""
    declared = declared_settings(Config(environ={}))
    shared = {each.name for each in (*COMMON_SETTINGS, *LOGIN_SETTINGS, ProviderSetting("base_url", ""))}
    names = {f"NAME.{name.partition('.')[2]}" if name.partition(".")[2] in shared else name for name in declared}

    assert [] == sorted(name for name in names if f"`{name}`" not in PAGES)


def test_only_logins_by_oauth_have_an_issuer() -> None:
    """The setting `issuer` is declared for the providers whose login has a login service."""
    declared = declared_settings(Config(environ={}))

    assert ["codex", "copilot", "github_actions"] == [
        name.partition(".")[0] for name in declared if name.endswith(".issuer")
    ]


def test_the_note_of_a_login_is_declared_by_its_provider() -> None:
    """The help of `login` gets the sentence about the login of GitHub's providers from their declaration."""
    notes = login_notes(Config(environ={}))

    assert [("github", True)] == [(name, "COATCHECK_GITHUB_CLIENT_ID" in note) for name, note in notes.items()]


def test_hints_of_a_server_are_declared_by_its_provider() -> None:
    """What `serve` prints about other programs is declared by `local`; a line without its value is left out."""
    hints = [server_hints(Config(environ={}), url="http://h", codex_home=home) for home in (None, "/home")]

    assert [1, "CODEX_HOME=/home CODEX_CLOUD_TASKS_BASE_URL=http://h codex cloud list"] == [
        len(hints[0]),
        hints[1][1].partition(": ")[2],
    ]


def test_variables_of_options_are_declared_by_the_provider() -> None:
    """The variable by which the Codex CLI knows a starting diff belongs to Codex Cloud and the local cloud."""
    variables = {
        name: provider_of(name, Config(environ={}, explicit={f"{name}.base_url": "http://127.0.0.1"})).capabilities
        for name in registry.BUILT_IN
    }

    assert {"codex": ("CODEX_STARTING_DIFF",), "local": ("CODEX_STARTING_DIFF",)} == {
        name: can.option_variables["starting_diff"] for name, can in variables.items() if can.option_variables
    }


def test_every_provider_declares_where_a_change_and_a_cost_are() -> None:
    """The table of services has no gap: each provider declares where a change comes from, and where a cost is reported."""
    config = Config(environ={}, explicit={f"{name}.base_url": "http://127.0.0.1" for name in registry.BUILT_IN})
    declared = {name: provider_of(name, config).capabilities for name in registry.BUILT_IN}

    assert [] == [name for name, can in declared.items() if not (can.result and can.cost)]


@pytest.mark.parametrize(
    ("expected", "name"),
    [
        ("github_actions", "github"),
        ("copilot", "copilot"),
        ("codex", "codex"),
        ("unknown", "unknown"),
    ],
)
def test_a_shared_login_is_managed_by_one_of_its_providers(expected: str, name: str) -> None:
    """A login is found by the name of its provider or of the family that several providers share."""
    assert expected == provider_of_login(name, Config(environ={}))
