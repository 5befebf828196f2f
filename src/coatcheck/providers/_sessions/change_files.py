"""The convention by which an agent in a hosted session returns its change: two files in one folder. Pure.

Invariants:

- the instructions are a text of their own beside the prompt, which is sent unchanged;
- ``base-commit.txt`` is written before the first change, ``change.patch`` is git's diff from that commit, and the agent
  checks that it applies to it;
- an empty ``change.patch`` is an attempt that changed nothing; a missing or unreadable one is a notice.

See docs/reference/providers/claude-agents.md, "How the change is returned".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from ...provider import Notice, Patch, PatchState, count_diff, errors

if TYPE_CHECKING:
    from ...provider import DiffStats

PATCH_FILE = "change.patch"
BASE_FILE = "base-commit.txt"
FILES = (PATCH_FILE, BASE_FILE)

# A program may write one before a text; git does not read a diff after it.
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# The id of a commit: SHA-1 or SHA-256 (gitformat-pack(5), "object-format").
_COMMIT = re.compile(rb"(?:[0-9a-f]{40}|[0-9a-f]{64})")

INSTRUCTIONS = """\
The repository is in {folder}. Return your change as files in {outputs}, and do not open a pull request.

Before you change anything, run:

    mkdir -p {outputs} && cd {folder} && git rev-parse HEAD > {outputs}/{base}

When you have finished, and again after each later message, run:

    cd {folder} && git add --all && git diff --cached --binary "$(cat {outputs}/{base})" > {outputs}/{patch}

Then check that the patch applies to the recorded commit; this must print nothing:

    cd {folder} && if [ -s {outputs}/{patch} ]; then (export GIT_INDEX_FILE="$(mktemp -u)"; git read-tree "$(cat {outputs}/{base})" && git apply --check --cached {outputs}/{patch}); fi
"""


class ChangeFiles(msgspec.Struct, frozen=True):
    """The contents of the two files; None for one that does not exist."""

    patch: bytes | None = None
    base: bytes | None = None


class Change(msgspec.Struct, frozen=True):
    """The change that the files describe, with the notices about them."""

    patch: Patch | None = None
    state: PatchState = PatchState.NONE
    base_commit: str | None = None
    stats: DiffStats | None = None
    notices: tuple[Notice, ...] = ()


def instructions(*, folder: str, outputs: str) -> str:
    """Return the text that asks for the two files in *outputs*, for a repository in *folder*."""
    return INSTRUCTIONS.format(folder=folder, outputs=outputs, base=BASE_FILE, patch=PATCH_FILE)


def change_of(files: ChangeFiles, *, outputs: str) -> Change:
    """Return the change in *files*, which the agent was asked to write to *outputs*."""
    if files.patch is None:
        missing = f"the agent wrote no {PATCH_FILE} to {outputs}; ask for it with a message"
        return Change(base_commit=_commit_in(files.base), notices=(_notice(missing),))
    if not files.patch.strip():
        return Change(base_commit=_commit_in(files.base))
    patch = Patch(files.patch.removeprefix(BYTE_ORDER_MARK))
    return Change(
        patch=patch,
        state=PatchState.PRESENT,
        base_commit=_commit_in(files.base),
        stats=count_diff(patch),
        notices=_problems(patch, files.base),
    )


def _problems(patch: Patch, base: bytes | None) -> tuple[Notice, ...]:
    notices: list[Notice] = []
    try:
        Patch.parse(bytes(patch))
    except errors.PatchError as error:
        notices.append(_notice(f"{PATCH_FILE} is not a whole patch: {error}"))
    if _commit_in(base) is None:
        notices.append(_notice(f"the agent recorded no commit in {BASE_FILE}: the base of its change is not known"))
    return tuple(notices)


def _commit_in(content: bytes | None) -> str | None:
    match = _COMMIT.fullmatch((content or b"").removeprefix(BYTE_ORDER_MARK).strip())
    return match[0].decode() if match else None


def _notice(text: str) -> Notice:
    return Notice(kind="no_result", text=text)
