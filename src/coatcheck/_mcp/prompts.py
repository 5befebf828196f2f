"""Prompt templates as prompts of MCP, and rendered for a submission.

Guarantee: a text of a repository's template is in no list: its prompt is described by its name and its file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from .._app.workspace import Workspace
    from .._review.templates import Rendered


class PromptEntry(NamedTuple):
    """A prompt: its name, its description, and its arguments as (name, description, whether it is required)."""

    name: str
    description: str
    arguments: Sequence[tuple[str, str | None, bool]]


def list_prompts(workspace: Workspace) -> Sequence[PromptEntry]:
    """Return a prompt for each template that can be used."""
    from .._app.templates import folders_of, list_templates

    entries = []
    for found in list_templates(folders_of(workspace.root, workspace.environ)):
        if found.template is None:
            continue
        own = not found.is_from_repository
        described = found.template.description if own else None
        arguments = [
            (each.name, each.description if own else None, each.is_required) for each in found.template.arguments
        ]
        fallback = "A prompt template of the user." if own else "A prompt template of this repository."
        entries.append(PromptEntry(found.name, described or fallback, arguments))
    return entries


def render_template(workspace: Workspace, name: str, arguments: Mapping[str, str]) -> tuple[Rendered, dict[str, Any]]:
    """Return the prompt of the template *name*, and the fields of a submission that it sets.

    Raises `ConfigurationError`, also for a path: a caller names no file of this machine.
    """
    from .. import errors
    from .._app.templates import folders_of, is_path, render

    if is_path(name):
        raise errors.ConfigurationError(f"{name!r} is a path", remedy="give the name of a template")
    template, rendered = render(name, folders_of(workspace.root, workspace.environ), arguments)
    settings: dict[str, Any] = {**template.settings, "attempts": template.attempts, "mode": template.mode}
    return rendered, {key: value for key, value in settings.items() if value is not None}
