"""A service, as its user describes it in TOML: ``[services.NAME]`` of the user's settings.

Invariants:

- A description is read completely or not at all; an error is one line with the file and the key.
- It holds no secret: it names the environment variable that does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NoReturn, TypeAlias

import msgspec

from ...provider import TaskState, errors, split_path
from .json_selectors import Places
from .presets import PRESETS, Table, laid_over
from .template import PLACEHOLDERS, names_in

Texts: TypeAlias = Mapping[str, str]

# A service may not find a task that it has just accepted (docs/reference/protocols/services.md, "11 Unknowns");
# in seconds.
NOT_FOUND_SECONDS = 30.0
# Headers that authenticate: their values are secrets, which a description must not contain.
SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key", "x-goog-api-key", "api-key"})

# Services' names of the states (docs/reference/protocols/services.md, "9 States and operations of all services
# compared"), in lower case; a description's own names take precedence.
STATES: Mapping[str, TaskState] = {
    **dict.fromkeys(("queued", "pending", "accepted", "submitted", "created", "new", "waiting"), TaskState.QUEUED),
    **dict.fromkeys(
        ("running", "in_progress", "inprogress", "in progress", "processing", "working"), TaskState.RUNNING
    ),
    **dict.fromkeys(("input_required", "waiting_for_user", "blocked", "requires_action"), TaskState.INPUT_REQUIRED),
    "paused": TaskState.PAUSED,
    **dict.fromkeys(("succeeded", "success", "completed", "finished", "done"), TaskState.SUCCEEDED),
    **dict.fromkeys(("failed", "failure", "error", "rejected"), TaskState.FAILED),
    **dict.fromkeys(("cancelled", "canceled", "stopped", "aborted"), TaskState.CANCELLED),
    **dict.fromkeys(("expired", "timed_out", "timedout", "timeout"), TaskState.EXPIRED),
}


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a description: a key that is misspelt is an error."""


class Submit(_Part, frozen=True, kw_only=True):
    """How a task is handed over; `id` or `location` is where its answer names it."""

    path: str
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    query: Texts = {}
    headers: Texts = {}
    body: dict[str, Any] | list[Any] = msgspec.field(default_factory=lambda: {"prompt": "{prompt}"})
    id: Places = Places()
    location: Places = Places.read(["header:operation-location", "header:azure-asyncoperation", "header:location"])
    requires: tuple[str, ...] = ()


class Status(_Part, frozen=True, kw_only=True):
    """How a task is polled: at `path`, or at the address that its submission returned (`Submit.location`)."""

    path: str | None = None
    query: Texts = {}
    answers_with_result: bool | None = None
    not_found_seconds: float = NOT_FOUND_SECONDS


class TaskPlaces(_Part, frozen=True, kw_only=True):
    """The selectors of a status response, or of an item of a list."""

    id: Places = Places()
    state: Places | None = None
    done: Places = Places()
    error: Places = Places.read(["error.message", "error"])
    error_code: Places = Places.read(["error.code"])
    title: Places = Places()
    prompt: Places = Places()
    repository: Places = Places()
    environment: Places = Places()
    branch: Places = Places()
    model: Places = Places()
    progress: Places = Places()
    url: Places = Places()
    created_at: Places = Places()
    updated_at: Places = Places()


class Result(_Part, frozen=True, kw_only=True):
    """Where the result is: in the status answer, at `path`, or at the address in the status response (`location`)."""

    path: str | None = None
    location: Places = Places()
    message: Places = Places()
    patch: Places = Places()
    base_commit: Places = Places()
    pull_request: Places = Places()
    pull_request_title: Places = Places()
    pull_request_body: Places = Places()


class Act(_Part, frozen=True, kw_only=True):
    """How something is done to a task; without a path, at the address of its status."""

    method: Literal["POST", "PUT", "PATCH", "DELETE"] = "POST"
    path: str | None = None
    body: dict[str, Any] | None = None


class Listing(_Part, frozen=True, kw_only=True):
    """How tasks are listed, newest first; `cursor` selects the cursor of the next page."""

    path: str
    items: Places
    query: Texts = {}
    cursor: Places = Places()
    cursor_parameter: str = "cursor"
    limit_parameter: str | None = None


