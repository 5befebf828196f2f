from __future__ import annotations

from pathlib import Path

import pytest

from coatcheck._protocol import registry
from coatcheck._runtime.config import Config
from coatcheck._runtime.provider_lookup import declared_settings, provider_of_login
from coatcheck.provider import ProviderSetting

DOCS = Path(__file__).parents[2] / "docs"
PAGES = "".join(page.read_text("utf-8") for page in [*DOCS.glob("guides/*.md"), *DOCS.glob("reference/providers/*.md")])


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
    """What a provider declares, a guide or the provider's page explains."""
    declared = declared_settings(Config(environ={}))

    assert [] == [name for name in declared if f"`{name}`" not in PAGES and not name.endswith(".base_url")]


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
