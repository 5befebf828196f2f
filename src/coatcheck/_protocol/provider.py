"""The contract of a provider. Instances hold settings, have no state and do no I/O."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Protocol, cast

import msgspec

from .. import errors
from .._values.value import Value
from .settings import COMMON_SETTINGS, LOGIN_SETTINGS, ProviderSetting

if TYPE_CHECKING:
    from .._model.catalogue import Environment, Model
    from .._model.events import TaskEvent
    from .._model.outcome import Attempt
    from .._model.task_page import TaskPage
    from .._model.tasks import Page, Task, TaskRef, TaskSpec
    from .._model.usage import Usage
    from .effects import Events, Exchange, Request
    from .intents import Intent
    from .login_contract import Login, Secret
    from .webhooks import Webhooks


class Verb(enum.StrEnum):
    """The operations of a provider; the value is the name of its method."""

    CREATE_TASK = "create_task"
    FIND_TASK = "find_task"
    GET_TASK = "get_task"
    GET_SNAPSHOT = "get_snapshot"
    GET_STATUS_PAGE = "get_status_page"
    LIST_ATTEMPTS = "list_attempts"
    LIST_TASKS = "list_tasks"
    RESOLVE_ENVIRONMENT = "resolve_environment"
    LIST_ENVIRONMENTS = "list_environments"
    LIST_MODELS = "list_models"
    GET_USAGE = "get_usage"
    CANCEL_TASK = "cancel_task"
    ARCHIVE_TASK = "archive_task"
    UNARCHIVE_TASK = "unarchive_task"
    DELETE_TASK = "delete_task"
    SEND_MESSAGE = "send_message"
    APPROVE_PLAN = "approve_plan"
    DECIDE_PERMISSION = "decide_permission"
    CREATE_PULL_REQUEST = "create_pull_request"
    STREAM_EVENTS = "stream_events"
    GET_CURRENT_DIFF = "get_current_diff"


class Support(enum.Enum):
    """How well a capability is established."""

    DOCUMENTED = "documented"
    OBSERVED = "observed"


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """The operations and options that a provider supports; unsupported ones fail before any request.

    `verbs` maps each supported verb to its `Support`; `reasons` explains missing verbs. `options` are the fields of
    `TaskSpec` beyond prompt, repository, environment and branch that the service takes. `typical_seconds` is the
    median duration of its tasks, until durations are known. `write_pause` is the seconds that the service requires
    between two writing requests, `rate` the requests a second that it accepts, unless the setting is given.
    `needs_environment`: a task must name an environment or a repository. `option_variables` are the environment
    variables of the service's official tools for an option of `TaskSpec`, in their order.
    `has_resumable_stream`: `stream_events` takes the id of an event (*after*) and emits those after it as they
    happen: waits read it in place of pauses between polls. `vendor` is the company as OpenTelemetry's attribute
    `gen_ai.provider.name` names it; None takes the provider's name. `result` is where the change of a task comes from,
    `cost` where its cost or its tokens are reported, and `lost_answer` how a submission is settled whose answer was lost
    where neither a key nor the list settles it; they are parts of a sentence, for people. `no_change` is
    why the service never returns the change of a task: its tasks cannot compete with others.
    """

    verbs: Mapping[Verb, Support]
    reasons: Mapping[Verb, str] = {}
    options: frozenset[str] = frozenset()
    modes: frozenset[str] = frozenset({"code"})
    max_attempts: int = 1
    typical_seconds: float = 360.0
    write_pause: float = 0.0
    rate: float | None = None
    needs_environment: bool = True
    notes: tuple[str, ...] = ()
    option_variables: Mapping[str, tuple[str, ...]] = {}
    has_resumable_stream: bool = False
    vendor: str | None = None
    result: str = ""
    cost: str = ""
    lost_answer: str = ""
    no_change: str | None = None

    def require(self, verb: Verb, provider: str) -> Support:
        """Return how *verb* is known to work; raises `UnsupportedError` where it does not."""
        support = self.verbs.get(verb)
        if support is None:
            raise errors.UnsupportedError(f"{provider} has no {verb}: {self.reason(verb)}")
        return support

    def reason(self, verb: Verb) -> str:
        """Return why *verb* is missing."""
        return self.reasons.get(verb, "the service does not offer it")


class StatusPage(Value, frozen=True, kw_only=True):
    """The state of many tasks at once: a page of a list, or the messages in a queue.

    `is_final` means that an ended task is complete and needs no further request. `receipts` identify the messages
    that `Provider.acknowledge` deletes once their tasks have been returned.
    """

    tasks: tuple[Task, ...] = ()
    cursor: str | None = None
    is_final: bool = False
    receipts: tuple[str, ...] = ()


class TaskSnapshot(Value, frozen=True, kw_only=True):
    """A task as seen by one poll, with the events since the previous poll.

    `events` are the service's events since the previous poll; the `id` of each is the memory after it. None
    where the service has no events: the engine then compares two snapshots. `memory` is passed to the next poll:
    printable and short, since it is part of an event's cursor.
    """

    task: Task
    events: tuple[TaskEvent, ...] | None = None
    memory: str = ""


TaskFilter = Literal["current", "archived", "all"]


class Provider(Protocol):
    """The client of one service: what every provider has.

    Its verbs are methods, named by `Verb`. Only those in `capabilities` are called, so a provider defines only those;
    `ProviderMethods` has their signatures. These attributes are optional:

    - `settings`: a tuple of `ProviderSetting`, which `coatcheck config` lists;
    - `sites`: the base URLs of web pages of tasks that are not below an origin, a tuple of strings;
    - `task_pages`: how the addresses of those pages have the ids of tasks, a tuple of `TaskPage`;
    - `webhooks`: the `Webhooks` that the service sends;
    - `server_hints`: lines that `coatcheck serve` prints; ``{url}`` and ``{codex_home}`` in them are replaced.
    """

    @property
    def name(self) -> str:
        """The part of every ref before the colon."""
        ...

    @property
    def capabilities(self) -> Capabilities: ...

    @property
    def origins(self) -> Mapping[str, str]:
        """Base URLs by name, without a trailing slash; "api" is the default of a `Request`."""
        ...

    @property
    def login(self) -> Login: ...

    def authorize(self, request: Request, secret: Secret, now: float) -> Request:
        """Return *request* with the secret on it. Pure; called for every attempt, on the encoded bytes."""
        ...


class ProviderMethods(Provider, Protocol):
    """The signatures of all methods that a provider may have.

    A verb is an `Exchange`: a generator that yields requests and returns a value. The methods that are no verbs are
    optional: `prepare` (default: the spec as it is), `get_task_again` (default: `get_task`), `get_task_response`
    (default: the `raw` of `get_task`), `extract_response` (default: `UnsupportedError`) and `acknowledge`, which only
    status pages with receipts need.
    """

    def resolve_environment(self, name: str | None, *, repository: str | None) -> Exchange[Environment]:
        """Return the environment that *name* (id, label, repository), else *repository*, refers to.

        Where a provider has this verb, `prepare`, `create_task` and `list_tasks` are given the environment's id, and a
        spec without a branch the environment's default branch. Raises `ConfigurationError` with the candidates.
        """
        ...

    def prepare(self, spec: TaskSpec) -> Exchange[TaskSpec]:
        """Return *spec* as `create_task` sends it; may send requests, never creates a task.

        The ids and names that the environment's own resolution does not cover are resolved here.
        """
        ...

    def create_task(self, spec: TaskSpec) -> Exchange[Task | None]:
        """Create the task: exactly one POST. `spec` has been prepared, and its `key` is the intent's id.

        None means that the service accepted it without an id: `find_task` then finds the task.
        """
        ...

    def find_task(self, intent: Intent) -> Exchange[Task | None]:
        """Return the task that was submitted with the key `intent.id`, None where there is none (yet).

        For services that store a key: it finds the task after a lost response; otherwise the list and the prompt do.
        """
        ...

    def get_task(self, ref: TaskRef) -> Exchange[Task]:
        """Return a task: exactly one request, unless the service needs a second one for the state or the result."""
        ...

    def get_task_again(self, known: Task) -> Exchange[Task]:
        """Return a task with the requests of `get_task`, for a wait: *known* itself where its `raw` is the same now."""
        ...

    def get_snapshot(
        self, ref: TaskRef, *, memory: str, is_watched: bool, now: float, shown: Task | None
    ) -> Exchange[TaskSnapshot]:
        """Return a snapshot of a task; *memory* is that of the previous snapshot ("" at first).

        *is_watched* is whether events are needed; *now* is in seconds since the epoch. *shown* is the running task as a
        page of the list has just shown it: its fields need not be requested again. For services that have events;
        others leave this method out and are polled by `get_task`.
        """
        ...

    def get_task_response(self, ref: TaskRef) -> Exchange[bytes]: ...
    def list_attempts(self, task: Task) -> Exchange[tuple[Attempt, ...]]: ...
    def list_tasks(
        self, *, filter: TaskFilter, environment: str | None, limit: int | None, cursor: str | None
    ) -> Exchange[Page]: ...
    def list_environments(self, *, repository: str | None) -> Exchange[tuple[Environment, ...]]: ...
    def list_models(self) -> tuple[Model, ...] | Exchange[tuple[Model, ...]]:
        """Return the models that are known, or request them from the service."""
        ...

    def get_usage(self) -> Exchange[Usage]: ...
    def cancel_task(self, ref: TaskRef) -> Exchange[None]: ...
    def archive_task(self, ref: TaskRef) -> Exchange[None]: ...
    def unarchive_task(self, ref: TaskRef) -> Exchange[None]: ...
    def delete_task(self, ref: TaskRef) -> Exchange[None]: ...
    def send_message(
        self, ref: TaskRef, text: str, *, mode: Literal["code", "ask"], model: str | None
    ) -> Exchange[Task]: ...
    def approve_plan(self, ref: TaskRef) -> Exchange[None]: ...
    def decide_permission(self, ref: TaskRef, request: str, option: str) -> Exchange[None]:
        """Choose an option of one of the task's `permission_requests`, by the ids of both; the same twice is no error."""
        ...

    def create_pull_request(self, ref: TaskRef, *, attempt: int | None, draft: bool) -> Exchange[None]: ...
    def get_status_page(self, refs: Sequence[TaskRef], *, cursor: str | None) -> Exchange[StatusPage]:
        """Return the state of many tasks: one request. *refs* are the tasks that are waited for."""
        ...

    def acknowledge(self, page: StatusPage) -> Exchange[None]:
        """Confirm that the messages of a status page have been kept."""
        ...

    def stream_events(self, ref: TaskRef, *, after: str = "") -> Events:
        """Emit events as they happen. Only providers with `has_resumable_stream` are given *after*."""
        ...

    def stream_events_of(self, refs: Sequence[TaskRef], *, after: str = "") -> Events:
        """Emit the events of several tasks as they happen; an optional method of providers with `has_resumable_stream`."""
        ...

    def get_current_diff(self, ref: TaskRef, *, attempt: int | None) -> Exchange[str]:
        """Return the diff of an attempt (None: the first) as it is now, also while the agent works on it."""
        ...

    def extract_response(self, response: bytes, siblings: bytes | None) -> Task:
        """Return the task in a saved or live response; pure."""
        ...


