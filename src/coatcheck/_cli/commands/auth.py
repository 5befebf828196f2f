"""Show the login that commands use: `auth status`, and `auth print-token` for scripts that need a header."""

from __future__ import annotations

import click

from ... import errors
from ..command_group import CommandGroup
from ..context import CommandContext
from ..exit_codes import ExitCode
from ..formatting import login_status
from ..json_output import to_object

# Printing a token needs --yes twice, so that it is not printed by mistake.
TWICE = 2


auth_command = CommandGroup(
    "auth", default="status", has_provider=True, help="Print the login that commands use, or its access token."
)
service_argument = click.argument("service", required=False)


@auth_command.subcommand(
    "status",
    examples="""
coatcheck auth status
coatcheck auth status codex --json
""",
)
@service_argument
def print_status(run: CommandContext, *, service: str | None) -> int:
    """Print the source, account, expiry and problems of the login to SERVICE; never a token."""
    with run.client(run.service(service)) as client:
        status = client.tokens.get_status()
    run.answer(lambda: to_object(status), lambda: login_status(status, run.now))
    return ExitCode.DONE if status.is_logged_in else ExitCode.NOT_LOGGED_IN


@auth_command.subcommand("print-token", examples="coatcheck auth print-token --yes --yes")
@service_argument
@click.option("-y", "--yes", "consent", count=True, help="Print the token; required twice.")
def print_token(run: CommandContext, *, service: str | None, consent: int) -> None:
    """Print the access token itself, refreshed if it was due.

    Whoever has it can act as you until it expires.
    """
    if run.is_json:
        raise errors.ConfigurationError("a token is never part of a JSON document", remedy="leave out --json")
    if consent < TWICE:
        raise errors.ConfigurationError(
            "whoever reads a token on a terminal or in a log can act as you",
            remedy="confirm it twice: --yes --yes",
        )
    with run.client(run.service(service)) as client:
        token = client.tokens.get_token()
    run.console.write(f"{token.access_token}\n".encode())
