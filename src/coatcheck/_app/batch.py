"""Submit a task for each line of a JSON Lines file (https://jsonlines.org).

Invariants:

- a line is submitted at most once, in the order of the file, and an error of one line does not stop the next;
- an error of the login stops the batch, because every further line would fail in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from .. import errors
from .._runtime.config import suggestion
from .submit import SubmitOptions, prepare_submission

if TYPE_CHECKING:
    from .._model.tasks import Task
    from .._runtime.client import Client
    from .workspace import Workspace


class BatchTask(msgspec.Struct, forbid_unknown_fields=True):
    """The object of one line; a field that is missing has the value of the command's option."""

    prompt: str
    environment: str | None = None
    repository: str | None = None
    branch: str | None = None
    attempts: int | None = None
    mode: Literal["code", "ask"] | None = None
    model: str | None = None
    title: str | None = None
    starting_diff: str | None = None
    open_pull_request: bool | None = None
    requires_approval: bool | None = None


class BatchLine(NamedTuple):
    """A line of the file, from 1: its task, or why it has none."""

    number: int
    task: BatchTask | None
    error: errors.ConfigurationError | None = None


class BatchResult(NamedTuple):
    """What happened to one line: its task, or the error; `warning` is about local work that the agent will not see."""

    number: int
    task: Task | None
    error: errors.CoatcheckError | None = None
    warning: str | None = None

    @property
    def stops_batch(self) -> bool:
        """Whether further lines would fail in the same way."""
        return isinstance(self.error, errors.CredentialsError | errors.AuthenticationError)


def read_batch(data: bytes) -> list[BatchLine]:
    """Return the lines that are not blank: each a JSON object with a prompt, or a JSON string, which is the prompt."""
    lines = [(number, line) for number, line in enumerate(data.split(b"\n"), 1) if line.strip()]
    return [_read_line(number, line) for number, line in lines]


def _read_line(number: int, line: bytes) -> BatchLine:
    try:
        return BatchLine(number, _task(msgspec.json.decode(line)))
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return BatchLine(number, None, _not_a_task(str(error)))


def _not_a_task(reason: str) -> errors.ConfigurationError:
    """Return the error of a line, from msgspec's *reason*; for an unknown field it suggests a similar one."""
    remedy = 'write a JSON string, or an object such as {"prompt": "Add dark mode", "branch": "main"}'
    _, is_unknown, rest = reason.partition("unknown field `")
    if not is_unknown:
        start = reason if reason.startswith("JSON") else f"{reason[:1].lower()}{reason[1:]}"
        return errors.ConfigurationError(f"not a task: {start}", remedy=remedy)
    name = rest.partition("`")[0]
    near = suggestion(name, BatchTask.__struct_fields__)
    return errors.ConfigurationError(
        f"a task has no field {name!r}", remedy=near or f"use: {', '.join(BatchTask.__struct_fields__)}"
    )


def _task(value: object) -> BatchTask:
    return BatchTask(prompt=value) if isinstance(value, str) else msgspec.convert(value, BatchTask)


def line_options(task: BatchTask, defaults: SubmitOptions) -> SubmitOptions:
    """Return the options of one line; its environment or repository replaces both of the defaults."""
    given = {name: value for name, value in msgspec.structs.asdict(task).items() if value is not None}
    del given["prompt"]
    if isinstance(diff := given.get("starting_diff"), str):
        given["starting_diff"] = diff.encode("utf-8", "surrogatepass")
    if task.environment is not None or task.repository is not None:
        defaults = msgspec.structs.replace(defaults, environment=None, repository=None)
    return msgspec.structs.replace(defaults, **given)


def submit_batch(
    workspace: Workspace, client: Client, lines: Sequence[BatchLine], defaults: SubmitOptions
) -> Iterator[BatchResult]:
    """Submit each line and yield its result at once; the last result is one that stops the batch, or the last line's."""
    for line in lines:
        result = _submit_line(workspace, client, line, defaults)
        yield result
        if result.stops_batch:
            return


def _submit_line(workspace: Workspace, client: Client, line: BatchLine, defaults: SubmitOptions) -> BatchResult:
    if line.task is None:
        return BatchResult(line.number, None, line.error)
    try:
        options = line_options(line.task, defaults)
        spec, warning = prepare_submission(workspace, client, line.task.prompt, options)
        return BatchResult(line.number, client.create_task(spec), warning=warning)
    except errors.CoatcheckError as error:
        return BatchResult(line.number, None, error)
