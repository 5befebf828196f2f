"""The shell scripts that make, read and remove the checkout of a task on a host. Pure: providers run them there.

Invariants:

- a checkout is a worktree of a repository on the host, or of a bare clone that is made once and fetched again;
- the commit that it starts from is kept in a ref of the worktree, and the change is what differs from that commit:
  files that are committed, changed, added or deleted, however the agent did it;
- reading the change writes only to a temporary folder: not to the index, and not to the repository;
- no hook of a repository runs.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode

import msgspec

from ...provider import Patch, TaskSpec, errors, scrub

PLAIN_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
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
CHECK_OUT = (
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
# Argument: the commit to compare with where the checkout has no ref of its start, or nothing. Prints the commit and the size
# of the change, then the change as base64: the output of a command is text, and a change may hold any bytes. The copy of the index keeps its time, by which
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
REMOVE = (
    "set -eu; "
    + _GIT
    + """[ -d "$1/$2" ] || exit 0
exec 9>"$1/.lock"; if command -v flock >/dev/null; then flock 9; fi
source=$(git -C "$1/$2" rev-parse --git-common-dir)
git -C "$source" worktree remove --force "$1/$2"
"""
)


class Ran(msgspec.Struct, frozen=True):
    """How a script ended on the host."""

    exit_code: int
    stdout: str = ""
    stderr: str = ""


class Change(msgspec.Struct, frozen=True):
    """What an agent changed. `patch` is None where nothing was changed, or where `size` (bytes) is too large."""

    base: str | None = None
    patch: Patch | None = None
    size: int = 0
    problem: str | None = None


def name_of(key: str) -> str:
    """Return the name of the checkout for a submission's key."""
    return key if PLAIN_KEY.fullmatch(key) else hashlib.sha256(key.encode()).hexdigest()[:40]


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


def checkout_error(ran: Ran, spec: TaskSpec, source: str, *, provider: str) -> errors.ConfigurationError:
    """Return the error for `CHECK_OUT` that failed; *provider* is the one whose settings decide it."""
    if ran.exit_code == NO_REPOSITORY:
        return errors.ConfigurationError(
            f"{source} is not a git repository on the host", remedy="pass --environment with the path of one"
        )
    if ran.exit_code == NO_BRANCH:
        return errors.ConfigurationError(
            f"{source} has no branch {spec.branch or 'HEAD'!r} on the host", remedy="pass --branch BRANCH"
        )
    return errors.ConfigurationError(
        f"the host made no checkout of {source}: {reason_of(ran)}",
        remedy=f"try git on the host, or check {provider}.clone_url and {provider}.workspaces",
    )


def reason_of(ran: Ran) -> str:
    """Return the line of git's output that says what is wrong, else the last one."""
    lines = [line.strip() for line in scrub(ran.stderr).splitlines() if line.strip()]
    reasons = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines
    return reasons[-1][:200] if reasons else f"exit code {ran.exit_code}"


def change_in(ran: Ran) -> Change:
    """Return the change that `READ_CHANGE` printed."""
    if ran.exit_code:
        return Change(problem=reason_of(ran))
    first, _, text = ran.stdout.partition("\n")
    base, _, size = first.partition(" ")
    if not size.strip().isdecimal():
        return Change()
    try:
        data = b64decode(text)
    except ValueError:  # it was cut
        data = b""
    if len(data) != int(size) <= MAX_PATCH:
        return Change(problem=f"{len(data)} of its {int(size)} bytes were sent")
    return Change(base=base, patch=Patch(data) if data else None, size=int(size))
