"""`config` shows the settings and their origins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..console import Line, table
from ..context import CommandContext, command
from ..json_output import to_object

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
    from ..._runtime.provider_lookup import declared_settings

    declared = declared_settings(run.config)
    variables: dict[str, tuple[str | None, ...]] = {
        name: (KNOWN.get(name),) for name in (*KNOWN, *run.config.names_in_files())
    }
    variables |= {name: setting.variables or (None,) for name, setting in declared.items()}
    settings = [_resolve(run, name, each) for name, each in variables.items()]
    run.answer(
        lambda: {"settings": [to_object(setting) for setting in settings]},
        lambda: _lines(settings, show_origin=show_origin),
    )


def _resolve(run: CommandContext, name: str, variables: tuple[str | None, ...]) -> Setting:
    """Return the setting *name*, from the first of *variables* that is set where no setting of ours is."""
    candidates = [run.config.resolve(name, variable=variable) for variable in variables]
    return next((setting for setting in candidates if setting.value is not None), candidates[0])


def _lines(settings: list[Setting], *, show_origin: bool) -> list[Line]:
    if show_origin:
        return table(("SETTING", "VALUE", "ORIGIN"), [(each.name, each.value or "", each.origin) for each in settings])
    return [f"{each.name} = {each.value}" for each in settings if each.value is not None]
