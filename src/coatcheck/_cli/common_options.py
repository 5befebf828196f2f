"""The options that every command has, and those of commands that use a service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .. import errors
from .._protocol.registry import DEFAULT_PROVIDER

if TYPE_CHECKING:
    from .process_env import ProcessEnv

JSON = click.Option(
    ["--json", "as_json"], metavar="[FIELDS]", help="Print JSON instead of text; only these fields: --json ref,state."
)
JQ = click.Option(["--jq"], metavar="EXPR", help="Filter the JSON with a jq expression (needs coatcheck[jq]).")
VERBOSE = click.Option(
    ["-v", "--verbose"], count=True, help="Log requests on stderr; -vv also polls and logins. COATCHECK_LOG=debug too."
)
QUIET = click.Option(["-q", "--quiet"], is_flag=True, help="Print no progress and no notes, only results and errors.")
LOG_FILE = click.Option(["--log-file"], metavar="FILE", help="Append the log to a file instead of stderr.")
OUTPUT = (JSON, JQ, QUIET, VERBOSE, LOG_FILE)
PROVIDER = click.Option(
    ["--provider"],
    metavar="NAME",
    help=f"The service that runs the tasks; `coatcheck providers` lists them (default: {DEFAULT_PROVIDER}).",
)
ACCOUNT = click.Option(["--account"], metavar="NAME", help="Which login of coatcheck, by the name given at `login`.")
BASE_URL = click.Option(["--base-url"], metavar="URL", help="URL of the service, instead of its default.")


def refuse_empty_options(context: click.Context) -> None:
    """Raise `ConfigurationError` for an option whose value is empty, as that of an unset variable of a script is."""
    for param in context.command.params:
        value = context.params.get(param.name or "")
        if param.name == "as_json":  # its value may be left out
            continue
        if isinstance(param, click.Option) and (value == "" or (isinstance(value, tuple) and "" in value)):
            raise errors.ConfigurationError(
                f"{max(param.opts, key=len)} is empty", remedy="give it a value, or leave the option out"
            )


def start_logging(process_env: ProcessEnv, verbose: int, log_file: str | None) -> None:
    """Start logging where an option or ``COATCHECK_LOG`` requests it."""
    if verbose or log_file or process_env.environ.get("COATCHECK_LOG"):
        from .logs import start

        start(process_env, verbose, log_file)