class Description(_Part, frozen=True, kw_only=True):
    """A whole service. `auth` is how the secret in `token_variable` is sent; "header" means `auth_header`."""

    submit: Submit
    base_url: str | None = None
    preset: str | None = None
    auth: Literal["bearer", "basic", "header", "none"] = "bearer"
    auth_header: str | None = None
    token_variable: str | None = None
    headers: Texts = {}
    status: Status = Status()
    task: TaskPlaces = TaskPlaces()
    states: Mapping[str, TaskState] = {}
    result: Result = Result()
    cancel: Act | None = None
    delete: Act | None = None
    list: Listing | None = None

    @property
    def state_places(self) -> Places:
        """The selector of the state; without one in the description, the usual names."""
        return USUAL_STATE if self.task.state is None else self.task.state

    @property
    def answers_with_result(self) -> bool:
        """Whether a 200 without a state is the result itself; so it is where states are not described."""
        if self.status.answers_with_result is not None:
            return self.status.answers_with_result
        return self.task.state is None and not self.task.done

    def state_of(self, word: str) -> TaskState:
        """Return the state of the native state *word*, UNKNOWN for one that the description does not name."""
        return self.states.get(word.casefold(), TaskState.UNKNOWN)

    @property
    def names(self) -> frozenset[str]:
        """Everything of a `TaskSpec` that is sent."""
        return frozenset(names_in([self.submit.path, self.submit.query, self.submit.headers, self.submit.body]))


USUAL_STATE = Places.read(["status", "state"])


def read(name: str, table: Table, *, origin: str) -> Description:
    """Read the description of the service *name*; raises `ConfigurationError` naming the file and the key."""
    reader = _Reader(name, origin)
    preset = table.get("preset")
    if preset is not None and preset not in PRESETS:
        reader.refuse("preset", f"there is no preset {preset!r}: use one of {', '.join(sorted(PRESETS))}")
    whole = laid_over(PRESETS[preset], table) if isinstance(preset, str) else dict(table)
    reader.check_states(whole.get("states"))
    described = reader.convert(whole)
    reader.check(described)
    words = {word.casefold(): state for word, state in described.states.items()}
    return msgspec.structs.replace(described, states={**STATES, **words})


class _Reader:
    """Reports errors of a description with the file and the key."""

    def __init__(self, name: str, origin: str) -> None:
        self._name, self._origin = name, origin

    def refuse(self, key: str, reason: str) -> NoReturn:
        """Raise the error that *key* is wrong."""
        where = f"services.{self._name}" + (f".{key}" if key else "")
        raise errors.ConfigurationError(
            f"{self._origin}: {where}: {reason}", remedy="docs/guides/any-202-service.md has every key"
        )

    def check_states(self, states: object) -> None:
        """Refuse a state that is none of ours."""
        known = [state.value for state in TaskState]
        for word, state in states.items() if isinstance(states, dict) else ():
            if state not in known:
                self.refuse(f"states.{word}", f"there is no state {state!r}: use one of {', '.join(known)}")

    def convert(self, table: Table) -> Description:
        """Return *table* as a description."""
        try:
            return msgspec.convert(table, Description, dec_hook=_places)
        except msgspec.ValidationError as error:
            reason, path = split_path(str(error))
            self.refuse(path.removeprefix("$").lstrip("."), reason[:1].lower() + reason[1:])

    def check(self, described: Description) -> None:
        """Refuse what is well-formed and wrong all the same."""
        for key, missing_key, known in _named(described):
            if wrong := sorted(set(missing_key) - known):
                self.refuse(key, f"there is no {{{wrong[0]}}}: use one of {', '.join(sorted(known))}")
        for key, headers in (("headers", described.headers), ("submit.headers", described.submit.headers)):
            if secret := sorted({name.lower() for name in headers} & SECRET_HEADERS):
                self.refuse(
                    key, f"{secret[0]} holds a secret: say how it travels in auth, and where it is in token_variable"
                )
        if described.auth == "header" and not described.auth_header:
            self.refuse("auth", 'with auth = "header" say which one in auth_header')
        for key, path in _paths(described):
            if not path.startswith("/"):
                self.refuse(key, f"{path!r} does not begin with a slash")
        if described.list and not described.status.path:
            self.refuse("list", "what is listed can be looked at only with status.path")
        if described.status.path and not (described.submit.id or described.task.id):
            self.refuse("submit.id", "status.path needs to know where the answer to the submission has the id")


def _named(described: Description) -> Iterator[tuple[str, Iterator[str], frozenset[str]]]:
    """Yield each key that holds placeholders, the names in it, and those that it may hold."""
    of_spec, of_task = frozenset(PLACEHOLDERS), frozenset({"id"})
    for part in ("path", "query", "headers", "body"):
        yield f"submit.{part}", names_in(getattr(described.submit, part)), of_spec
    yield "submit.requires", iter(described.submit.requires), of_spec
    yield "status.query", names_in(described.status.query), of_task
    for key, path in _paths(described):
        if not key.startswith("submit"):
            yield key, names_in(path), of_task


def _paths(described: Description) -> Iterator[tuple[str, str]]:
    for key in ("submit", "status", "result", "cancel", "delete", "list"):
        path = getattr(getattr(described, key), "path", None)
        if path is not None:
            yield f"{key}.path", path


def _places(kind: type, value: object) -> Places:
    del kind  # the only type that msgspec does not know
    return Places.read(value)
