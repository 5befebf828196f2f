"""The options of prompt templates, of `submit` and `run`.

An option of the command line has precedence over what the template sets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .. import errors
from .option_rules import require_option

if TYPE_CHECKING:
    from .._review.template_files import Folder
    from .._review.templates import Rendered
    from .._runtime.client import Client
    from .._store.journal import SubmissionJournal
    from .context import CommandContext

F = TypeVar("F", bound=Callable[..., Any])
argument_option = click.option(
    "--arg",
    "template_arguments",
    multiple=True,
    metavar="NAME=VALUE",
    help="An argument of the template; @FILE is the text of a file, @- standard input.",
)


def template_options(function: F) -> F:
    """Add --template and --arg to a command."""
    named = click.option(
        "--template", "template", metavar="NAME", help="Make the prompt from a template, by name or path."
    )
    return named(argument_option(function))


def folders(run: CommandContext) -> tuple[Folder, ...]:
    """Return the folders of templates of this run."""
    from .._app.templates import folders_of

    return folders_of(run.root, run.process_env.environ)


def located(run: CommandContext, name: str) -> str:
    """Return the name of a template; a path begins at the working directory."""
    import os

    from .._review.template_files import is_path

    return os.path.join(run.process_env.folder, name) if is_path(name) else name


def arguments(run: CommandContext, texts: tuple[str, ...]) -> dict[str, str]:
    """Return the values of --arg."""
    from .._app.templates import read_arguments

    return read_arguments(texts, folder=run.process_env.folder, stdin=run.process_env.stdin.read)


def use_template(run: CommandContext, options: dict[str, Any]) -> Rendered | None:
    """Take the template out of *options*, and add what it sets; None without one. Raises `ConfigurationError`."""
    name, texts = options.pop("template"), options.pop("template_arguments")
    if name is None:
        require_option("--arg", texts, "--template", name, metavar="NAME")
        return None
    if options["words"] or options["prompt_file"]:
        raise errors.ConfigurationError(
            "the prompt is given twice", remedy="pass --template, or a prompt; an argument is --arg NAME=VALUE"
        )
    from .._app.templates import render, settings_of

    template, rendered = render(located(run, name), folders(run), arguments(run, texts))
    settings = settings_of(template)
    if run.config.resolve("provider").origin != "argument":
        run.set("provider", settings.pop("provider", None))
    for field in ("environment", "branch", "model", "attempts", "mode"):
        is_target = field == "environment" and options["repository"]
        if not options[field] and not is_target:
            options[field] = settings.get(field, options[field])
    options["template_title"] = rendered.title
    options["prompt"] = rendered.prompt
    return rendered


def title_of(run: CommandContext, client: Client, options: dict[str, Any]) -> str | None:
    """Return the title of a task: the option, else the template's where the service has titles."""
    title: str | None = options["title"] or options.get("template_title")
    if title and not options["title"] and "title" not in client.capabilities.options:
        run.note(f"The template's title is not used: {run.provider} has no titles.")
        return None
    return title


def journal_of_template(run: CommandContext, rendered: Rendered | None) -> SubmissionJournal | None:
    """Return the journal that records the template of a submission, None for a prompt without one."""
    if rendered is None:
        return None
    from .._app.held_work import journal_with_template

    return journal_with_template(run.config, (rendered.template, rendered.digest))
