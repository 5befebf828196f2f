"""A patch: the bytes of a diff, which are parsed on first use.

* ``Patch(data)`` parses nothing; `Patch.parse` parses all of it and verifies every hunk.
* Without `Patch.parse`, the counts of a file are those of its hunk headers; reading `FileChange.hunks`,
  `Patch.verify`, `Patch.reverse` and everything that writes proves them.
* Text is bytes inside and ``str`` with ``surrogateescape`` outside: no byte is ever lost.
* A patch is a claim. Only `VerifiedPatch`, which `Patch.verify` makes, can be applied.
"""

from __future__ import annotations

from ..errors import PatchError

TYPE_CHECKING = False
if TYPE_CHECKING:  # the parser imports `re`, which is most of what importing this package would cost
    import os
    from collections.abc import Iterable

    from .file_change import FileChange
    from .patch_stats import PatchStats
    from .policy import Policy
    from .repair_rows import RepairedPatch
    from .strip_level import Naming
    from .verify import VerifiedPatch

# How a text begins that is a diff and no mail: git's, diff -u's and Subversion's first lines.
_DIFF_STARTS = (b"diff ", b"--- ", b"Index: ")


class Patch:
    """A diff, as any tool wrote it. Immutable; equal to another of the same bytes."""

    __slots__ = ("_data", "_files", "_naming")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._files: tuple[FileChange, ...] | None = None
        self._naming: Naming | None = None

    @classmethod
    def parse(cls, text: bytes | str, *, strip: int | None = None, directory: str | None = None) -> Patch:
        """Read a diff and prove every hunk. Raises `PatchError` with the line of what is wrong.

        *strip* is the number of components to remove from every name, as in ``git apply -p``; without it the diff
        decides, and where it does not show it, the checkout. *directory* is put in front of every name.
        """
        from .strip_level import naming_for

        patch = cls(to_bytes(text))
        if not patch._data.startswith(_DIFF_STARTS):
            from .mail_encoding import check_mail

            check_mail(patch._data)
        patch._naming = naming_for(patch._data, strip=strip, directory=directory)
        patch._files = patch._proved()
        return patch

    @staticmethod
    def repair(
        text: bytes | str,
        base: str | os.PathLike[str] | None = None,
        *,
        strip: int | None = None,
        directory: str | None = None,
    ) -> RepairedPatch[Patch]:
        """Repair a diff that a language model wrote; return a patch that `parse` reads, and the list of repairs.

        A good patch is returned unchanged, without repairs. Repaired are: counts in hunk headers, missing hunk headers
        and line numbers, blank context lines, ``index`` and ``diff --git`` lines, line ends, colour codes, Markdown
        code blocks, indentation; Codex's ``apply_patch`` format and search/replace blocks become a diff. *base* is the
        checkout that the patch is for: hunks without line numbers are found there by their lines, which must be in the
        file once. *strip* and *directory* are those of `parse`.

        Raises `PatchError` with the line of what cannot be repaired, or could be in several ways.
        """
        from .repair import repair
        from .strip_level import naming_for

        return repair(
            to_bytes(text),
            lambda data: Patch.parse(data, strip=strip, directory=directory),
            lambda data: naming_for(data, strip=strip, directory=directory),
            base,
        )

    def _proved(self) -> tuple[FileChange, ...]:
        files = self._read(prove=True)
        if not files and not (not self._data or self._data.isspace()):
            raise PatchError("line 1: there is no diff in this text", line=1, remedy="pass the output of git diff")
        return files

    def _read(self, *, prove: bool) -> tuple[FileChange, ...]:
        from . import scan
        from .file_change import FileChange
        from .strip_level import Naming

        data = self._data
        naming = self._naming = self._naming or Naming(data=data)
        return tuple([FileChange(data, *place, naming) for place in scan.scan(data, prove=prove, naming=naming)])

    def _repr_markdown_(self) -> str:
        """Return it as a notebook shows it: its summary and its diff, in code blocks."""
        from .notebook_text import of_patch

        return of_patch(self._data, lambda: self.files)

    def __bytes__(self) -> bytes:
        return self._data

    def __str__(self) -> str:
        return self._data.decode("utf-8", "surrogateescape")

    def __repr__(self) -> str:
        return f"<Patch of {len(self._data)} bytes>"

    def __len__(self) -> int:
        return len(self._data)

    def __bool__(self) -> bool:
        return bool(self._data)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Patch) and self._data == other._data and self._choice == other._choice

    def __hash__(self) -> int:
        return hash(self._data)

    def __reduce__(self) -> tuple[object, ...]:
        return Patch._named, (self._data, self._naming)

    @classmethod
    def _named(cls, data: bytes, naming: Naming | None) -> Patch:
        patch = cls(data)
        patch._naming = naming
        return patch

    @property
    def _choice(self) -> tuple[int | None, bytes]:
        return (self._naming.strip, self._naming.directory) if self._naming else (None, b"")

    @property
    def files(self) -> tuple[FileChange, ...]:
        """Return the changes in the diff's order; a mail series or a type change may repeat a path.

        Raises `PatchError` where the diff cannot be read.
        """
        if self._files is None:
            self._files = self._read(prove=False)
        return self._files

    def at(self, path: str) -> tuple[FileChange, ...]:
        """Return every change of *path*, by its old or its new name."""
        return tuple(change for change in self.files if path in (change.new_path, change.old_path))

    @property
    def stats(self) -> PatchStats:
        """Return how many files and lines change, in all and per language."""
        from .patch_stats import count

        return count(self.files)

    def select(self, *, include: Iterable[str] = (), exclude: Iterable[str] = ()) -> Patch:
        """Return the changes whose path matches *include* (all, when empty) and not *exclude*.

        Patterns are git's: ``*`` stays within a directory, ``**`` does not, a name without ``/`` matches at any
        depth, and a directory means all files below it. The text between the files is dropped.
        """
        from .path_patterns import matcher

        is_wanted = matcher(include=include, exclude=exclude)
        data = b"".join(bytes(change) for change in self.files if is_wanted(change))
        return Patch._named(data, self._naming)

    def reverse(self) -> Patch:
        """Return the patch that takes this one back, as git would write it.

        Raises `PatchError` for copies, merges and binary patches without a way back.
        """
        from .render_patch import render

        return Patch(b"".join(render(change, reverse=True) for change in reversed(self.files)))

    def verify(self, *, base: str | os.PathLike[str] | None = None, policy: Policy | None = None) -> VerifiedPatch:
        """Check the patch against a policy, and against the checkout *base* if one is given.

        Raises `PatchRejectedError` with the findings the policy rejects, `PatchError` where it cannot be read.
        """
        from .verify import verify

        return verify(self._proved(), base=base, policy=policy)


def to_bytes(text: bytes | str) -> bytes:
    """Return *text* as bytes. Raises `PatchError` for half of a surrogate pair."""
    if isinstance(text, bytes):
        return text
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        raise PatchError(f"line {line}: half of a surrogate pair is no text", line=line) from None
