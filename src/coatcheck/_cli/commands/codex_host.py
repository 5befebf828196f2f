"""`codex-host`: a Codex host in the background, for the provider `codex_app_server`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from ..command_group import CommandGroup
from ..console import Line
from ..context import CommandContext
from ..exit_codes import ExitCode
from ..json_output import to_object

if TYPE_CHECKING:
    from ..._protocol.effects import Clock
    from ..._runtime.host_record import HostRecord

codex_host_command = CommandGroup(
    "codex-host",
    default="status",
    help="""Start, show or stop a Codex host on this machine.

    A host is `codex app-server` in the background: it runs tasks of `--provider codex_app_server`, also after this
    terminal was closed. Commands find it without a setting.
    """,
)


@codex_host_command.subcommand(
    "up",
    examples="""
coatcheck codex-host up
coatcheck codex-host up --port 0
coatcheck run --provider codex_app_server --environment ~/src/repo "Add dark mode"
""",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    metavar="N",
    help="Listen on loopback with a token (0: a free port), in place of a Unix socket.",
)
@click.option("--program", default="codex", metavar="PATH", help="The Codex CLI (default: codex).")
def up(run: CommandContext, *, port: int | None, program: str) -> None:
    """Start a host in the background, unless one runs.

    It listens on a Unix socket in the user's state folder, or with --port on loopback, with a token in a file of mode 0600.
    """
    from ..._app.codex_host import start_host

    record, is_new = start_host(run.process_env.environ, clock=_clock(run), program=program, port=port)
    run.answer(lambda: _document(record, is_new=is_new), lambda: _lines(record, is_new=is_new))


@codex_host_command.subcommand("status", examples="coatcheck codex-host")
def status(run: CommandContext) -> int:
    """Show the host that runs, with exit code 1 where none does."""
    from ..._app.codex_host import host_status

    record = host_status(run.process_env.environ)
    run.answer(lambda: _document(record), lambda: _lines(record))
    return ExitCode.REFUSED if record is None else ExitCode.DONE


@codex_host_command.subcommand("stop", examples="coatcheck codex-host stop")
def stop(run: CommandContext) -> None:
    """Stop the host; its running tasks are paused, and a message continues them once a host runs again."""
    from ..._app.codex_host import stop_host

    record = stop_host(run.process_env.environ, clock=_clock(run))
    stopped = [] if record is None else [f"Stopped the host {record.url}"]
    run.answer(lambda: _document(record), lambda: [*stopped] or ["No host is running."])


def _clock(run: CommandContext) -> Clock:
    from ..._runtime.system_clock import SystemClock

    return run.process_env.clock or SystemClock()


def _document(record: HostRecord | None, *, is_new: bool | None = None) -> dict[str, Any]:
    document: dict[str, Any] = {"host": None if record is None else to_object(record)}
    return document if is_new is None else {**document, "is_new": is_new}


def _lines(record: HostRecord | None, *, is_new: bool | None = None) -> list[Line]:
    if record is None:
        return ["No host is running; start one with: coatcheck codex-host up"]
    begun = time.strftime("%Y-%m-%d %H:%M", time.localtime(record.started_at))
    lines: list[Line] = [f"{'Started' if is_new else 'Running'}: {record.url}"]
    lines.append(f"Process {record.pid}, since {begun}; log: {record.log}")
    if record.token_file is not None:
        lines.append(f"Token: in {record.token_file}")
    return lines
