"""Checkouts on the host, one for each task, and the change in them; git runs on the host through ``command/exec``.

Invariants:

- a checkout is a worktree of a repository on the host, or of a bare clone that is made once and fetched again;
- the commit that it starts from is kept in a ref of the worktree, and the change is what differs from that commit:
  files that are committed, changed, added or deleted, however the agent did it. ``turn/diff/updated`` shows only what the
  patch tool did (docs/reference/protocols/codex-app-server.md, "7 Outcome");
- reading the change writes only to a temporary folder: not to the index, and not to the repository;
- no hook of a repository runs.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode
from collections.abc import Generator, Mapping
from typing import Any

import msgspec

from ...provider import JsonRpc, Patch, TaskSpec, errors, scrub
from . import wire
from .endpoints import NAME, Service

_PLAIN_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
# A folder is named so: no part is "." or "..".
_REPOSITORY = re.compile(r"(?!.*(?:^|/)\.{1,2}(?:/|$))[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_.][A-Za-z0-9_.-]*)+")
# How long git may take on the host (seconds): no verb takes longer than five minutes in all.
CHECKOUT_SECONDS, DIFF_SECONDS = 280, 55
# A larger change stays on the host (bytes).
MAX_PATCH = 32 * 2**20
BASE_REF = "refs/worktree/coatcheck-base"
NO_REPOSITORY, NO_BRANCH = 64, 65

_GIT = 'git() { command git -c core.hooksPath=/dev/null -c core.fsmonitor=false "$@"; }; export GIT_TERMINAL_PROMPT=0\n'
# Git fails where it finds a worktree that another process is just adding, so checkouts are made one after the other; where
# there is no flock(1), and for other programs that add worktrees, it is tried again.
# Arguments: the folder for checkouts, the name of this one, the repository on the host or a name for its clone,
# the URL to clone from or nothing, the branch or nothing.
_CHECK_OUT = (
    "set -eu; umask 077; "
    + _GIT
    + f"""mkdir -p "$1"; source=$3
exec 9>"$1/.lock"; if command -v flock >/dev/null; then flock 9; fi
if [ -n "$4" ]; then
  source=$1/repositories/$3.git
  if [ -d "$source" ]; then git -C "$source" fetch --quiet --prune origin '+refs/heads/*:refs/heads/*'
  else
    mkdir -p "$(dirname "$source")"
    git clone --quiet --bare -- "$4" "$source.$2"
    mv "$source.$2" "$source"
  fi
fi
if [ ! -d "$1/$2" ]; then
  base=$(git -C "$source" rev-parse --verify --quiet "${{5:-HEAD}}^{{commit}}") || {{
    [ $? -lt 128 ] || exit {NO_REPOSITORY}
    base=$(git -C "$source" rev-parse --verify --quiet "origin/$5^{{commit}}") || exit {NO_BRANCH}
  }}
  tries=0
  until git -C "$source" worktree add --quiet --detach "$1/$2" "$base" >/dev/null; do
    tries=$((tries + 1)); [ $tries -lt 20 ] || exit 1
    sleep 0.1
  done
  git -C "$1/$2" update-ref {BASE_REF} "$base"
fi
"""
)
# Argument: the commit that the host reports as the start of the thread, or nothing. Prints the commit and the size of the change, then the change
# as base64: the output of a command is text, and a change may hold any bytes. The copy of the index keeps its time, by which
# git recognises files that were changed in the second in which they were checked out (git's racy-git documentation).
READ_CHANGE = (
    "set -eu; "
    + _GIT
    + f"""places() {{ git rev-parse --show-toplevel --path-format=absolute --git-path index --git-path objects "$@"; }}
known=$(places '{BASE_REF}^{{commit}}' 2>/dev/null) || known=$(places)
{{
  IFS= read -r top; IFS= read -r index; IFS= read -r GIT_ALTERNATE_OBJECT_DIRECTORIES; IFS= read -r base || :
}} <<KNOWN
$known
KNOWN
cd "$top"
: "${{base:=$1}}"
[ -n "$base" ] || exit 0
t=$(mktemp -d); trap 'rm -rf "$t"' EXIT
mkdir "$t/objects"
cp -p "$index" "$t/index" 2>/dev/null || :
GIT_OBJECT_DIRECTORY=$t/objects GIT_INDEX_FILE=$t/index
export GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_OBJECT_DIRECTORY GIT_INDEX_FILE
git add --all
git diff --cached --binary --full-index --no-color --no-ext-diff --no-textconv --find-renames \\
  --src-prefix=a/ --dst-prefix=b/ "$base" >"$t/change"
