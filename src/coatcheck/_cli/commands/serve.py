"""`serve` runs a local cloud until it is interrupted."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ... import errors
from ..context import CommandContext, command
from ..time_options import seconds

if TYPE_CHECKING:
    from ..._runtime.server_record import ServerRecord
    from ..._store.hooks import Hook
    from ...cloud.acp.permissions import Permissions
    from ...cloud.agent_presets import AgentCommand
    from ...cloud.models import CloudTask


@command(
    "serve",
    has_provider=False,
    examples="""
coatcheck serve --environment owner/repo=. --agent 'codex exec --sandbox workspace-write -- {prompt}'
coatcheck serve -e owner/repo=~/src/repo --agent 'claude -p {prompt} --permission-mode acceptEdits'
coatcheck serve -e owner/repo=. --agent 'acp: claude-agent-acp' --permissions ask
coatcheck serve -e owner/repo=. --agent aider --port 8765
coatcheck serve -e owner/repo=. --agent ./my-agent.sh --codex-home ./codex-home --json
""",
)
@click.option(
    "--environment",
    "-e",
    "environments",
    multiple=True,
    required=True,
    metavar="OWNER/REPO=PATH",
    help="A label and its repository; may be repeated.",
)
@click.option(
    "--agent",
    required=True,
    metavar="COMMAND",
    help="Command of the agent; {prompt} becomes one argument, without it the prompt is on standard input. 'acp: COMMAND' "
    "is an agent that supports ACP; codex, claude, gemini, opencode and aider name what is installed.",
)
@click.option(
    "--permissions",
    type=click.Choice(["edits", "ask", "all", "none"]),
    help="What an ACP agent may do without a decision of yours: edits in its clone (the default), nothing (ask), "
    "everything (all); none rejects every request.",
)
@click.option(
    "--permission-timeout",
    default="30m",
    metavar="TIME",
    help="Reject a permission request that nobody has decided after this (default: 30m; none: never).",
)
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=0, metavar="N", help="Port to listen on (default: a free one)."
)
@click.option(
    "--max-parallel", type=click.IntRange(min=1), default=2, metavar="N", help="Attempts at once (default: 2)."
)
@click.option("--timeout", default="1h", metavar="TIME", help="End an attempt after this (default: 1h; none: never).")
@click.option("--codex-home", metavar="FOLDER", help="Write a CODEX_HOME there, for the Codex CLI.")
@click.option("--data", metavar="FOLDER", help="Keep tasks here (default: in the user's state folder).")
@click.option(
    "--hook", "hooks", multiple=True, metavar="URL", help="Send each change of a task's state there; may be repeated."
)
@click.option(
    "--allow-hook",
    "allowed",
    multiple=True,
    metavar="ORIGIN",
    help="Allow a --hook that is not public, such as http://127.0.0.1:*; may be repeated.",
)
def serve_command(
    run: CommandContext,
    *,
    environments: tuple[str, ...],
    agent: str,
    permissions: Permissions | None,
    permission_timeout: str,
    port: int,
    max_parallel: int,
    timeout: str,
    codex_home: str | None,
    data: str | None,
    hooks: tuple[str, ...],
    allowed: tuple[str, ...],
) -> None:
    """Run a local cloud, with any command or ACP agent as its agent.

    Each attempt works in a temporary clone; your repository is not touched. It listens on loopback only. While it
    runs, `--provider local` finds it, from any folder; of several servers the one that serves the environment. One
    line shows its URL once it is ready, further lines whether the agent's program exists and which tasks are
    submitted. Ctrl-C ends it and every running agent.
    """
    if os.name != "posix":  # it needs process groups and flock
        raise errors.UnsupportedError("serve is not supported on Windows", remedy="run it in WSL")
    from ..._runtime.config import state_dir
    from ..._runtime.server_record import record_path
    from ...cloud.launcher import ServeOptions, parse_environment, run as serve
    from .gates import open_gates

    environ = run.process_env.environ
    chosen = read_agent(agent, folder=run.process_env.folder, path=environ.get("PATH"))
    if permissions is not None and not chosen.is_acp:
        raise errors.ConfigurationError(
            f"--permissions is for an ACP agent, and {chosen.command[0]!r} is run as a command",
            remedy=chosen.hint or f"pass --agent 'acp: {agent}', or leave out --permissions",
        )
    used: list[tuple[Hook, str | None]] = []
    options = ServeOptions(
        environments=tuple(parse_environment(each, environ=environ) for each in environments),
        command=chosen.command,
        permissions=(permissions or "edits") if chosen.is_acp else None,
        permission_timeout=seconds(permission_timeout, "--permission-timeout"),
        gates=None if run.history.level == "off" else lambda: open_gates(run),
        data=Path(data or os.path.join(state_dir(environ), "cloud")).expanduser().absolute(),
        port=port,
        max_parallel=max_parallel,
        timeout=seconds(timeout, "--timeout"),
        record=Path(record_path(environ)),
        codex_home=Path(codex_home).expanduser().absolute() if codex_home else None,
        on_task=lambda task: run.note(task_line(task)),
        environ=environ,
        hooks=hooks,
        allowed_hooks=allowed,
        on_hooks=used.extend,
    )
    serve(options, announce=lambda record: _announce(run, record, agent=chosen, codex_home=codex_home, hooks=used))


def task_line(task: CloudTask) -> str:
    """Return the line about a submitted task."""
    count = len(task.last.attempts)
    attempts = "1 attempt" if count == 1 else f"{count} attempts"
    return f"Submitted local:{task.id}: {task.title} ({attempts} in {task.environment_label}, branch {task.branch})"


def agent_line(command: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return the line about the agent's program, and whether it exists."""
    program = command[0] if command else ""
    if path := shutil.which(program, path=environ.get("PATH")):
        return f"Agent: {path}"
    where = "there is no such program" if os.path.dirname(program) else "it is not in PATH"
    return f"warning: the agent's program {program!r} cannot be run: {where}; install it, or give another --agent"


