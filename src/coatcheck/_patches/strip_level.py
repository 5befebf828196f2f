"""Read a path from a name in a diff: strip level, prefixes, and a directory in front.

* With ``strip=N`` the first N components are removed, as ``git apply -pN`` does it (apply.c, ``find_name_common``).
* Without it a prefix is what git writes (``a/ b/``, ``i/ w/ c/ o/``) or what two names of a header differ in, here or
  in another file of the same diff. A name that shows neither is whole, and marked as a guess, which a checkout may correct.
"""

from __future__ import annotations

import re

from ..errors import ConfigurationError, PatchError
from . import quoted_names

# diff.mnemonicPrefix: index, work tree, commit, object (git's manual of `git config`).
_MNEMONIC = (b"a/", b"b/", b"i/", b"w/", b"c/", b"o/")
_PAIR = re.compile(rb"^--- ([^\n]+)\n\+\+\+ ([^\n]+)\n(?=@@ -)", re.MULTILINE)


class Naming:
    """How the names of one diff are read. `strip` is None where the diff decides.

    `is_settled` means that a tree decided: then ``./`` is no component, and renames are stripped like other names.
    """

    __slots__ = ("_data", "_prefixes", "directory", "is_settled", "strip")

    def __init__(
        self, strip: int | None = None, directory: bytes = b"", *, data: bytes = b"", is_settled: bool = False
    ) -> None:
        self.strip = strip
        self.directory = directory
        self.is_settled = is_settled
        self._data = data
        self._prefixes: tuple[bytes, ...] | None = None

    def __reduce__(self) -> tuple[object, ...]:
        return Naming._rebuilt, (self.strip, self.directory, self.prefixes, self.is_settled)

    @classmethod
    def _rebuilt(cls, strip: int | None, directory: bytes, prefixes: tuple[bytes, ...], *settled: bool) -> Naming:
        naming = cls(strip, directory, is_settled=any(settled))
        naming._prefixes = prefixes
        return naming

    @property
    def is_default(self) -> bool:
        """Whether names are read unchanged except for their prefixes."""
        return self.strip is None and not self.directory

    @property
    def prefixes(self) -> tuple[bytes, ...]:
        """Return the prefixes that this diff uses."""
        if self._prefixes is None:
            self._prefixes = (*_MNEMONIC, *_learned(self._data)) if self.strip is None else ()
        return self._prefixes

    def one(self, name: bytes) -> tuple[bytes, bool]:
        """Return the path that one name means alone, and whether that is uncertain."""
        if self.strip is not None:
            return self.stripped(name, self.strip), False
        clean = _clean(name)
        for prefix in self.prefixes:
            if clean.startswith(prefix) and len(clean) > len(prefix):
                return clean[len(prefix) :], False
        return clean, True

    def pair(self, old: bytes, new: bytes) -> tuple[bytes, bool] | None:
        """Return the one path that two names mean, None where they mean two."""
        if self.strip is not None:
            left, right = self.stripped(old, self.strip), self.stripped(new, self.strip)
            return (left, False) if left == right else None
        old, new = _clean(old), _clean(new)
        path = quoted_names.common_path(old, new)
        if path is None:
            return None
        if old != new:
            return path, False
        learned = self.prefixes[len(_MNEMONIC) :]
        return next(((path[len(each) :], False) for each in learned if path.startswith(each)), (path, True))

    def moved(self, name: bytes) -> bytes:
        """Return the path that a name of ``rename from`` and the like means."""
        if self.strip is None:
            return name
        # git writes these names without a/ and b/ (apply.c, gitdiff_renamesrc).
        return self.stripped(name, self.strip if self.is_settled else max(self.strip - 1, 0))

    def placed(self, path: bytes | None) -> bytes | None:
        """Return *path* below the chosen directory, with one slash for several (apply.c, ``squash_slash``)."""
        while path is not None and b"//" in path:
            path = path.replace(b"//", b"/")
        return self.directory + b"/" + path if path is not None and self.directory else path

    def stripped(self, name: bytes, level: int) -> bytes:
        """Return *name* without its first *level* components. Raises `PatchError` where it has too few."""
        rest = _clean(name) if self.is_settled else name
        for _ in range(level):
            _, slash, rest = rest.partition(b"/")
            if not slash or not rest:
                raise PatchError(
                    f"the name {quoted_names.to_text(name)} has fewer than {level + 1} components; use a lower -p"
                )
        return rest


DEFAULT = Naming()


def naming_for(data: bytes, *, strip: int | None, directory: str | None) -> Naming:
    """Return how the names of *data* are read. Raises `ConfigurationError` for a level or directory that is none."""
    if strip is not None and (isinstance(strip, bool) or strip < 0):
        raise ConfigurationError(f"strip={strip!r} is not a number of components", remedy="pass 0 or more")
    folder = (directory or "").encode("utf-8", "surrogateescape").strip(b"/" if directory != "/" else b"")
    if (directory or "").startswith("/") or b".." in folder.split(b"/"):
        raise ConfigurationError(f"directory {directory!r} is outside of the tree", remedy="pass a path inside of it")
    return Naming(strip, b"" if folder == b"." else folder.removeprefix(b"./"), data=data)


def _clean(name: bytes) -> bytes:
    """Remove leading ``./``."""
    while name.startswith(b"./"):
        name = name[2:]
    return name


def _learned(data: bytes) -> list[bytes]:
    """Return the first components that the two names of a header differ in, in all headers of *data*."""
    prefixes: dict[bytes, None] = {}
    for match in _PAIR.finditer(data):
        try:
            old, new = (
                _clean(quoted_names.whole_name(quoted_names.spelling_before_time(text))) for text in match.groups()
            )
        except PatchError:  # two lines of a hunk that only look like a header
            continue
        if old == new or quoted_names.NO_FILE in (old, new):
            continue
        if old.partition(b"/")[2] == new.partition(b"/")[2] != b"":
            prefixes |= dict.fromkeys((old.partition(b"/")[0] + b"/", new.partition(b"/")[0] + b"/"))
    return list(prefixes)
