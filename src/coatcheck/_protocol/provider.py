"""The contract every provider keeps. Instances hold settings, no state, and do no I/O."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from .. import errors
from .._values.value import Value

if TYPE_CHECKING:
    from .._model.catalogue import Environment, Model
    from .._model.events import TaskEvent
    from .._model.outcome import Attempt
    from .._model.tasks import Page, Task, TaskRef, TaskSpec
    from .._model.usage import Usage
    from .effects import Exchange, Request
    from .intents import Intent
    from .login_contract import Login, Secret


class Support(enum.Enum):
    """How we know that a service does something."""

    DOCUMENTED = "documented"
    OBSERVED = "observed"


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider can do, declared, so that what it cannot do fails before any request.

    `verbs` maps the client's verbs to how we know; `reasons` says of a missing verb why. `options` are the fields of
    `TaskSpec` beyond prompt, repository, environment and branch that the service takes. `typical_seconds` is how long
    half of its tasks take, before anything was learnt here. `write_pause` is how many seconds the service wants between
    two requests that change something, `rate` how many requests a second it takes, unless the setting says otherwise. `needs_environment` says that a task must name an
    environment or a repository; `lists_by_id` that `list_tasks` takes the id of one and no other name.
    """

    verbs: Mapping[str, Support]
    reasons: Mapping[str, str] = {}
    options: frozenset[str] = frozenset()
    modes: frozenset[str] = frozenset({"code"})
    max_attempts: int = 1
    typical_seconds: float = 360.0
    write_pause: float = 0.0
    rate: float | None = None
    needs_environment: bool = True
    lists_by_id: bool = False
    notes: tuple[str, ...] = ()

    def require(self, verb: str, provider: str) -> Support:
        """Return how *verb* is known to work; raises `UnsupportedError` where it does not."""
        try:
            return self.verbs[verb]
        except KeyError:
            reason = self.reasons.get(verb, "the service offers no such thing")
            message = f"{provider} has no {verb}: {reason}"
            raise errors.UnsupportedError(message) from None


class StatusPage(Value, frozen=True, kw_only=True):
    """What a service told of many tasks at once: a page of its list, or what lay in a queue.

    `is_final` says that a task that has ended is here whole and needs no look of its own. `receipts` are what
    `Provider.acknowledge` gives back, once what they stand for has been handed out.
    """

    tasks: tuple[Task, ...] = ()
    cursor: str | None = None
    is_final: bool = False
    receipts: tuple[str, ...] = ()


class TaskSnapshot(Value, frozen=True, kw_only=True):
    """What a look told somebody who remembers the look before.

    `events` are what the service itself says has happened since; the `cursor` of each is the memory after it. None
    where the service tells no events: the engine then compares two looks. `memory` is what the next look is given:
    printable and short, since it is part of an event's cursor.
    """

    task: Task
    events: tuple[TaskEvent, ...] | None = None
    memory: str = ""


TaskFilter = Literal["current", "archived", "all"]


class Provider(Protocol):
    """How one service is spoken to.

    Each verb is an `Exchange`: a generator that yields requests and returns a value. Only the verbs named in
    `capabilities` are ever called, so a provider writes only those.
    """

    @property
    def name(self) -> str:
        """The word before the colon of every ref."""
        ...

    @property
    def capabilities(self) -> Capabilities: ...

    @property
    def origins(self) -> Mapping[str, str]:
        """Base URLs by name, without a trailing slash; "api" is the default of a `Request`.

        A provider whose tasks have pages elsewhere names their base URLs in `sites`, a tuple of texts.
        """
        ...

    @property
    def login(self) -> Login: ...

    def authorize(self, request: Request, secret: Secret, now: float) -> Request:
        """Return *request* with the secret on it. Pure; called for every attempt, on the encoded bytes."""
        ...

    def prepare(self, spec: TaskSpec) -> Exchange[TaskSpec]:
        """Turn names into the ids that `create_task` sends (environment, branch); may ask, never creates."""
        ...

    def create_task(self, spec: TaskSpec) -> Exchange[Task | None]:
        """Create the task: exactly one POST. `spec` has been prepared, and its `key` is the intent's id.

        None says that the service took it and did not say which task it is: `find_task` will.
        """
        ...

    def find_task(self, intent: Intent) -> Exchange[Task | None]:
        """Return the task that was submitted with the key `intent.id`, None where there is none (yet).

        For services that carry a key: a lost answer is then found by it, and otherwise by the list and the prompt.
        """
        ...

    def get_task(self, ref: TaskRef) -> Exchange[Task]:
        """Look at a task: exactly one request, unless the service keeps half of the truth elsewhere."""
        ...

    def get_snapshot(
        self, ref: TaskRef, *, memory: str, is_watched: bool, now: float, shown: Task | None
    ) -> Exchange[TaskSnapshot]:
        """Look at a task that is being waited for, knowing what the look before gave ("" at first).

        *is_watched* says that somebody wants the events; *now* is in seconds since the epoch. *shown* is what a page of
        the list has just said of a task that goes on: what is there need not be asked for again. For services that tell
        more than `get_task` asks for; others leave it out and are looked at by `get_task`.
        """
        ...

    def get_task_response(self, ref: TaskRef) -> Exchange[bytes]: ...
    def list_attempts(self, task: Task) -> Exchange[tuple[Attempt, ...]]: ...
    def list_tasks(
        self, *, filter: TaskFilter, environment: str | None, limit: int | None, cursor: str | None
    ) -> Exchange[Page]: ...
    def list_environments(self, *, repository: str | None) -> Exchange[tuple[Environment, ...]]: ...
    def list_models(self) -> tuple[Model, ...]: ...
    def get_usage(self) -> Exchange[Usage]: ...
    def cancel_task(self, ref: TaskRef) -> Exchange[None]: ...
    def archive_task(self, ref: TaskRef) -> Exchange[None]: ...
    def unarchive_task(self, ref: TaskRef) -> Exchange[None]: ...
    def delete_task(self, ref: TaskRef) -> Exchange[None]: ...
    def send_message(
        self, ref: TaskRef, text: str, *, mode: Literal["code", "ask"], model: str | None
    ) -> Exchange[Task]: ...
    def approve_plan(self, ref: TaskRef) -> Exchange[None]: ...
    def create_pull_request(self, ref: TaskRef, *, attempt: int | None, draft: bool) -> Exchange[None]: ...
    def get_status_page(self, refs: Sequence[TaskRef], *, cursor: str | None) -> Exchange[StatusPage]:
        """Look at many tasks at once: one request. *refs* are those waited for."""
        ...

    def acknowledge(self, sweep: StatusPage) -> Exchange[None]:
        """Tell the service that what it handed out once has been kept."""
        ...

    def stream_events(self, ref: TaskRef) -> Events: ...
    def extract_response(self, response: bytes, siblings: bytes | None) -> Task:
        """Read a saved or live answer; pure."""
        ...


if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any, TypeAlias

    from .effects import Emit, Read

    Events: TypeAlias = Generator[Request | Read | Emit, Any, None]
