"""Plan a review: which service gets which submission, and the name of the review.

Guarantee: a service that cannot take the task has a submission with an error, and costs the others nothing.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from .. import errors
from .._runtime.provider_lookup import require_provider
from .._store.reviews import ReviewSubmission
from .field_errors import FieldError
from .submit import SubmitOptions, attempt_count, build_spec
from .unseen_work import unseen_work
from .workspace import Workspace

if TYPE_CHECKING:
    from .._model.tasks import TaskSpec
    from .._runtime.client import Client
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


class PlannedService(NamedTuple):
    """What is submitted to one service: a specification for each submission, or why there is none."""

    target: Target
    specs: tuple[TaskSpec, ...] = ()
    warning: str | None = None
    error: errors.CoatcheckError | None = None


def parse_targets(texts: Sequence[str], config: Config) -> tuple[Target, ...]:
    """Return the services that *texts* name, each as ``PROVIDER`` or ``PROVIDER:ATTEMPTS``.

    Raises `ConfigurationError` for an unknown service, a wrong number, and a service that is named twice.
    """
    targets = tuple(_target(text.strip(), config) for text in texts)
    names = [target.provider for target in targets]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        total = sum(target.attempts for target in targets if target.provider == twice)
        raise FieldError(
            "{on} names {name} twice",
            name=twice,
            fields=("on",),
            remedy="request the attempts together: {on} {name}:{total}",
            total=total,
        )
    return targets


def _target(text: str, config: Config) -> Target:
    provider, colon, number = text.partition(":")
    if not provider or (colon and not _is_number(number)):
        raise FieldError(
            "{text} is no service with a number of attempts",
            text=repr(text),
            fields=("on",),
            remedy=f"write {{on}} PROVIDER or {{on}} PROVIDER:N, N from 1 to {MAX_ATTEMPTS}",
        )
    require_provider(provider, lambda: config)
    return Target(provider, int(number) if colon else attempt_count(config, None))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 4 and 1 <= int(text) <= MAX_ATTEMPTS


def plan_service(
    workspace: Workspace, client: Client, target: Target, prompt: str, options: SubmitOptions
) -> PlannedService:
    """Return what one service gets: one task with all attempts where it makes several, else a task for each."""
    name = target.provider
    own = Workspace(workspace.folder, config=workspace.config, environ=workspace.environ, provider=name)
    sizes = divided(target.attempts, client.capabilities.max_attempts)
    try:
        spec = build_spec(own, client, prompt, msgspec.structs.replace(options, attempts=sizes[0]))
        specs = tuple(msgspec.structs.replace(spec, attempts=size) for size in sizes)
        return PlannedService(target, specs, warning=unseen_work(own, spec))
    except errors.CoatcheckError as error:
        return PlannedService(target, error=error)


def divided(attempts: int, most: int) -> tuple[int, ...]:
    """Return how many attempts each task makes, where a task makes at most *most*: as few tasks as possible."""
    tasks = -(-attempts // max(1, most))
    return tuple(attempts // tasks + (place < attempts % tasks) for place in range(tasks))


def submissions_of(services: Sequence[PlannedService], messages: Mapping[str, str]) -> tuple[ReviewSubmission, ...]:
    """Return the submissions of a review, numbered from 1; *messages* are the errors of services as text."""
    numbers = itertools.count(1)
    return tuple(
        ReviewSubmission(
            number=next(numbers),
            provider=service.target.provider,
            attempts=service.target.attempts if spec is None else spec.attempts,
            spec=spec,
            error=None if service.error is None else messages[service.target.provider],
        )
        for service in services
        for spec in service.specs or (None,)
    )


def names_of(chosen: str | None, prompt: str) -> Iterator[str]:
    """Yield the names that a review may have: the *chosen* one, else words of the prompt, with a number if need be.

    Raises `ConfigurationError` for a chosen name that could be taken for a ref or a path.
    """
    if chosen is not None:
        if not _NAME.fullmatch(chosen):
            raise FieldError(
                "{name} cannot be the name of a review",
                name=repr(chosen),
                fields=("name",),
                remedy="begin with a letter, and use letters, digits, . _ and -",
            )
        yield chosen
        return
    first = _words(prompt)
    yield first
    yield from (f"{first}-{number}" for number in range(2, 10_000))


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
