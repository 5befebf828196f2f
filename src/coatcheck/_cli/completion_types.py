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

# Name of a parameter -> the kind of its values; "config" has parameters of the same names with other values.
KINDS: Mapping[str, str] = {
    "account": "account",
    "as_json": "field",
    "branch": "branch",
    "directory": "folder",
    "environment": "environment",
    "folder": "folder",
    "ignore": "rule",
    "key": "setting",
    "log_file": "file",
    "model": "model",
    "output": "file",
    "path": "file",
    "prompt_file": "file",
    "provider": "provider",
    "reject": "rule",
    "repository": "repository",
    "service": "provider",
    "setting": "setting",
    "start": "branch",
    "starting_diff": "file",
    "task": "ref",
    "tasks": "ref",
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


def completing(param: click.Parameter) -> click.Parameter:
    """Return *param*; the shell completes its values if it takes text of a known kind."""
    if param.name in KINDS and isinstance(param.type, click.types.StringParamType):
        param.type = Completed(KINDS[param.name])
    return param
