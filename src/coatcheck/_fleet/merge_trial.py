"""Apply changes one after another, with git, before they are delivered.

Invariant: each change is made on its own base first, and merged from there by 3-way into the result of those before it,
as the forge merges its branch; one that conflicts leaves the result as it was.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .. import errors
from .._patches.git import GitError, git
from .._patches.parse import Patch

# How many characters of conflicting files an error has: what a prompt may be longer by.
CONFLICT_LIMIT = 20_000


class MergeConflictError(errors.PatchConflictError):
    """A change conflicts with those before it.

    `tip` is the commit of the base branch, `conflict` the text of the files with git's markers.
    """

    conflict: str = ""
    tip: str | None = None


class MergeTrial:
    """The result of the changes so far, in a clone without files; *tip* is the commit that they are merged into."""

    def __init__(self, clone: Path, tip: str) -> None:
        self._clone, self.result = clone, tip

    def commit(self, patch: Patch, base: str) -> str:
        """Return a commit of *patch* on its base. Raises `PatchConflictError` where it does not fit there."""
        return self._commit(patch, base)

    def merge(self, base: str, commit: str) -> str:
        """Merge what *commit* changes on *base* into the result; return the result. Raises `MergeConflictError`."""
        diff = diff_of(self._clone, base, commit)
        if not diff:
            return self.result
        try:
            self.result = self._commit(Patch.parse(diff), self.result)
        except errors.PatchConflictError as error:
            files = tuple(map(str, error.files))
            conflict = MergeConflictError(
                f"the change conflicts with others that are merged before it: {', '.join(files)}",
                files=files,
                remedy="see the conflict with: coatcheck fleet deliver NAME --dry-run",
            )
            conflict.conflict = self._conflict(files, base, commit)
            raise conflict from None
        return self.result

    def _commit(self, patch: Patch, start: str) -> str:
        branch = f"coatcheck-merge-trial/{secrets.token_hex(8)}"
        applied = patch.verify(base=self._clone).commit(self._clone, branch=branch, message="Trial\n", start=start)
        return applied.commit or start

    def _conflict(self, files: Sequence[str], base: str, commit: str) -> str:
        """Return the conflicting files as git merges them, with markers."""
        texts = [f"{path}:\n{text}" for path in files if (text := self._merged(path, base, commit))]
        text = "\n".join(texts)
        return text if len(text) <= CONFLICT_LIMIT else f"{text[:CONFLICT_LIMIT]}\n(shortened)\n"

    def _merged(self, path: str, base: str, commit: str) -> str:
        sides = [self._content(each, path) for each in (self.result, base, commit)]
        if any(side is not None and b"\0" in side for side in sides):
            return "(binary)\n"
        if sides[0] is None or sides[2] is None:
            return f"(deleted by {'the changes before' if sides[0] is None else 'this change'})\n"
        with tempfile.TemporaryDirectory(prefix="coatcheck-") as folder:
            names = ("before", "base", "change")
            for name, side in zip(names, sides, strict=True):
                Path(folder, name).write_bytes(side or b"")
            labels = [word for name in ("changes before it", "base", "this change") for word in ("-L", name)]
            merged = git("merge-file", "-p", "--diff3", *labels, *names, folder=folder, accept=range(128))
        return merged.decode("utf-8", "replace")

    def _content(self, commit: str, path: str) -> bytes | None:
        try:
            return git("cat-file", "blob", f"{commit}:{path}", folder=self._clone)
        except GitError:
            return None


def diff_of(repository: Path, before: str, after: str) -> bytes:
    """Return what differs between two commits, with whole names of blobs, for a merge by 3-way."""
    arguments = ("--binary", "--full-index", "--no-renames", "--no-ext-diff", "--no-textconv", "-p")
    return git("diff-tree", *arguments, before, after, "--", folder=repository)
