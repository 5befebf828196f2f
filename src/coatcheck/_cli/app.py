"""The command tree, and the reporting of errors.

Invariants:

* A command's module is imported when the command or one of its subcommands runs, not before.
* Every error is one line on stderr, or with ``--json`` one object on stdout, and its exit code. Where stdout cannot be
  written, or has an incomplete result already, the line goes to stderr; a closed stdout is reported only where a result would be lost.
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

# command -> its module in `commands`, in the order of the help; a command whose name is a Python word or a builtin has a
# longer module name.
COMMANDS = {
    "run": "submit",
    "submit": "submit",
    "wait": "wait",
    "watch": "wait",
    "status": "show",
    "list": "listing",
    "message": "actions",
    "approve": "gates",
    "reject": "gates",
    "answer": "gates",
    "cancel": "actions",
    "archive": "actions",
    "unarchive": "actions",
    "delete": "actions",
    "gates": "gates",
    "show": "show",
    "open": "show",
    "attempts": "show",
    "history": "history",
    "events": "events",
    "pr": "actions",
    "diff": "patch",
    "apply": "patch",
    "review": "review",
    "fleet": "fleet",
    "login": "login",
    "logout": "login",
    "auth": "auth",
    "usage": "catalogue",
    "models": "catalogue",
    "environments": "catalogue",
    "providers": "providers",
    "templates": "templates",
    "config": "config",
    "completion": "completion",
    "demo": "demo",
    "serve": "serve",
    "codex-host": "codex_host",
    "web": "web",
    "hooks": "hooks",
    "mcp": "mcp",
    "workflow": "workflow",
    "help": "information",
    "version": "information",
}

# First command of a group of the help -> its title; a group ends where the next one begins.
GROUPS = {
    "run": "One task",
    "show": "Results",
    "diff": "Patches",
    "fleet": "Many tasks",
    "login": "Account and settings",
    "demo": "Your own cloud",
    "help": "Help",
}

# The help is as wide as the terminal, and not wider than this: longer lines are hard to read (columns).
MAX_HELP_WIDTH = 120

# Errors of a disk or of a system limit, which are not bugs.
NO_STORAGE = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO, errno.EACCES, errno.EMFILE, errno.ENFILE}
)

# Errors of a path that was chosen: by an option, a setting or the environment.
WRONG_PATH = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP, errno.EPERM}
)

ABOUT = """Submit a coding task to an agent that runs elsewhere, and get the result later.

\b
  coatcheck submit "Add dark mode"  # prints a REF
  coatcheck wait REF                # waits for its end
  coatcheck apply REF               # applies its patch

A REF is PROVIDER:ID as printed, a task's id or the beginning of it, its URL, @last, or @2.
"""

FOOTER = "Help of one command, with examples: coatcheck help COMMAND"


class Commands(click.Group):
    """A group that imports a command's module when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the commands in the order of their use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Return the command *cmd_name*, None where there is none."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f".commands.{COMMANDS[cmd_name]}", __package__)
        command: click.Command = getattr(module, f"{cmd_name.replace('-', '_')}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands in their groups, each with the first sentence of its help."""
        from .command_group import summary_of  # only the help and groups need it

        groups: dict[str, list[tuple[str, str]]] = {}
        title = ""
        for name in self.list_commands(ctx):
            title = GROUPS.get(name, title)
            if (command := self.get_command(ctx, name)) is not None:
                groups.setdefault(title, []).append((name, summary_of(command)))
        column = max(len(name) for name in COMMANDS)
        for heading, rows in groups.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(column), summary) for name, summary in rows])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that *args* name; for an unknown one the error lists similar commands."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            from .command_group import unknown_command  # only a misspelling needs it

            raise unknown_command(args[0], COMMANDS, group="coatcheck") from None


@click.command(
    cls=Commands,
    help=ABOUT,
    epilog=FOOTER,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": MAX_HELP_WIDTH},
    invoke_without_command=True,
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
        if process_env.environ.get("_COATCHECK_LINE") is not None:
            from .completion import answer  # only for shells

            return answer(app, process_env)
        code = app.main(list(arguments), prog_name="coatcheck", standalone_mode=False, obj=process_env)
        return code if isinstance(code, int) else ExitCode.DONE
    except (Exception, KeyboardInterrupt, UserInterrupt) as error:  # noqa: BLE001 - the outermost frame: every error ends here
        return _report_error(_convert_error(error, process_env), arguments, process_env)


def _convert_error(error: BaseException, process_env: ProcessEnv) -> BaseException:
    """Return an error of click, of the disk or of an interruption as one of `coatcheck.errors`; others unchanged."""
    if process_env.interruption.number or isinstance(
        error, click.Abort | KeyboardInterrupt | UserInterrupt
    ):  # click makes an Abort of Ctrl-C
        return process_env.interruption.error
    if isinstance(error, OSError) and (converted := _of_system(error)):
        return converted
    if not isinstance(error, click.ClickException):
        from .spec_options import with_options

        return with_options(error)
    from .usage_errors import configuration_error

    return configuration_error(error)


def _of_system(error: OSError) -> errors.CoatcheckError | None:
    """Return the error of a disk, a system limit or a path that was chosen; None for any other, which is a bug."""
    place = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    message = f"{place}: {error.strerror}" if place else f"{error.strerror}"
    if error.errno in NO_STORAGE:
        return errors.CoatcheckError(message, remedy="free disk space or choose another folder, and try again")
    if error.errno in WRONG_PATH and place:
        return errors.ConfigurationError(message, remedy="choose another path")
    return None


def _report_error(error: BaseException, arguments: Sequence[str], process_env: ProcessEnv) -> int:
    code = exit_code_of(error)
    if code is ExitCode.BUG and process_env.environ.get("COATCHECK_DEBUG"):
        raise error
    if isinstance(error, OutputError):
        _redirect_stdout()
    try:
        _report(error, code, arguments, process_env)
    except OutputError:  # the document was not written; stderr may be open
        _redirect_stdout()
        process_env.console.note(f"coatcheck: {one_line(error, code)}")
    return code


def _report(error: BaseException, code: ExitCode, arguments: Sequence[str], process_env: ProcessEnv) -> None:
    if wants_json(arguments) and not (process_env.has_result or isinstance(error, OutputError)):
        from .json_output import dump, error_document

        if isinstance(error, UserInterrupt):  # on stderr first: stdout may be closed
            process_env.console.note(process_env.interruption.line)
        process_env.console.write_json(dump(error_document(error)))
    elif not isinstance(error, OutputClosedError) or error.remedy:
        process_env.console.note(f"coatcheck: {one_line(error, code)}")


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether *arguments* contain ``--json`` and no ``--jq``; they may be unparsable."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    names = {option.partition("=")[0] for option in options}
    return "--json" in names and "--jq" not in names


def one_line(error: BaseException, code: ExitCode) -> str:
    """Return the message of an error and its remedy, in one line."""
    message = " ".join(str(error).split()) or type(error).__name__
    if code is ExitCode.BUG:
        return f"this is a bug in coatcheck: {type(error).__name__}: {message}; COATCHECK_DEBUG=1 shows where"
    remedy = getattr(error, "remedy", None)
    return f"{message}; {remedy}" if remedy else message


def _redirect_stdout() -> None:
    """Prevent a second error when buffered output is flushed at exit (docs.python.org, "Note on SIGPIPE")."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except OSError:
        return