def read_agent(agent: str, *, folder: str, path: str | None) -> AgentCommand:
    """Return the agent that ``--agent`` names: a preset, an ACP agent after ``acp:``, or a command.

    Raises `ConfigurationError` for a preset that is not installed, and for what is no command.
    """
    from ...cloud.agent_presets import ACP, PRESETS, AgentCommand, find_agent

    if agent.strip() in PRESETS:
        return find_agent(agent.strip(), path=path, has_acp=find_spec("acp") is not None)
    is_acp = agent.strip().startswith(ACP)
    command = agent_command(agent.strip().removeprefix(ACP) if is_acp else agent, folder)
    if is_acp and not any(command):
        raise errors.ConfigurationError(
            f"{agent!r} names no command", remedy="for example: --agent 'acp: claude-agent-acp'"
        )
    return AgentCommand(command=command, is_acp=is_acp)


def agent_command(agent: str, folder: str) -> tuple[str, ...]:
    """Return the arguments of an agent's command; a program with a relative path is the file in *folder*, if it exists.

    Agents are started in clones, where that path may not exist or may be another version of the file.
    """
    program, *arguments = split(agent) or ("",)
    path = os.path.abspath(os.path.join(folder, program))
    return (path if os.path.dirname(program) and os.path.isfile(path) else program, *arguments)


def split(agent: str) -> tuple[str, ...]:
    """Return a command as its arguments, split as a shell would. Raises `ConfigurationError` for what needs a shell."""
    from ..._review.command_words import shell_syntax

    if syntax := shell_syntax(agent):
        raise errors.ConfigurationError(
            f"the agent command {agent!r} has {syntax}, and no shell runs it",
            remedy="write a script, and pass it: --agent ./agent.sh",
        )
    try:
        return tuple(shlex.split(agent))
    except ValueError as error:
        raise errors.ConfigurationError(
            f"the agent command cannot be parsed: {str(error).lower()}", remedy="quote it: --agent 'COMMAND {prompt}'"
        ) from None


def _announce(
    run: CommandContext,
    record: ServerRecord,
    *,
    agent: AgentCommand,
    codex_home: str | None,
    hooks: Sequence[tuple[Hook, str | None]],
) -> None:
    """Print the server's URL and the secrets of new hooks, and notes about its agent and logins."""
    if run.is_json:
        from ..json_output import dump_line

        run.console.write_json(
            dump_line(
                {
                    "url": record.url,
                    "pid": record.pid,
                    "approval_key": record.approval_key,
                    "codex_home": codex_home,
                    "hooks": [_hook_document(*hook) for hook in hooks],
                }
            )
        )
        return
    from ..._runtime.provider_lookup import server_hints

    run.console.show(f"Serving {record.url}")
    run.console.show_all(line for hook in hooks for line in _hook_lines(*hook))
    run.note(agent_line(agent.command, run.process_env.environ), *([f"Note: {agent.hint}"] if agent.hint else []))
    run.note(*server_hints(run.config, url=record.url, codex_home=codex_home))
    if record.approval_key:
        run.note(
            f"Approval key: {record.approval_key} (a browser asks for it when a program logs in to this server, "
            "or when another user opens a task's page; coatcheck itself needs no key)"
        )
    run.note("Ctrl-C ends it.")


def _hook_document(hook: Hook, secret: str | None) -> dict[str, object]:
    """Return a hook; one that is new has its secret."""
    return {"id": hook.id, "url": hook.url, "secret": secret}


def _hook_lines(hook: Hook, secret: str | None) -> list[str]:
    shown = f"Hook {hook.id}: {hook.url}"
    return [shown, f"Secret, shown this once: {secret}"] if secret else [shown]
