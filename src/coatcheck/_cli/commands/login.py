"""Log in and out, with a token family that no other program uses: `login`, `logout`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from ..context import CommandContext, command
from ..formatting import login_status
from ..json_output import to_object
from ..process_env import can_browse

if TYPE_CHECKING:
    from ..._credentials.device_code import DeviceCode
    from ..._credentials.login_status import LoginStatus
    from ..._runtime.token_manager import TokenManager
    from ..console import Line


def _login_notes() -> list[str]:
    """Return a sentence for each login that its provider explains."""
    from ..._runtime.config import Config
    from ..._runtime.provider_lookup import login_notes

    return [f"{note.rstrip('.')}." for note in login_notes(Config(environ=os.environ)).values()]


service_argument = click.argument("service", required=False)


@command(
    "login",
    examples="""
coatcheck login codex
coatcheck login codex --device-code
coatcheck login codex --account work
coatcheck login github
""",
    notes=_login_notes,
)
@service_argument
@click.option(
    "--browser/--device-code", "by_browser", default=None, help="How to log in (default: a browser if there is one)."
)
@click.option("--issuer", metavar="URL", help="URL of the login service, instead of its default.")
def login_command(run: CommandContext, *, service: str | None, by_browser: bool | None, issuer: str | None) -> None:
    """Log in to SERVICE (default: the configured provider).

    The login belongs to coatcheck: refreshing it never affects another program's. Without a browser on this machine, a
    code is shown to enter in any other browser.
    """
    name = run.service(service)
    run.set(f"{name}.issuer", issuer)
    with run.client(name) as client:
        tokens = client.tokens
        can_open = tokens.has_browser_login and can_browse(run.process_env.environ, sys.platform)
        has_browser = can_open if by_browser is None else by_browser
        status = _with_browser(run, tokens) if has_browser else _with_code(run, tokens)
    run.answer(lambda: to_object(status), lambda: login_status(status, run.now))
    if status.source != "own":
        run.note(
            f"The login from {status.place} is used before this one; to change that, set {name}.credentials = own."
        )


def _with_code(run: CommandContext, tokens: TokenManager) -> LoginStatus:
    def show(code: DeviceCode) -> None:
        run.console.note(
            f"Open {code.url} in any browser, and type {code.user_code}",
            f"Waiting for {code.expires_in / 60:.0f} minutes …",
        )

    return tokens.log_in_by_device_code(show)


def _with_browser(run: CommandContext, tokens: TokenManager) -> LoginStatus:
    def open_page(url: str) -> None:
        import webbrowser  # importing it searches for browsers

        run.console.note("Opening your browser; if nothing opens, go to", url)
        webbrowser.open(url)

    return tokens.log_in_by_browser(open_page)


@command(
    "logout",
    examples="""
coatcheck logout codex
coatcheck logout codex --account work
""",
)
@service_argument
def logout_command(run: CommandContext, *, service: str | None) -> None:
    """End coatcheck's own login to SERVICE: it is revoked at the service and deleted.

    Another program's login is never ended. Where a service has no revocation for programs, its page for it is printed.
    """
    name = run.service(service)
    with run.client(name) as client:
        is_revoked, page = client.tokens.log_out(), client.tokens.revocation_page
    unconfirmed = "" if page else "; the service did not confirm it"
    lines: list[Line] = [f"Logged out of {service or name}{'' if is_revoked else f' here{unconfirmed}'}."]
    if page and not is_revoked:
        lines.append(f"Revoke the access of this program on: {page}")
    run.answer(lambda: {"provider": name, "is_revoked": is_revoked}, lambda: lines)
