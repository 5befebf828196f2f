"""Options that are durations: how they are written, and the deadline of a wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .._app.durations import seconds

__all__ = ["interval_option", "seconds", "timeout_of", "timeout_option"]

if TYPE_CHECKING:
    from .context import CommandContext


def timeout_of(run: CommandContext, option: str | None) -> float | None:
    """Return how long to wait in seconds: the option, else the setting ``timeout``."""
    if option is not None:
        return seconds(option, "--timeout")
    setting = run.config.resolve("timeout")
    return seconds(setting.value or "none", f"timeout ({setting.origin})")


timeout_option = click.option(
    "--timeout",
    metavar="TIME",
    help="Stop waiting after this: 90s, 30m, 2h, none (default: 1h). The task is not stopped.",
)
interval_option = click.option("--interval", metavar="TIME", help="Poll this often (default: when an end is likely).")
