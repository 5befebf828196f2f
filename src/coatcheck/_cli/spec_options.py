"""The options of a submission: one table from the fields of `SubmitOptions` to options, settings and help.

An option whose field is also a setting (`_runtime.config.SETTINGS`) may be given there, or as COATCHECK_ and its name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from .. import errors
from .._app.field_errors import FieldError

if TYPE_CHECKING:
    from collections.abc import Mapping


class SpecOption(NamedTuple):
    """An option of a submission: its field, its spellings (the first is used in messages), its value and its help."""

    field: str
    spellings: tuple[str, ...]
    help: str
    metavar: str | None = None
    type: type | None = None


SPEC_OPTIONS = (
    SpecOption("environment", ("--environment", "-e"), "Environment to run in, by id or label.", "NAME"),
    SpecOption("repository", ("--repo",), "Run in the environment of this repository.", "OWNER/REPO"),
    SpecOption(
        "branch",
        ("--branch", "-b"),
        "Branch to start from (default: the checkout's branch, else the environment's).",
        "NAME",
    ),
    SpecOption("attempts", ("--attempts", "-n"), "How many attempts to run, to choose from.", "N", int),
    SpecOption("mode", ("--ask",), "Ask a question; the task makes no diff."),
    SpecOption("model", ("--model",), "Model to use; the service may choose another.", "NAME"),
    SpecOption("title", ("--title",), "Title of the task; an error where the service does not support it.", "TEXT"),
    SpecOption("open_pull_request", ("--open-pr",), "Let the service open a pull request when the task succeeds."),
    SpecOption(
        "starting_diff",
        ("--starting-diff",),
        "Diff to apply before the agent starts (- is standard input).",
        "FILE",
    ),
)

# Fields of other use cases whose option is not the field's name with dashes.
OTHER_OPTIONS: Mapping[str, str] = {
    "requires_approval": "--plan-approval",
    "strip": "-p",
    "template_arguments": "--arg",
    "is_streamed": "--stream",
}

# Verb of a provider -> the command that uses it, in the order of the help. Verbs that no command needs alone are missing.
VERB_COMMANDS: Mapping[str, str] = {
    "create_task": "submit",
    "get_task": "status",
    "stream_events": "watch --stream",
    "get_current_diff": "watch --diff",
    "list_tasks": "list",
    "send_message": "message",
    "approve_plan": "approve",
    "decide_permission": "approve",
    "cancel_task": "cancel",
    "archive_task": "archive",
    "unarchive_task": "unarchive",
    "delete_task": "delete",
    "list_attempts": "attempts",
    "create_pull_request": "pr",
    "get_usage": "usage",
    "list_models": "models",
    "list_environments": "environments",
}

_MISSING_VERB = re.compile(r"(\w+) has no (\w+): (.*)", re.DOTALL)
_UNSUPPORTED = re.compile(r"(?<=does not support )\w+")


def spec_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a submission to a command; their values are named by the fields."""
    for option in reversed(SPEC_OPTIONS):
        is_flag = option.metavar is None
        attributes: dict[str, Any] = {"is_flag": True} if is_flag else {"metavar": option.metavar, "type": option.type}
        function = click.option(option.field, *option.spellings, help=option.help, **attributes)(function)
    return function


def option_of(field: str) -> str:
    """Return the option for a field, as it is written on the command line."""
    known = {option.field: option.spellings[0] for option in SPEC_OPTIONS}
    return known.get(field) or OTHER_OPTIONS.get(field) or f"--{field.replace('_', '-')}"


def with_options(error: BaseException) -> BaseException:
    """Return an error of a use case with options in place of fields; any other error as it is."""
    if isinstance(error, FieldError):
        return error.spelled(option_of)
    if isinstance(error, errors.PatchError) and error.remedy:
        error.remedy = error.remedy.replace("start=", "--start ").replace("read it with repair=True", "pass --repair")
    if isinstance(error, errors.UnsupportedError) and (match := _MISSING_VERB.fullmatch(str(error))):
        provider, verb, reason = match.groups()
        if verb in VERB_COMMANDS:
            message = f"{provider} does not support `{VERB_COMMANDS[verb]}`: {reason}"
            remedy = error.remedy or f"coatcheck providers show {provider} lists what it supports"
            return errors.UnsupportedError(message, remedy=remedy)
    if isinstance(error, errors.UnsupportedError) and (match := _UNSUPPORTED.search(str(error))):
        message = _UNSUPPORTED.sub(option_of(match[0]), str(error))
        remedy = "leave it out; coatcheck providers show NAME lists the options that a provider supports"
        return errors.UnsupportedError(message, remedy=remedy)
    return error
