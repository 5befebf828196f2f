"""Agents that are commands: the prompt is an argument or standard input, the message is standard output."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .._workspaces.command_process import CommandProcess, ProcessResult, arguments_of, takes_argument
from .._workspaces.git import last_line
from .._workspaces.workspace import Workspace
from .attempts import AgentEnding
from .models import CloudFailure


def run_command(
    command: tuple[str, ...],
    prompt: str,
    workspace: Workspace,
    environ: Mapping[str, str],
    on_line: Callable[[str, str], None],
) -> AgentEnding:
    """Run *command* in a clone until it ends. Raises `OSError` and `ValueError` where it cannot be started."""
    scope, process = workspace.scope, CommandProcess(on_line=on_line)
    with scope.on_cancel(process.cancel):
        result = process.run(
            arguments_of(command, prompt),
            cwd=workspace.work,
            environ=environ,
            input=None if takes_argument(command) else workspace.prompt_file,
            timeout=scope.remaining(),
            cgroup=workspace.cgroup,
        )
    return ending_of(result)


def ending_of(result: ProcessResult) -> AgentEnding:
    """Return how an agent ended whose command has ended so."""
    failure = None
    if result.exit_code:
        reason = last_line(result.stderr) or last_line(result.stdout) or "the agent printed nothing"
        failure = CloudFailure(code=f"agent_exit_{result.exit_code}", message=reason[:1000])
    return AgentEnding(
        message=result.stdout,
        outputs=(("stdout", result.stdout), ("stderr", result.stderr)),
        failure=failure,
        is_timeout=result.is_timeout,
        is_cancelled=result.is_cancelled,
    )


def why_not_started(name: str, error: Exception) -> str:
    """Return why a command did not start, as a sentence."""
    reasons: Mapping[type[Exception], str] = {
        FileNotFoundError: f"there is no program {name!r}",
        PermissionError: f"{name!r} may not be run",
        ValueError: "the prompt holds a character that no argument can; leave {prompt} out and read standard input",
    }
    if isinstance(error, OSError) and error.strerror == "Argument list too long":
        return "the prompt is too long for an argument; leave {prompt} out and read standard input"
    return reasons.get(type(error)) or f"{name!r} did not start: {error}"
