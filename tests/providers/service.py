"""What a provider's tests say about its service, in ``service.py`` beside them: the emulator, and a task that succeeds there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from coatcheck import TaskSpec

PROMPT = "Say hello"
IN_REPOSITORY = TaskSpec(prompt=PROMPT, repository="owner/repo")
BATCH = TaskSpec(prompt=PROMPT, requests={"a": "one", "b": "two"})


class TwoEnvironments(NamedTuple):
    """An emulator with two environments: `names` are those that a person may give the first, `other` one of the second.

    `provider` is the provider at a base URL, where it is not that of the service.
    """

    emulator: Callable[..., Any]
    names: tuple[str, ...]
    other: str
    provider: Callable[[str], Any] | None = None


class Service(NamedTuple):
    """A provider at a base URL, the emulator of its service, and a task that succeeds there.

    `token` returns a valid token. `attach` is called with the emulator and the URL at which it is served, and
    `further_origin` with the URL of a second server of it, where the service has one.
    """

    provider: Callable[[str], Any]
    emulator: Callable[..., Any]
    spec: TaskSpec = IN_REPOSITORY
    token: Callable[[Any], str] = lambda emulator: emulator.token
    attach: Callable[[Any, str], None] = lambda _emulator, _url: None
    further_origin: Callable[[Any, str], None] | None = None
    environments: TwoEnvironments | None = None
