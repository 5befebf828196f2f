"""`templates`: list, show, render and check prompt templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ... import errors
from ..console import Line, Styled
from ..context import CommandContext, command
from ..exit_codes import ExitCode
from ..formatting import heading
from ..json_output import error_document, to_object
from ..templates import argument_option, arguments, folders, located

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..._app.templates import FoundTemplate
    from ..._review.templates import Argument, Template

ACTIONS = ("list", "show", "render", "check")


@command(
    "templates",
    has_provider=False,
    examples="""
coatcheck templates
coatcheck templates show fix-issue
coatcheck templates render fix-issue --arg issue=@issue.md
coatcheck templates check
coatcheck templates check .coatcheck/prompts/fix-issue.md
""",
)
@click.argument("action", type=click.Choice(ACTIONS), default="list")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@argument_option
def templates_command(
    run: CommandContext, *, action: str, names: tuple[str, ...], template_arguments: tuple[str, ...]
) -> int:
    """List, show, render or check prompt templates.

    Templates are Markdown files in .coatcheck/prompts of the checkout and in prompts of the user's folder of settings;
    NAME is a file's name without .md, or a path. render prints the prompt that `submit --template` would send. check
    reports templates that cannot be used and probable mistakes; its exit code is then 2.
    """
    _check(action, names, has_arguments=bool(template_arguments))
    if action == "list":
        _list(run)
    elif action == "show":
        _show(run, names[0])
    elif action == "render":
        _render(run, names[0], template_arguments)
    else:
        return _check_all(run, names)
    return ExitCode.DONE


def _check(action: str, names: Sequence[str], *, has_arguments: bool) -> None:
    if action == "list" and names:
        raise errors.ConfigurationError("templates list takes no argument", remedy=f"leave out {names[0]!r}")
    if action in ("show", "render") and len(names) != 1:
        raise errors.ConfigurationError(f"templates {action} needs one NAME", remedy="coatcheck templates lists them")
    if has_arguments and action != "render":
        raise errors.ConfigurationError(f"templates {action} takes no --arg", remedy="leave it out")


def _list(run: CommandContext) -> None:
    from ..._app.templates import list_templates

    found = list_templates(folders(run))
    run.answer(lambda: {"templates": [_document(each) for each in found]}, lambda: _lines(found))


def _document(found: FoundTemplate) -> dict[str, Any]:
    fields = {"name": found.name, "path": found.path, "is_from_repository": found.is_from_repository}
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
    )


def _usage(argument: Argument) -> str:
    return argument.name if argument.is_required else f"[{argument.name}]"


def _show(run: CommandContext, name: str) -> None:
    from ..._review.template_files import load_template

    template = load_template(located(run, name), folders(run))
    run.answer(lambda: to_object(template), lambda: _details(template), is_long=True)


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


def _render(run: CommandContext, name: str, texts: tuple[str, ...]) -> None:
    from ..._app.templates import render

    _, rendered = render(located(run, name), folders(run), arguments(run, texts))
    if run.is_json:
        run.answer(lambda: to_object(rendered), list)
    else:
        run.bytes(rendered.prompt.encode("utf-8", "surrogateescape"))


def _check_all(run: CommandContext, names: Sequence[str]) -> int:
    from ..._app.templates import check_templates

    checked = check_templates([located(run, name) for name in names], folders(run))
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
