"""Parameters whose values the shell completes: which values each takes, by the parameter's name.

Start-up is not slower: the values are found in `completion_values`, which is imported only while a shell completes.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# Name of a parameter -> the kind of its values.
KINDS: Mapping[str, str] = {
    "account": "account",
    "as_json": "field",
    "batch": "file",
    "branch": "branch",
    "codex_home": "folder",
    "data": "folder",
    "directory": "folder",
    "environment": "environment",
    "file": "file",
    "files": "file",
    "fleet": "fleet",
    "folder": "folder",
    "hook": "hook",
    "ignore": "rule",
    "log_file": "file",
    "model": "model",
    "on": "provider",
    "output": "file",
    "path": "file",
    "prompt_file": "file",
    "provider": "provider",
    "refs": "ref",
    "reject": "rule",
    "repository": "repository",
    "review_file": "file",
    "sender": "sender",
    "service": "provider",
    "start": "branch",
    "starting_diff": "file",
    "subject": "ref_or_gate",
    "gate": "gate",
    "task": "ref",
    "template": "template",
    "template_arguments": "template_argument",
    "templates": "template",
    "tasks": "ref",
}
# The same for parameters whose values depend on the command.
KINDS_OF_COMMANDS: Mapping[tuple[str, str], str] = {
    ("apply", "task"): "patch",
    ("attempts", "tasks"): "patch",
    ("config get", "name"): "setting",
    ("config set", "name"): "setting",
    ("config set", "value"): "setting_value",
    ("config unset", "name"): "setting",
    ("diff", "task"): "patch",
    ("events", "subject"): "ref_or_gate",
    ("fleet approve", "keys"): "fleet_item",
    ("fleet reject", "keys"): "fleet_item",
    ("fleet retry", "keys"): "fleet_item",
    ("fleet show", "key"): "fleet_item",
    ("fleet status", "keys"): "fleet_item",
    ("help", "names"): "command",
    ("hooks log", "target"): "hook_or_sender",
    ("providers show", "name"): "provider",
    ("review", "base"): "branch",
    ("review", "repository"): "folder",
    ("review", "tasks"): "candidate",
}


class Completed(click.types.StringParamType):
    """Text that the shell completes with values of a kind."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the values that begin with *incomplete*."""
        values = importlib.import_module(".completion_values", __package__)  # while a shell completes
        items: list[CompletionItem] = values.complete(self.kind, ctx, param, incomplete)
        return items


def completing(param: click.Parameter, command: str) -> click.Parameter:
    """Return *param* of *command*; the shell completes its values if it takes text of a known kind."""
    name = param.name or ""
    kind = KINDS_OF_COMMANDS.get((command, name)) or KINDS.get(name)
    if kind and isinstance(param.type, click.types.StringParamType):
        param.type = Completed(kind)
    return param
