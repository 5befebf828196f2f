"""Build a task's specification from options, settings and the checkout; look up submissions whose answer was lost.

Invariants:

- an option overrides a setting, and a setting overrides what the checkout implies;
- nothing is submitted here: the caller passes the specification to `Client.create_task`, once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import msgspec

from .. import errors
from .._engine.submit import checked
from .._values.value import Value
from .checkout import choose_environment, current_branch, repositories
from .field_errors import FieldError
from .unseen_work import unseen_work

if TYPE_CHECKING:
    from .._engine.submit import ResumedSubmission
    from .._model.tasks import TaskSpec
    from .._runtime.client import Client
    from .._runtime.config import Config
    from .workspace import Workspace

ResumeStatus: TypeAlias = Literal["busy", "found", "unclear", "nothing"]


class SubmitOptions(Value, frozen=True, kw_only=True):
    """What was chosen for one submission; None where nothing was chosen."""

    environment: str | None = None
    repository: str | None = None
    branch: str | None = None
    attempts: int | None = None
    mode: Literal["code", "ask"] = "code"
    model: str | None = None
    title: str | None = None
    starting_diff: bytes | None = None
    open_pull_request: bool | None = None
    requires_approval: bool | None = None


class PreparedSubmission(NamedTuple):
    """A specification that can be submitted, and a warning about local work that the agent will not see."""

    spec: TaskSpec
    warning: str | None


def prepare_submission(workspace: Workspace, client: Client, prompt: str, options: SubmitOptions) -> PreparedSubmission:
    """Return the specification of a task. Raises `ConfigurationError` where an option or the checkout is unusable."""
    spec = build_spec(workspace, client, prompt, options)
    return PreparedSubmission(spec, unseen_work(workspace, spec))


def build_spec(workspace: Workspace, client: Client, prompt: str, options: SubmitOptions) -> TaskSpec:
    """Return the specification of a task from *options*, settings and the checkout."""
    from .._model.tasks import TaskSpec

    spec = TaskSpec(
        prompt=prompt,
        attempts=attempt_count(workspace.config, options.attempts),
        mode=options.mode,
        model=options.model,
        starting_diff=_starting_diff(workspace.config, client, options.starting_diff),
        title=options.title,
        open_pull_request=options.open_pull_request,
        requires_approval=options.requires_approval,
    )
    checked(spec, client.capabilities, workspace.provider)  # before a request for the environments
    environment, repository = _target(workspace, client, options)
    branch = options.branch or workspace.config.get("branch") or _checkout_branch(workspace, repository)
    return msgspec.structs.replace(spec, environment=environment, repository=repository, branch=branch)


def _starting_diff(config: Config, client: Client, option: bytes | None) -> str | None:
    """Return the starting diff: *option*, else the setting, also by the names that the service's own tools have for it."""
    if option is not None:
        return _checked_diff(option)
    variables = client.capabilities.option_variables.get("starting_diff", ())
    values = (config.get("starting_diff", variable=variable) for variable in variables or (None,))
    return next(filter(None, values), None)


def _target(workspace: Workspace, client: Client, options: SubmitOptions) -> tuple[str | None, str | None]:
    """Return (environment, repository) from the options, the settings or the checkout."""
    environment, repository = options.environment, options.repository
    if environment is None and repository is None:
        environment = workspace.config.get("environment")
    if not environment and not repository and (workspace.root or client.capabilities.needs_environment):
        return choose_environment(client, workspace.root)
    return environment, repository


def _checked_diff(data: bytes) -> str:
    from .._patches.parse import Patch

    try:
        Patch.parse(data)
    except errors.PatchError as error:
        message = f"the starting diff cannot be read: {error}"
        raise errors.PatchError(message, line=error.line, remedy=error.remedy) from None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise errors.ConfigurationError("the starting diff is not UTF-8 text") from None


def _checkout_branch(workspace: Workspace, repository: str | None) -> str | None:
    """Return the checkout's branch, None to let the provider choose.

    The official client sends the branch as well (docs/reference/protocols/codex-wham.md, 2.2). The branch of a
    checkout of another repository than *repository* is not sent.
    """
    if workspace.root is None:
        return None
    if repository is not None and repository.lower() not in map(str.lower, repositories(workspace.root)):
        return None
    return current_branch(workspace.root)


def attempt_count(config: Config, option: int | None) -> int:
    """Return how many attempts to request: *option*, else the setting ``attempts``."""
    number = config.number("attempts") if option is None else option
    if number is None or not float(number).is_integer():
        raise errors.ConfigurationError(
            f"attempts must be a whole number, not {number}", remedy="change it with: coatcheck config set attempts 1"
        )
    return int(number)


def check_attempt(config: Config, number: int | None, attempts: int | None) -> None:
    """Raise `ConfigurationError` where a submission with *attempts* will have no attempt *number*."""
    if number is not None and number > attempt_count(config, attempts):
        raise FieldError(
            "the task will have no attempt {number}",
            number=number,
            fields=("attempts",),
            remedy="request more with: {attempts} {number}",
        )


def resume_status(resumed: ResumedSubmission) -> ResumeStatus:
    """Return what is known about a submission whose answer was lost.

    ``busy``: another process is still submitting it; ``found``: it is a task; ``unclear``: several tasks match;
    ``nothing``: no task matches so far.
    """
    if resumed.is_busy:
        return "busy"
    if resumed.task is not None:
        return "found"
    return "unclear" if resumed.candidates else "nothing"
