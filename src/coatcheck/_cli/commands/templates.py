"""`templates`: list, show, render and check prompt templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..command_group import CommandGroup
from ..console import Line, Styled
from ..context import CommandContext
from ..exit_codes import ExitCode
from ..formatting import heading
from ..json_output import error_document, to_object
from ..templates import argument_option, arguments, folders, located

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..._app.templates import FoundTemplate
    from ..._review.templates import Argument, Template

templates_command = CommandGroup(
    "templates",
    default="list",
    help="""List, show, render or check prompt templates.

    Templates are Markdown files in .coatcheck/prompts of the checkout and in prompts of the user's folder of settings;
    NAME is a file's name without .md, or a path.
    """,
)
template_argument = click.argument("template", metavar="NAME")


@templates_command.subcommand("list", examples="coatcheck templates")
def list_all(run: CommandContext) -> None:
    """List the templates, those with errors included."""
    from ..._app.templates import list_templates

    found = list_templates(folders(run))
    run.answer(lambda: {"templates": [_document(each) for each in found]}, lambda: _lines(found))


def _document(found: FoundTemplate) -> dict[str, Any]:
    fields = {
        "name": found.name,
        "path": found.path,
        "is_from_repository": found.is_from_repository,
        "hides_own": found.hides_own,
    }
    template = None if found.template is None else to_object(found.template)
    error = None if found.error is None else error_document(found.error)["error"]
    return {**fields, "template": template, "error": error}


def _lines(found: Sequence[FoundTemplate]) -> list[Line]:
    width = max((len(each.name) for each in found), default=0)
    return [_line(each, width) for each in found] or ["No templates; write one: .coatcheck/prompts/NAME.md"]


def _line(found: FoundTemplate, width: int) -> Line:
    origin = "repository" if found.is_from_repository else "yours"
    if found.template is None:
        return Styled(found.name.ljust(width), "bold"), f"  {origin:10}  ", Styled(str(found.error), "red")
    names = " ".join(_usage(each) for each in found.template.arguments)
    return (
        Styled(found.name.ljust(width), "bold"),
        f"  {origin:10}  {found.template.description or ''}",
        Styled(f"  {names}" if names else "", "dim"),
        Styled("  (hides yours of this name)" if found.hides_own else "", "yellow"),
    )


def _usage(argument: Argument) -> str:
    return argument.name if argument.is_required else f"[{argument.name}]"


@templates_command.subcommand("show", examples="coatcheck templates show fix-issue")
@template_argument
def show_template(run: CommandContext, *, template: str) -> None:
    """Print a template: its settings, its arguments and its prompt."""
    from ..._review.template_files import load_template

    loaded = load_template(located(run, template), folders(run))
    run.answer(lambda: to_object(loaded), lambda: _details(loaded), is_long=True)


def _details(template: Template) -> list[Line]:
    lines: list[Line] = [Styled(template.name, "bold"), *([template.description] if template.description else [])]
    sets = {"title": template.title, "attempts": template.attempts, "mode": template.mode, **template.settings}
    lines += [f"{name}: {value}" for name, value in sets.items() if value is not None]
    if template.arguments:
        lines += heading("Arguments")
    for each in template.arguments:
        default = "required" if each.is_required else f"default: {each.default or 'empty'}"
        lines.append((f"  {each.name}  {each.description or ''}", Styled(f"  ({default})", "dim")))
    return [*lines, *heading("Prompt"), *template.body.strip("\n").split("\n")]


@templates_command.subcommand("render", examples="coatcheck templates render fix-issue --arg issue=@issue.md")
@template_argument
@argument_option
def render_template(run: CommandContext, *, template: str, template_arguments: tuple[str, ...]) -> None:
    """Print the prompt that `submit --template` would send."""
    from ..._app.templates import render

    _, rendered = render(located(run, template), folders(run), arguments(run, template_arguments))
    if run.is_json:
        run.answer(lambda: to_object(rendered), list)
    else:
        run.bytes(rendered.prompt.encode("utf-8", "surrogateescape"))


@templates_command.subcommand(
    "check",
    examples="""
coatcheck templates check
coatcheck templates check .coatcheck/prompts/fix-issue.md
""",
)
@click.argument("templates", metavar="[NAME]...", nargs=-1)
def check_all(run: CommandContext, *, templates: tuple[str, ...]) -> int:
    """Report templates that cannot be used and probable mistakes, with exit code 2 where there are any."""
    from ..._app.templates import check_templates

    checked = check_templates([located(run, name) for name in templates], folders(run))
    run.answer(
        lambda: {"templates": [{**_document(each), "findings": list(findings)} for each, findings in checked]},
        lambda: [line for each, findings in checked for line in _findings(each, findings)] or ["No templates."],
    )
    is_wrong = any(each.error or findings for each, findings in checked)
    return ExitCode.USAGE if is_wrong else ExitCode.DONE


def _findings(found: FoundTemplate, findings: Sequence[str]) -> list[Line]:
    if found.error is not None:
        remedy = f"; {found.error.remedy}" if found.error.remedy else ""
        return [(Styled("error    ", "red"), f"{found.name}: {found.error}{remedy}")]
    if not findings:
        return [(Styled("usable   ", "green"), found.name)]
    return [(Styled("warning  ", "yellow"), f"{found.name}: {finding}") for finding in findings]