def methods_of(provider: Provider) -> ProviderMethods:
    """Return *provider* with the types of its methods. Raises `ConfigurationError` for a verb without its method."""
    missing = [verb for verb in provider.capabilities.verbs if not callable(getattr(provider, verb, None))]
    if missing:
        message = f"the provider {provider.name!r} declares verbs and does not define them: {', '.join(missing)}"
        raise errors.ConfigurationError(message, remedy="define them, or leave them out of its capabilities")
    return cast("ProviderMethods", provider)


def settings_of(provider: Provider) -> tuple[ProviderSetting, ...]:
    """Return the settings that *provider* declares, and those that every provider has."""
    declared: tuple[ProviderSetting, ...] = getattr(provider, "settings", ())
    return (*declared, *COMMON_SETTINGS, *(LOGIN_SETTINGS if provider.login.oauth else ()))


def task_pages_of(provider: Provider) -> tuple[TaskPage, ...]:
    """Return how the addresses of the pages of tasks have their ids, as *provider* declares it."""
    pages: tuple[TaskPage, ...] = getattr(provider, "task_pages", ())
    return pages


def sites_of(provider: Provider) -> tuple[str | TaskPage, ...]:
    """Return where the tasks of *provider* are: its base URLs, and the sites and addresses of their web pages."""
    sites: tuple[str, ...] = getattr(provider, "sites", ())
    return (*provider.origins.values(), *sites, *task_pages_of(provider))


def webhooks_of(provider: Provider) -> Webhooks | None:
    """Return the webhooks of the service of *provider*, None where it declares none."""
    webhooks: Webhooks | None = getattr(provider, "webhooks", None)
    return webhooks


def server_hints_of(provider: Provider, **values: str | None) -> tuple[str, ...]:
    """Return the lines that `coatcheck serve` prints for *provider*, without those that need a value that is None."""
    hints: tuple[str, ...] = getattr(provider, "server_hints", ())
    missing = [f"{{{name}}}" for name, value in values.items() if value is None]
    return tuple(hint.format(**values) for hint in hints if not any(field in hint for field in missing))
