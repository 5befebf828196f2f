"""Checkouts on the server, one for each task, and the change in them; git runs there through the server's shell.

A checkout has the id of its conversation as its name. See docs/reference/protocols/openhands.md, "6 Shell and change".
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ...provider import decode, errors
from .._checkouts.scripts import (
    CHECK_OUT,
    CHECKOUT_SECONDS,
    DIFF_SECONDS,
    READ_CHANGE,
    REMOVE,
    Change,
    Ran,
    change_in,
    check_spec,
    checkout_error,
    reason_of,
)
from . import wire
from .endpoints import NAME, Service
from .requests import conversation_path, post

if TYPE_CHECKING:
    from ...provider import Exchange, TaskSpec

__all__ = ["Change", "check_out", "check_spec", "read_change", "remove"]

SHELL = "/bash/execute_bash_command"
DEFAULT_FOLDER = '"$HOME/.openhands/coatcheck"'
# The request may take longer than the command by so much (seconds).
MARGIN = 15.0


def check_out(spec: TaskSpec, service: Service, name: str) -> Exchange[str]:
    """Make the checkout *name* and return its path. Raises `ConfigurationError` where git makes none."""
    repository = spec.repository or ""
    if spec.environment is not None:
        source, url = spec.environment, ""
    else:
        source, url = repository, service.clone_url.replace("{repository}", repository)
    folder = shlex.quote(service.workspaces.rstrip("/")) if service.workspaces else DEFAULT_FOLDER
    arguments = " ".join((folder, *map(shlex.quote, (name, source, url, spec.branch or ""))))
    command = f"sh -c {shlex.quote(CHECK_OUT)} coatcheck {arguments} && cd {folder}/{name} && pwd -P"
    ran = yield from _run(f"/api{SHELL}", command, seconds=CHECKOUT_SECONDS)
    path = ran.stdout.rstrip("\n").rpartition("\n")[2]
    if ran.exit_code or not path.startswith("/"):
        raise checkout_error(ran, spec, url or source, provider=NAME)
    return path


def read_change(document: wire.Conversation, id: str, *, upstream: str | None = None) -> Exchange[Change]:
    """Return the change in the workspace of a conversation; one that cannot be read has a `problem`.

    Of a workspace that we did not make the change is what differs from where the branch *upstream* was left, else what is
    not committed.
    """
    base = f'"$(git merge-base HEAD {shlex.quote(upstream)} 2>/dev/null || echo HEAD)"' if upstream else "HEAD"
    command = f"sh -c {shlex.quote(READ_CHANGE)} coatcheck {base}"
    try:
        ran = yield from _run_in(document, id, command)
    except (errors.InvalidRequestError, errors.NotFoundError, errors.ProviderUnavailableError) as error:
        return Change(problem=error.detail or str(error))
    return change_in(ran)


def _run_in(document: wire.Conversation, id: str, command: str) -> Exchange[Ran]:
    """Run a command in the workspace of a conversation; older servers have one shell for all of them."""
    directory = document.workspace.working_dir if document.workspace else None
    try:
        return (yield from _run(conversation_path(id, SHELL), command, seconds=DIFF_SECONDS))
    except errors.NotFoundError:
        if directory is None:
            raise
    return (yield from _run(f"/api{SHELL}", command, seconds=DIFF_SECONDS, cwd=directory))


def remove(path: str, name: str) -> Exchange[None]:
    """Remove the checkout at *path*, if it is one that was made under *name*."""
    folder, _, last = path.rpartition("/")
    if not folder or last != name:
        return
    command = f"sh -c {shlex.quote(REMOVE)} coatcheck {shlex.quote(folder)} {shlex.quote(name)}"
    ran = yield from _run(f"/api{SHELL}", command, seconds=DIFF_SECONDS)
    if ran.exit_code:
        raise errors.ConflictError(
            f"the conversation was deleted, and its checkout {path} was not: {reason_of(ran)}",
            status=409,
            remedy=f"remove it on the server: git worktree remove --force {path}",
        )


def _run(path: str, command: str, *, seconds: int, cwd: str | None = None) -> Exchange[Ran]:
    """Run a command, which may be repeated, and return how it ended."""
    body = {"command": command, "timeout": seconds} | ({"cwd": cwd} if cwd else {})
    response = yield post(path, body, idempotent=True, is_preparation=True, timeout=seconds + MARGIN)
    output = decode(response, wire.CommandOutput)
    if output.exit_code is None:
        raise errors.UnreadableResponseError("the server did not report how a command ended", path="$.exit_code")
    stderr = output.stderr or ("" if output.exit_code >= 0 else f"it was stopped after {seconds} seconds")
    return Ran(output.exit_code, output.stdout or "", stderr)
