"""What became of a patch, file by file."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class FileOutcome(NamedTuple):
    """What became of one file: `status` is "applied", "merged", "skipped" or "conflicted", `kind` says why.

    `has_markers` tells that the file now holds conflict markers.
    """

    path: str
    old_path: str | None
    status: str
    kind: str = ""
    detail: str = ""
    has_markers: bool = False

    @property
    def is_done(self) -> bool:
        """Whether the file is as the patch wants it."""
        return self.status in ("applied", "merged") or self.kind == "already"


class AppliedPatch(NamedTuple):
    """What an application did, or with `is_check` would do."""

    files: tuple[FileOutcome, ...] = ()
    staged: tuple[str, ...] = ()
    is_check: bool = False
    branch: str | None = None
    commit: str | None = None

    @property
    def applied(self) -> tuple[FileOutcome, ...]:
        """Return the files that are as the patch wants them, merged ones too."""
        return tuple(each for each in self.files if each.status in ("applied", "merged"))

    @property
    def skipped(self) -> tuple[FileOutcome, ...]:
        """Return the files that were left alone."""
        return tuple(each for each in self.files if each.status == "skipped")

    @property
    def conflicted(self) -> tuple[FileOutcome, ...]:
        """Return the files in conflict."""
        return tuple(each for each in self.files if each.status == "conflicted")

    @property
    def is_complete(self) -> bool:
        """Whether everything the patch wants is there now."""
        return all(each.is_done for each in self.files)

    @property
    def next_steps(self) -> tuple[str, ...]:
        """Return what to do next, one sentence each."""
        return tuple(_next_steps(self))


def _next_steps(done: AppliedPatch) -> Iterator[str]:
    if done.is_check:
        return
    if any(each.has_markers for each in done.files):
        yield "resolve the conflict markers, then git add the files"
    elif done.conflicted:
        yield "apply it again with markers to see the conflicts in their files, or resolve them from the diff"
    if any(each.kind == "dirty" for each in done.skipped):
        yield "commit or stash your changes and apply again"
    if done.branch:
        yield f"git switch {done.branch}"
    elif done.applied:
        yield "git diff --cached shows it" if done.staged else "git diff shows it"
