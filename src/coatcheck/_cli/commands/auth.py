"""Look at the login that commands use: `auth status`, and `auth print-token` for scripts that need a header."""

from __future__ import annotations

import click

from ... import errors
from ..context import CommandContext, command
from ..exit_codes import ExitCode
from ..formatting import login_status
from ..json_output import to_object

# Once is a slip.
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
@click.option("-y", "--yes", "consent", count=True, help="print-token: yes, print my token; give it twice.")
def auth_command(run: CommandContext, *, action: str, service: str | None, consent: int) -> int:
    """Print where the login to SERVICE comes from, whose it is, how long it lasts and what is wrong; never a token.

    print-token prints the access token itself, refreshed if it was due. Whoever sees it can act as you until it ends.
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
            "a token on a terminal or in a log acts as you for whoever reads it",
            remedy="say it twice if you mean it: --yes --yes",
        )
    with run.client(name) as client:
        token = client.tokens.get_token()
    run.console.write(f"{token.access_token}\n".encode())
    return ExitCode.DONE
