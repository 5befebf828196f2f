"""The common part of batch services: many requests, and a result for each, in any order.

Invariants:

- Every result is kept under the id of its request; the order of results has no meaning.
- A batch that ended is a success if any of its requests is; a notice lists the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

from .. import errors
from .._model.outcome import Failure, Item, Notice, Outcome
from .._model.states import TaskState
from .decode import read_json
from .provider import Verb
from .settings import ProviderSetting

if TYPE_CHECKING:
    from datetime import datetime

    from .._model.tasks import TaskSpec

T = TypeVar("T")

BATCH_MODEL = ProviderSetting("model", "the model of tasks that name none")
# Why a batch service lacks the verbs that none of them has.
BATCH_REASONS: Mapping[Verb, str] = {
    Verb.LIST_ATTEMPTS: "a batch has requests, each with its own outcome: Outcome.items",
    Verb.LIST_ENVIRONMENTS: "a batch does not run in an environment",
    Verb.LIST_MODELS: "the account decides which models there are; name one",
    Verb.GET_USAGE: "the API does not report it",
    Verb.SEND_MESSAGE: "a batch takes no further messages",
    Verb.APPROVE_PLAN: "a batch has no plan",
    Verb.CREATE_PULL_REQUEST: "a batch has no repository",
    Verb.STREAM_EVENTS: "a batch reports only counts",
}

# The id of a single request without an id.
ONLY = "task"
# The services' SDKs document no rule; all of them accept these ids, and so do file names.
_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
# How many ids a notice lists.
SHOWN = 5


def batch_requests(spec: TaskSpec, *, most: int) -> Mapping[str, str]:
    """Return the prompt of each request, by its id. Raises `ConfigurationError` for none, for more than *most*, bad ids."""
    if spec.requests is None:
        return {ONLY: spec.prompt}
    if not 0 < len(spec.requests) <= most:
        raise errors.ConfigurationError(f"a batch has 1 to {most:,} requests, not {len(spec.requests):,}")
    invalid = next((id for id in spec.requests if not _ID.fullmatch(id)), None)
    if invalid is not None:
        raise errors.ConfigurationError(
            f"{invalid!r} cannot be the id of a request", remedy="use 1 to 64 letters, digits, - and _"
        )
    return {id: f"{spec.prompt}\n\n{text}" for id, text in spec.requests.items()}


def batch_model(spec: TaskSpec, *, default: str | None, provider: str) -> str:
    """Return the model of *spec*, else *default*. Raises `ConfigurationError` if there is neither."""
    model = spec.model or default
    if not model:
        raise errors.ConfigurationError("no model is set", remedy=f"pass --model, or set {provider}.model")
    return model


def read_json_lines(body: bytes, shape: type[T], *, at: str = "$") -> Iterator[T]:
    """Yield each line of a JSONL file. Raises `UnreadableResponseError` with the number of the line."""
    for number, line in enumerate(body.splitlines()):
        if line.strip():
            yield read_json(line, shape, at=f"{at}[{number}]")


def batch_outcome(items: Iterable[Item], *, error: Failure | None = None) -> Outcome:
    """Return the outcome of a batch: the requests by id, and all their messages."""
    by_id = tuple(sorted({item.id: item for item in items}.values(), key=lambda item: item.id))
    return Outcome(messages=tuple(message for item in by_id for message in item.messages), items=by_id, error=error)


def partial_notices(outcome: Outcome | None) -> tuple[Notice, ...]:
    """Return the notice that some requests did not succeed, none where all did."""
    items = outcome.items if outcome else ()
    lost = [item.id for item in items if item.state is not TaskState.SUCCEEDED]
    if not lost or len(items) == 1:
        return ()
    more = f" and {len(lost) - SHOWN} more" if len(lost) > SHOWN else ""
    text = f"{len(lost)} of {len(items)} requests did not succeed: {', '.join(lost[:SHOWN])}{more}"
    return (Notice(kind="partial", text=text),)


def batch_error(outcome: Outcome | None) -> Failure | None:
    """Return why the one request of a batch failed, or the first of those of which none succeeded."""
    items = outcome.items if outcome else ()
    if any(item.state is TaskState.SUCCEEDED for item in items):
        return None
    return next((item.error for item in items if item.error), None)


def batch_progress(
    done: int | None, failed: int | None, total: int | None, *, expires_at: datetime | None = None
) -> str | None:
    """Return the progress of a batch in one line; None where the service reports nothing.

    *expires_at* is when a batch that runs expires.
    """
    wrong = f", {failed} failed" if failed else ""
    counted = f"{done or 0} of {total} requests done{wrong}" if total else None
    expires = f"expires at {expires_at:%Y-%m-%d %H:%M} UTC" if expires_at else None
    return ", ".join(filter(None, (counted, expires))) or None
