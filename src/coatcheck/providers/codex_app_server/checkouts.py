"""Checkouts on the host, one for each task, and the change in them; git runs on the host through ``command/exec``.

The change is never that of ``turn/diff/updated``, which shows only what the patch tool did
(docs/reference/protocols/codex-app-server.md, "7 Outcome").
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import msgspec

from ...provider import JsonRpc, TaskSpec, errors
from .._checkouts.scripts import (
    BASE_REF,
    CHECK_OUT,
    CHECKOUT_SECONDS,
    DIFF_SECONDS,
    PLAIN_KEY,
    READ_CHANGE,
    REMOVE,
    Change,
    Ran,
    change_in,
    check_spec,
    checkout_error,
    name_of,
    reason_of,
)
from . import wire
from .endpoints import NAME, Service
from .places import folder_of, place_of

__all__ = ["READ_CHANGE", "Change", "check_out", "check_out_all", "check_spec", "name_of", "read_change", "remove"]

# Argument: a checkout. Prints the commit that it starts from.
READ_BASE = f'git -C "$1" rev-parse --verify {BASE_REF}'


def check_out_all(rpc: JsonRpc, spec: TaskSpec, service: Service, folder: str) -> Generator[Any, Any, Sequence[str]]:
    """Make the checkouts of all attempts of a task below *folder*, at one commit, and return their paths."""
    paths = [(yield from check_out(rpc, spec, service, folder))]
    if spec.attempts == 1:
        return paths
    policy = {"type": "dangerFullAccess"}
    base = yield from run(rpc, READ_BASE, (paths[0],), policy=policy, seconds=DIFF_SECONDS)
    if base.exit_code:
        raise checkout_error(base, spec, paths[0], provider=NAME)
    at_base = msgspec.structs.replace(spec, branch=base.stdout.strip())
    for number in range(2, spec.attempts + 1):
        path = yield from check_out(rpc, at_base, service, folder, number=number)
        paths.append(path)
    return paths


def check_out(
    rpc: JsonRpc, spec: TaskSpec, service: Service, folder: str, *, number: int = 1
) -> Generator[Any, Any, str]:
    """Make the checkout of an attempt of a task below *folder* and return its path."""
    name = folder_of(name_of(spec.key or ""), number, spec.attempts)
    repository = spec.repository or ""
    if spec.environment is not None:
        source, url = spec.environment, ""
    else:
        source, url = repository, service.clone_url.replace("{repository}", repository)
    policy = {
        "type": "dangerFullAccess"
    }  # a worktree is written outside of every sandbox's folder, a clone from the network
    arguments = (folder, name, source, url, spec.branch or "")
    result = yield from run(rpc, CHECK_OUT, arguments, policy=policy, seconds=CHECKOUT_SECONDS)
    if result.exit_code:
        raise checkout_error(result, spec, url or source, provider=NAME)
    return f"{folder}/{name}"


def read_change(rpc: JsonRpc, thread: wire.Thread, service: Service) -> Generator[Any, Any, Change]:
    """Return the change in the checkout of *thread*; one that cannot be read has a `problem`."""
    if not thread.cwd:
        return Change(problem="the host does not report where it works")
    sha = (thread.gitInfo.sha if thread.gitInfo else None) or ""
    is_unrestricted = service.sandbox == "danger-full-access"
    policy = {"type": "dangerFullAccess" if is_unrestricted else "workspaceWrite"}
    try:
        result = yield from run(rpc, READ_CHANGE, (sha,), cwd=thread.cwd, policy=policy, seconds=DIFF_SECONDS)
    except (errors.InvalidRequestError, errors.ProviderUnavailableError) as error:
        return Change(problem=error.detail)
    return change_in(result)


def remove(rpc: JsonRpc, thread: wire.Thread, folder: str) -> Generator[Any, Any, None]:
    """Remove the checkout of a thread, if it is one that was made for a task below *folder*."""
    name = (thread.cwd or "").removeprefix(f"{folder}/")
    place = place_of(wire.Thread(thread.id, cwd=name))
    if name == thread.cwd or not PLAIN_KEY.fullmatch(place.task):
        return
    policy = {"type": "dangerFullAccess"}
    result = yield from run(rpc, REMOVE, (folder, name), policy=policy, seconds=DIFF_SECONDS)
    if result.exit_code:
        raise errors.ConflictError(
            f"the thread was deleted, and its checkout {folder}/{name} was not: {reason_of(result)}",
            status=409,
            remedy=f"remove it on the host: git worktree remove --force {folder}/{name}",
        )


def run(
    rpc: JsonRpc,
    script: str,
    arguments: tuple[str, ...],
    *,
    policy: Mapping[str, Any],
    seconds: int,
    cwd: str | None = None,
) -> Generator[Any, Any, Ran]:
    """Run a shell script on the host and return how it ended."""
    parameters = {
        "command": ["sh", "-c", script, "coatcheck", *arguments],
        "sandboxPolicy": policy,
        "timeoutMs": seconds * 1000,
        "disableOutputCap": True,
    }
    if cwd is not None:
        parameters["cwd"] = cwd
    usual, rpc.timeout = rpc.timeout, seconds + 10.0
    try:
        answer = yield from rpc.call("command/exec", parameters)
    finally:
        rpc.timeout = usual
    result: wire.CommandResult = answer.decode(wire.CommandResult)
    return Ran(result.exitCode, result.stdout, result.stderr)
