"""The command tree, and the reporting of errors.

Invariants:

* A command's module is imported when the command runs, not before.
* Every error ends as one line on stderr, or as one object on stdout with ``--json``, and its exit code. Where stdout
  cannot be written, the line goes to stderr; a reader that closed it is told nothing, unless a result would be lost.
* An error that is not expected is reported as a bug.
"""

from __future__ import annotations

import errno
import importlib
import os
from collections.abc import Sequence

import click

from .. import errors
from .console import OutputClosedError, OutputError
from .exit_codes import ExitCode, exit_code_of
from .interruption import UserInterrupt
from .process_env import ProcessEnv

# command -> its module in `commands`; a command whose name is a Python word or a builtin has a longer module name.
COMMANDS = {
    "demo": "demo",
    "run": "submit",
    "submit": "submit",
    "wait": "wait",
    "watch": "wait",
    "status": "show",
    "show": "show",
    "list": "listing",
    "attempts": "show",
    "diff": "patch",
    "apply": "patch",
    "approve": "actions",
    "cancel": "actions",
    "message": "actions",
    "pr": "actions",
    "archive": "actions",
    "unarchive": "actions",
    "delete": "actions",
    "usage": "catalogue",
    "models": "catalogue",
    "environments": "catalogue",
    "login": "login",
    "logout": "login",
    "auth": "auth",
    "providers": "providers",
    "config": "config",
    "serve": "serve",
    "workflow": "workflow",
}

# What a disk or a limit of the system refuses, which is no bug of ours.
NO_STORAGE = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO, errno.EACCES, errno.EMFILE, errno.ENFILE}
)

ABOUT = """Hand a coding task to a cloud agent, get a ticket at once, come back for the patch.

\b
  coatcheck submit "Add dark mode"      gives a ref at once
  coatcheck wait REF                    waits for the end
  coatcheck apply REF                   lands the patch in this checkout

A REF is PROVIDER:ID as printed, a task's id, or its URL.
"""


class Commands(click.Group):
    """A group that imports a command's module when it is asked for the command."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the commands in the order in which one meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Return a command, None for a word that is none."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f".commands.{COMMANDS[cmd_name]}", __package__)
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that *args* name; a misspelt one is told what it is near."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            from difflib import get_close_matches  # only a misspelling needs it

            near = get_close_matches(args[0], COMMANDS, n=2)
            hint = f"did you mean {' or '.join(near)}?" if near else "see: coatcheck --help"
            raise errors.ConfigurationError(f"there is no command {args[0]!r}", remedy=hint) from None


@click.command(
    cls=Commands, help=ABOUT, context_settings={"help_option_names": ["-h", "--help"]}, invoke_without_command=True
)
@click.version_option(package_name="coatcheck", message="coatcheck %(version)s")
@click.pass_context
def app(ctx: click.Context) -> None:
    """Print the help unless a command is named."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def run(arguments: Sequence[str], process_env: ProcessEnv) -> int:
    """Run one command line and return its exit code."""
    try:
        code = app.main(list(arguments), prog_name="coatcheck", standalone_mode=False, obj=process_env)
        return code if isinstance(code, int) else ExitCode.DONE
    except (Exception, KeyboardInterrupt, UserInterrupt) as error:  # noqa: BLE001 - the outermost frame: nothing may get past it
        return _reported(_understood(error, process_env), arguments, process_env)


def _understood(error: BaseException, process_env: ProcessEnv) -> BaseException:
    """Return errors of click and of a full or read-only disk as ours, and an interruption with the task that it left."""
    if isinstance(error, click.Abort | KeyboardInterrupt | UserInterrupt):  # click makes an Abort of Ctrl-C
        return process_env.interruption.error
    if isinstance(error, OSError) and error.errno in NO_STORAGE:
        place = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        return errors.CoatcheckError(f"{place}{error.strerror}", remedy="make room or change the place, and try again")
    if not isinstance(error, click.ClickException):
        return error
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "coatcheck"
    message = " ".join(error.format_message().rstrip(".").split())
    return errors.ConfigurationError(message[:1].lower() + message[1:], remedy=f"see: {path} --help")


def _reported(error: BaseException, arguments: Sequence[str], process_env: ProcessEnv) -> int:
    code = exit_code_of(error)
    if code is ExitCode.BUG and process_env.environ.get("COATCHECK_DEBUG"):
        raise error
    if isinstance(error, OutputError):
        _let_go_of_stdout()
    try:
        _report(error, code, arguments, process_env)
    except OutputError:  # the document went nowhere; stderr may be open
        _let_go_of_stdout()
        process_env.console.note(f"coatcheck: {one_line(error, code)}")
    return code


def _report(error: BaseException, code: ExitCode, arguments: Sequence[str], process_env: ProcessEnv) -> None:
    if wants_json(arguments) and not isinstance(error, OutputError):
        from .json_output import dump, error_document

        if isinstance(error, UserInterrupt):  # first, and where a person looks: stdout may go nowhere
            process_env.console.note(process_env.interruption.line)
        process_env.console.write_json(dump(error_document(error)))
    elif not isinstance(error, OutputClosedError) or error.remedy:
        process_env.console.note(f"coatcheck: {one_line(error, code)}")


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether *arguments* ask for JSON; they may be too broken to be parsed."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in options


def one_line(error: BaseException, code: ExitCode) -> str:
    """Return what went wrong and what to do about it, in one line."""
    message = " ".join(str(error).split()) or type(error).__name__
    if code is ExitCode.BUG:
        return f"this is a bug in coatcheck: {type(error).__name__}: {message}; COATCHECK_DEBUG=1 shows where"
    remedy = getattr(error, "remedy", None)
    return f"{message}; {remedy}" if remedy else message


def _let_go_of_stdout() -> None:
    """Keep what is still buffered from failing again when the process ends (docs.python.org, "Note on SIGPIPE")."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except OSError:
        return
