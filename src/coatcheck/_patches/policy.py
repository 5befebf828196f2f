"""The rules of patches by name, and which of them reject a patch or warn.

* The rules in `ALWAYS` keep a patch inside its tree. No policy can loosen them.
* ``too-large`` rejects unless a policy ignores it.
* Every other rule warns, unless a policy makes it reject or ignores it.
* `STRICT` are the rules that a strict policy rejects as well: those about what a reader would not notice or expect. What
  many ordinary commits do (binary files, lock files, programs, many lines) only warns there too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from .._values.value import JsonFields, Value
from ..errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RULES = {
    "outside": "a path leaves the tree, is absolute or empty, or cannot be a path",
    "git-directory": "a path leads into .git, also by names that a file system treats as .git (`.GIT`, `git~1`)",
    "symlink-outside": "a symbolic link points out of the tree, into .git, or where it cannot be read",
    "through-symlink": "a path goes through a symbolic link",
    "merge": "the diff of a merge, which cannot be applied",
    "too-large": "more would be written than the limits of the policy allow, in a file or in all",
    "binary": "a binary file",
    "binary-without-content": "a binary file that changes, with no content to apply",
    "symlink": "a symbolic link is created or changed",
    "submodule": "a submodule is moved to another commit",
    "mode": "a mode that git does not support",
    "executable": "a file becomes executable",
    "automation": "a file that programs run or read automatically: CI, hooks, coding agents, editors, package managers, wrappers",
    "lock-file": "a file that pins what gets installed",
    "secret": "something that looks like a token or a private key",
    "bidirectional": "a character that changes the order in which text is shown, in a name or in what is added",
    "invisible": "an invisible character or a control character, in a name or in what is added",
    "large-file": "more is added to a file than people usually write by hand",
    "rewrite": "every line of a file is replaced",
    "windows-name": "a name that is invalid on Windows, or is a device there",
    "same-name": "two paths that differ only in case or in Unicode's form",
    "misfit": "a hunk that does not fit the file it is for",
}

ALWAYS = frozenset({"outside", "git-directory", "symlink-outside", "through-symlink", "merge"})

# Rejected unless ignored.
REFUSED = frozenset({"too-large"})

# Of the 153 commits of this repository until November 2026 these rules reject two (1 in 75).
STRICT = RULES.keys() - {"binary", "lock-file", "large-file", "rewrite", "executable", "misfit"}

# pre-commit's check-added-large-files warns from here (its --maxkb=500).
LARGE_FILE = 500 * 1024
# GitHub warns of files above 50 MiB (docs.github.com, "About large files on GitHub").
LARGEST_FILE = 50 * 1024 * 1024
# All files of a patch together; four of the largest.
LARGEST_TOTAL = 4 * LARGEST_FILE


class Finding(Value, frozen=True, kw_only=True):
    """A rule that a patch breaks. `line` is 1-based, in the file; None for the whole file."""

    rule: str
    path: str
    line: int | None = None
    severity: Literal["warn", "reject"] = "reject"
    detail: str

    _json: ClassVar[JsonFields] = {
        "rule": "the rule that it breaks",
        "path": "the file",
        "line": "the line, from 1; null for the whole file",
        "severity": '"warn" or "reject"',
        "detail": "what is wrong",
    }

    def __str__(self) -> str:
        place = self.path if self.line is None else f"{self.path}:{self.line}"
        return f"{place}: {self.detail} ({self.rule})"


class Policy:
    """Which rules reject a patch and which are ignored; the others warn. Immutable.

    Sizes are in bytes of the result, not of the patch: the rule ``large-file`` finds a file of which more than
    *large_file* is added, ``too-large`` one of which more than *largest_file* would be written, or *largest_total* in all.
    """

    __slots__ = ("ignored", "large_file", "largest_file", "largest_total", "rejected")

    _json: ClassVar[JsonFields] = {
        "reject": ("the rules that reject a patch", lambda p: sorted(p.rejected)),
        "ignore": ("the rules that are not checked", lambda p: sorted(p.ignored)),
        "large_file": "the added bytes from which a file is found by `large-file`",
        "largest_file": "the most bytes that a file may have",
        "largest_total": "the most bytes that all files may have",
    }
    _details: ClassVar[frozenset[str]] = frozenset()

    def __init__(
        self,
        *,
        reject: Iterable[str] = (),
        ignore: Iterable[str] = (),
        large_file: int = LARGE_FILE,
        largest_file: int = LARGEST_FILE,
        largest_total: int = LARGEST_TOTAL,
    ) -> None:
        """Raise `ConfigurationError` for rules that do not exist and for loosening those of `ALWAYS`."""
        self.ignored = frozenset(ignore)
        self.rejected = frozenset(reject) | ALWAYS | (REFUSED - self.ignored)
        self.large_file, self.largest_file, self.largest_total = large_file, largest_file, largest_total
        if unknown := sorted((self.rejected | self.ignored) - RULES.keys()):
            raise ConfigurationError(f"there is no rule {unknown[0]!r}", remedy=f"the rules are {', '.join(RULES)}")
        if fixed := sorted(self.ignored & ALWAYS):
            raise ConfigurationError(
                f"the rule {fixed[0]!r} cannot be switched off", remedy="it keeps patches inside the tree"
            )

    @classmethod
    def default(cls) -> Policy:
        """Refuse what escapes the tree or is too large, warn about the rest."""
        return cls()

    @classmethod
    def strict(cls) -> Policy:
        """Refuse what the rules of `STRICT` find as well."""
        return cls(reject=STRICT)

    def severity(self, rule: str) -> Literal["warn", "reject"] | None:
        """Return "reject", "warn", or None for a rule that is ignored."""
        if rule in self.rejected:
            return "reject"
        return None if rule in self.ignored else "warn"

    def to_dict(self) -> dict[str, object]:
        """Return it as plain data."""
        from .._values.json_fields import document

        return document(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Policy:
        """Return the policy that `to_dict` wrote. Unknown fields are ignored.

        Raises `ConfigurationError` for a field of the wrong type and for rules that do not exist.
        """
        from .._values.json_decode import decode

        return cls(**decode(_PolicyFields, document).given())

    def __repr__(self) -> str:
        rejected, ignored, *sizes = self._key()
        names = ("large_file", "largest_file", "largest_total")
        limits = ", ".join(f"{name}={size}" for name, size in zip(names, sizes, strict=True))
        return f"Policy(reject={sorted(rejected - ALWAYS - REFUSED)}, ignore={sorted(ignored)}, {limits})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Policy) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[frozenset[str], frozenset[str], int, int, int]:
        return self.rejected, self.ignored, self.large_file, self.largest_file, self.largest_total


class _PolicyFields(Value, frozen=True, kw_only=True):
    """The fields of a `Policy` as its JSON form has them."""

    reject: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    large_file: int = LARGE_FILE
    largest_file: int = LARGEST_FILE
    largest_total: int = LARGEST_TOTAL

    def given(self) -> dict[str, Any]:
        """Return them as arguments of `Policy`."""
        return {name: getattr(self, name) for name in self.__struct_fields__}
