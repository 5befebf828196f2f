"""The environment of a task that names none."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from coatcheck._app.checkout import choose_environment
from coatcheck._app.field_errors import FieldError
from coatcheck.provider import Capabilities, Support, Verb


def client_with(*verbs: Verb, needs_environment: bool) -> Any:
    """Return what is used of a client, without environments."""
    can = Capabilities(verbs=dict.fromkeys(verbs, Support.DOCUMENTED), needs_environment=needs_environment)
    return SimpleNamespace(capabilities=can, list_environments=lambda **_: ())


def test_a_service_without_environments_needs_no_repository() -> None:
    """Nothing is chosen, and nothing is requested that the service does not have."""
    assert (None, None) == choose_environment(client_with(needs_environment=False), None)


def test_a_service_that_needs_an_environment_refuses() -> None:
    """An error names what to pass."""
    with pytest.raises(FieldError):
        choose_environment(client_with(Verb.LIST_ENVIRONMENTS, needs_environment=True), None)
