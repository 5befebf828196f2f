"""`config` shows the settings and their origins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..console import Line, table
from ..context import CommandContext, command
from ..json_output import Fields, many

if TYPE_CHECKING:
    from ..._runtime.config import Setting

# The settings that are always shown, each with the variable of the service's own tools.
KNOWN = {
    "provider": None,
    "environment": None,
    "branch": None,
    "attempts": None,
    "timeout": None,
    "starting_diff": "CODEX_STARTING_DIFF",
    "transport": None,
    "account": None,
    "pager": None,
    "codex.credentials": None,
    "codex.issuer": None,
    "learn": None,
    "codex.rate": None,
    "codex.base_url": "CODEX_CLOUD_TASKS_BASE_URL",
    "aws_lambda.region": "AWS_REGION",
    "aws_lambda.function": None,
    "aws_lambda_async.region": "AWS_REGION",
    "aws_lambda_async.function": None,
    "aws_lambda_async.queue": None,
    "openai_batch.model": None,
    "openai_batch.base_url": "OPENAI_BASE_URL",
    "anthropic_batch.model": None,
    "anthropic_batch.max_tokens": None,
    "anthropic_batch.base_url": "ANTHROPIC_BASE_URL",
    "github_actions.client_id": "COATCHECK_GITHUB_CLIENT_ID",
    "github_actions.scopes": "COATCHECK_GITHUB_SCOPES",
    "copilot.client_id": "COATCHECK_GITHUB_CLIENT_ID",
    "copilot.scopes": "COATCHECK_GITHUB_SCOPES",
    "jules.base_url": None,
    "jules.plan": None,
    "jules.environment_variables": None,
    "local.base_url": None,
}

SETTING: Fields[Setting] = {
    "name": ("its name", lambda s: s.name),
    "value": ("its value; null where it is not set", lambda s: s.value),
    "origin": ("where it is set: an argument, a variable, a file, or the default", lambda s: s.origin),
}


@command(
    "config",
    has_provider=False,
    examples="""
coatcheck config
coatcheck config --show-origin
coatcheck config --json
""",
)
@click.option("--show-origin", is_flag=True, help="Show where each value comes from.")
def config_command(run: CommandContext, *, show_origin: bool) -> None:
    """Print the settings of this folder.

    A setting comes from an option, else from the environment (COATCHECK_ and its name, then the variable of the
    service's own tools), else from coatcheck.toml in the checkout, else from config.toml in the user's folder.
    """
    names = dict.fromkeys((*KNOWN, *run.config.names_in_files()))
    settings = [run.config.resolve(name, variable=KNOWN.get(name)) for name in names]
    run.answer(lambda: {"settings": many(SETTING, settings)}, lambda: _lines(settings, show_origin=show_origin))


def _lines(settings: list[Setting], *, show_origin: bool) -> list[Line]:
    if show_origin:
        return table(("SETTING", "VALUE", "ORIGIN"), [(each.name, each.value or "", each.origin) for each in settings])
    return [f"{each.name} = {each.value}" for each in settings if each.value is not None]