size=$(wc -c <"$t/change")
echo "$base" $size
[ "$size" -gt {MAX_PATCH} ] || base64 <"$t/change"
"""
)
# Arguments: the folder for checkouts, and the name of this one.
_REMOVE = (
    "set -eu; "
    + _GIT
    + """[ -d "$1/$2" ] || exit 0
exec 9>"$1/.lock"; if command -v flock >/dev/null; then flock 9; fi
source=$(git -C "$1/$2" rev-parse --git-common-dir)
git -C "$source" worktree remove --force "$1/$2"
"""
)


class Change(msgspec.Struct, frozen=True):
    """What an agent changed. `patch` is None where nothing was changed, or where `size` (bytes) is too large."""

    base: str | None = None
    patch: Patch | None = None
    size: int = 0
    problem: str | None = None


def name_of(key: str) -> str:
    """Return the name of the checkout for a submission's key."""
    return key if _PLAIN_KEY.fullmatch(key) else hashlib.sha256(key.encode()).hexdigest()[:40]


def check_spec(spec: TaskSpec) -> None:
    """Raise `ConfigurationError` for a task without a usable repository."""
    if spec.environment is not None and not spec.environment.startswith("/"):
        raise errors.ConfigurationError(
            f"{spec.environment!r} is not a path on the host", remedy="pass --environment /path/of/repository"
        )
    if spec.environment is None and not _REPOSITORY.fullmatch(spec.repository or ""):
        raise errors.ConfigurationError(
            f"{spec.repository!r} is not a repository" if spec.repository else "no repository is given",
            remedy="pass --repo OWNER/REPO, or --environment with the path of a repository on the host",
        )
    if (spec.branch or "").startswith("-"):
        raise errors.ConfigurationError(f"{spec.branch!r} is not a branch", remedy="pass --branch BRANCH")


def check_out(rpc: JsonRpc, spec: TaskSpec, service: Service, folder: str) -> Generator[Any, Any, str]:
    """Make the checkout of a task below *folder* and return its path."""
    name = name_of(spec.key or "")
    repository = spec.repository or ""
    if spec.environment is not None:
        source, url = spec.environment, ""
    else:
        source, url = repository, service.clone_url.replace("{repository}", repository)
    policy = {
        "type": "dangerFullAccess"
    }  # a worktree is written outside of every sandbox's folder, a clone from the network
    arguments = (folder, name, source, url, spec.branch or "")
    result = yield from run(rpc, _CHECK_OUT, arguments, policy=policy, seconds=CHECKOUT_SECONDS)
    if result.exitCode:
        raise _no_checkout(result, spec, url or source)
    return f"{folder}/{name}"


def _no_checkout(result: wire.CommandResult, spec: TaskSpec, source: str) -> errors.ConfigurationError:
    if result.exitCode == NO_REPOSITORY:
        return errors.ConfigurationError(
            f"{source} is not a git repository on the host", remedy="pass --environment with the path of one"
        )
    if result.exitCode == NO_BRANCH:
        return errors.ConfigurationError(
            f"{source} has no branch {spec.branch or 'HEAD'!r} on the host", remedy="pass --branch BRANCH"
        )
    return errors.ConfigurationError(
        f"the host made no checkout of {source}: {_reason(result)}",
        remedy=f"try git on the host, or check {NAME}.clone_url and {NAME}.workspaces",
    )


def _reason(result: wire.CommandResult) -> str:
    """Return the line of git's output that says what is wrong, else the last one."""
    lines = [line.strip() for line in scrub(result.stderr).splitlines() if line.strip()]
    reasons = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines
    return reasons[-1][:200] if reasons else f"exit code {result.exitCode}"


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


def change_in(result: wire.CommandResult) -> Change:
    """Return the change that the command printed."""
    if result.exitCode:
        return Change(problem=_reason(result))
    first, _, text = result.stdout.partition("\n")
    base, _, size = first.partition(" ")
    if not size.strip().isdecimal():
        return Change()
    data = b64decode(text)
    return Change(base=base, patch=Patch(data) if data else None, size=int(size))


def remove(rpc: JsonRpc, thread: wire.Thread, folder: str) -> Generator[Any, Any, None]:
    """Remove the checkout of a thread, if it is one that was made for a task below *folder*."""
    name = (thread.cwd or "").removeprefix(f"{folder}/")
    if name == thread.cwd or not _PLAIN_KEY.fullmatch(name):
        return
    policy = {"type": "dangerFullAccess"}
    result = yield from run(rpc, _REMOVE, (folder, name), policy=policy, seconds=DIFF_SECONDS)
    if result.exitCode:
        raise errors.ConflictError(
            f"the thread was deleted, and its checkout {folder}/{name} was not: {_reason(result)}",
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
) -> Generator[Any, Any, wire.CommandResult]:
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
    return result
