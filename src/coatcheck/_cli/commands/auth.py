"""Show the login that commands use: `auth status`, and `auth print-token` for scripts that need a header."""

from __future__ import annotations

import click

from ... import errors
from ..context import CommandContext, command
from ..exit_codes import ExitCode
from ..formatting import login_status
from ..json_output import to_object

# Printing a token needs --yes twice, so that it is not printed by mistake.
TWICE = 2


@command(
    "auth",
    examples="""
coatcheck auth status
coatcheck auth status codex --json
coatcheck auth print-token --yes --yes
""",
)
@click.argument("action", type=click.Choice(["status", "print-token"]), default="status")
@click.argument("service", required=False)
@click.option("-y", "--yes", "consent", count=True, help="print-token: print the token; required twice.")
def auth_command(run: CommandContext, *, action: str, service: str | None, consent: int) -> int:
    """Print the source, account, expiry and problems of the login to SERVICE; never a token.

    print-token prints the access token itself, refreshed if it was due. Whoever has it can act as you until it expires.
    """
    name = run.service(service)
    return _print_token(run, name, consent) if action == "print-token" else _status(run, name)


def _status(run: CommandContext, name: str) -> int:
    with run.client(name) as client:
        status = client.tokens.get_status()
    run.answer(lambda: to_object(status), lambda: login_status(status, run.now))
    return ExitCode.DONE if status.is_logged_in else ExitCode.NOT_LOGGED_IN


def _print_token(run: CommandContext, name: str, consent: int) -> int:
    if run.is_json:
        raise errors.ConfigurationError("a token is never part of a JSON document", remedy="leave out --json")
    if consent < TWICE:
        raise errors.ConfigurationError(
            "whoever reads a token on a terminal or in a log can act as you",
            remedy="confirm it twice: --yes --yes",
        )
    with run.client(name) as client:
        token = client.tokens.get_token()
    run.console.write(f"{token.access_token}\n".encode())
    return ExitCode.DONE
