"""The result of applying a patch: one outcome per file."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from .._values.value import JsonFields, Value

if TYPE_CHECKING:
    from collections.abc import Iterator


FileStatus: TypeAlias = Literal["applied", "merged", "skipped", "conflicted"]


class FileOutcome(Value, frozen=True, kw_only=True):
    """The result for one file: `kind` is the reason of its `status` as a word, `detail` as a sentence.

    With `has_markers` the file now contains conflict markers.
    """

    path: str
    old_path: str | None = None
    status: Literal["applied", "merged", "skipped", "conflicted"]
    kind: str = ""
    detail: str = ""
    has_markers: bool = False

    _json: ClassVar[JsonFields] = {
        "path": "the file",
        "old_path": "its path before the patch, where it moved",
        "status": '"applied", "merged", "skipped" or "conflicted"; with --check what it would be',
        "kind": ("the reason, in a word", lambda f: f.kind or None),
        "detail": ("the reason, in a sentence", lambda f: f.detail or None),
        "has_markers": "whether it contains conflict markers now, or with --check would",
    }

    @property
    def is_done(self) -> bool:
        """Whether the file is in the state that the patch leads to."""
        return self.status in ("applied", "merged") or self.kind == "already"


class AppliedPatch(Value, frozen=True, kw_only=True):
    """The result of an application; with `is_check` nothing was changed."""

    files: tuple[FileOutcome, ...] = ()
    staged: tuple[str, ...] = ()
    is_check: bool = False
    branch: str | None = None
    commit: str | None = None

    _json: ClassVar[JsonFields] = {
        "is_check": "whether nothing was changed because of --check",
        "is_complete": "whether every file is in the state that the patch leads to, or with --check would be",
        "files": "applied file objects",
        "staged": "paths that were staged",
        "branch": "the branch that was created",
        "commit": "the commit that was made: on `branch`, or on the current branch",
        "next_steps": "what to do next, in sentences",
    }

    @property
    def applied(self) -> tuple[FileOutcome, ...]:
        """Return the files that the patch changed, by a merge or without."""
        return tuple(each for each in self.files if each.status in ("applied", "merged"))

    @property
    def skipped(self) -> tuple[FileOutcome, ...]:
        """Return the files that were not changed."""
        return tuple(each for each in self.files if each.status == "skipped")

    @property
    def conflicted(self) -> tuple[FileOutcome, ...]:
        """Return the files in conflict."""
        return tuple(each for each in self.files if each.status == "conflicted")

    @property
    def is_complete(self) -> bool:
        """Whether every file is in the state that the patch leads to."""
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
    elif any(each.kind == "both modified" for each in done.conflicted):
        yield (
            "apply it again with --markers (markers=True in Python) to see the conflicts in their files, "
            "or resolve them from the diff"
        )
    elif done.conflicted:
        yield "make the change of the files in conflict by hand, from the diff"
    if any(each.kind == "dirty" for each in done.skipped):
        yield "commit or stash your changes and apply again"
    if done.branch:
        yield f"git switch {done.branch}"
    elif done.commit:
        yield "git show shows it"
    elif done.applied:
        yield "git diff --cached shows it" if done.staged else "git diff shows it"
