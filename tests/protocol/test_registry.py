"""Providers by name."""

from __future__ import annotations

import importlib.metadata

import pytest
from tests.toy import ToyProvider

from coatcheck import errors
from coatcheck._protocol import registry
from coatcheck._runtime.config import Config
from coatcheck._runtime.provider_lookup import provider_of

URL = "http://127.0.0.1:9"


def test_an_unknown_provider_lists_the_known_ones() -> None:
    """The remedy lists the known providers."""
    with pytest.raises(errors.ConfigurationError, match="no provider 'nope'") as caught:
        registry.load("nope")

    assert "codex" in (caught.value.remedy or "")


def test_every_factory_of_the_index_returns_the_provider_of_its_name() -> None:
    """Each built-in provider has the name under which the index lists its factory."""
    made = {
        name: provider_of(name, Config(environ={}, explicit={f"{name}.base_url": URL})) for name in registry.BUILT_IN
    }

    assert {name: name for name in registry.BUILT_IN} == {name: provider.name for name, provider in made.items()}


class NoSettings:
    """Empty settings."""

    def get(self, name: str, *, variable: str | None = None) -> str | None:
        return None


def no_provider(settings: registry.Settings) -> object:
    """Return an object that is no provider."""
    return object()


def raising(settings: registry.Settings) -> object:
    """Raise."""
    raise LookupError("gone")


def misnamed(settings: registry.Settings) -> object:
    """Return a provider of another name."""
    return ToyProvider()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("no.such.module:thing", "cannot be loaded: ModuleNotFoundError"),
        (f"{__name__}:nothing", "cannot be loaded: AttributeError"),
        (f"{__name__}:raising", "cannot be loaded: LookupError: gone"),
        (f"{__name__}:no_provider", "cannot be loaded: AttributeError"),
        (f"{__name__}:misnamed", "is not a provider of that name"),
    ],
)
def test_a_broken_plug_in_is_one_clear_error(value: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error for a plug-in that cannot be used names it and the reason."""
    entry = importlib.metadata.EntryPoint(name="broken", value=value, group=registry.GROUP)
    monkeypatch.setattr(registry, "_entry_points", lambda: (entry,))

    with pytest.raises(errors.ConfigurationError, match=f"'broken' of {value} {reason}"):
        registry.load("broken")(NoSettings())
