"""The services that get a task, the attempts of each, and the name of a review. Pure, except that a plug-in is looked up."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from .._runtime.provider_lookup import require_provider
from ..errors import ConfigurationError

if TYPE_CHECKING:
    from .._runtime.config import Config

# More attempts than this of one service are an accident: each of them costs money.
MAX_ATTEMPTS = 99
# How many characters of the prompt a generated name has.
NAME_LENGTH = 32
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")


class Target(NamedTuple):
    """A service that gets the task, and how many attempts it makes."""

    provider: str
    attempts: int


def parse_targets(texts: Sequence[str], config: Config, *, attempts: int = 1) -> tuple[Target, ...]:
    """Return the services that *texts* name, each as ``PROVIDER`` or ``PROVIDER:N``; *attempts* is N where none is given.

    Raises `ConfigurationError` for an unknown service, a wrong number, and a service that is named twice.
    """
    targets = tuple(_target(text.strip(), config, attempts) for text in texts)
    names = [target.provider for target in targets]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        total = sum(target.attempts for target in targets if target.provider == twice)
        raise ConfigurationError(
            f"the service {twice} is named twice", remedy=f"request the attempts together: {twice}:{total}"
        )
    return targets


def _target(text: str, config: Config, attempts: int) -> Target:
    provider, colon, number = text.partition(":")
    if not provider or (colon and not _is_number(number)):
        raise ConfigurationError(
            f"{text!r} is no service with a number of attempts",
            remedy=f"write PROVIDER or PROVIDER:N, N from 1 to {MAX_ATTEMPTS}",
        )
    require_provider(provider, lambda: config)
    return Target(provider, int(number) if colon else attempts)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 4 and 1 <= int(text) <= MAX_ATTEMPTS


def divided(attempts: int, most: int) -> tuple[int, ...]:
    """Return how many attempts each task makes, where a task makes at most *most*: as few tasks as possible."""
    tasks = -(-attempts // max(1, most))
    return tuple(attempts // tasks + (place < attempts % tasks) for place in range(tasks))


def names_of(chosen: str | None, prompt: str) -> Iterator[str]:
    """Return the names that a review may have: the *chosen* one, else words of the prompt, with a number if need be.

    Raises `ConfigurationError` for a chosen name that could be taken for a ref or a path.
    """
    if chosen is None:
        first = _words(prompt)
        return itertools.chain([first], (f"{first}-{number}" for number in range(2, 10_000)))
    if not is_review_name(chosen):
        raise ConfigurationError(
            f"{chosen!r} cannot be the name of a review",
            remedy="begin with a letter, and use letters, digits, . _ and -",
        )
    return iter([chosen])


def is_review_name(text: str) -> bool:
    """Whether a review may have this name."""
    return _NAME.fullmatch(text) is not None


def _words(prompt: str) -> str:
    """Return the first words of *prompt* as a name."""
    plain = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", plain)
    name = ""
    for word in words:
        if name and len(name) + len(word) >= NAME_LENGTH:
            break
        name = f"{name}-{word}" if name else word[:NAME_LENGTH]
    return name if name[:1].isalpha() else f"review-{name}".rstrip("-")
