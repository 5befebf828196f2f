"""Rules about paths that need no file system.

git guards ``.git`` against what Windows (``is_ntfs_dotgit``), macOS (``is_hfs_dotgit``) and Linux make of a name
(path.c, utf8.c), each on its own system. A patch travels, so all guards hold everywhere.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# A path that matches breaks no rule: plain letters, no component that starts with a dot or ends with one.
_ORDINARY = re.compile(r"[\w+@=,-](?:[\w+@=, .-]*[\w+@=,-])?(?:/[\w+@=,-](?:[\w+@=, .-]*[\w+@=,-])?)*", re.ASCII)

_SEPARATORS = re.compile(r"[/\\]")
_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

# utf8.c, next_hfs_char: the code points that HFS+ ignores in a name.
_IGNORED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")

# path.c, is_ntfs_dotgit: NTFS drops trailing blanks and dots, reads `:` as the start of a stream, and also has .git by
# its short name.
_NTFS_GIT = re.compile(r"(?:\.git|git~\d+)(?:[ .]*(?::.*)?)", re.IGNORECASE | re.DOTALL)

# learn.microsoft.com, "Naming Files, Paths, and Namespaces".
_DEVICE = re.compile(
    r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(?:[.:].*)?", re.IGNORECASE | re.DOTALL
)
# NTFS drops them: a stream's name, and blanks and dots at the end of a name.
_NTFS_REST = re.compile(r"(?:[ .]*:[^/]*|[ .]+)(?=/|\Z)")
_DANGEROUS = frozenset({"outside", "git-directory"})
_NOT_ON_WINDOWS = re.compile(r'[<>:"|?*\\\x00-\x1f]|[ .]\Z')


def is_ordinary(path: str) -> bool:
    """Whether *path* is so plain that only its device names need a look."""
    return _ORDINARY.fullmatch(path) is not None


def problems(path: str) -> Iterator[tuple[str, str]]:
    """Yield rule and detail for everything that is wrong with *path*."""
    parts = _SEPARATORS.split(path)
    if _is_outside(path, parts):
        yield "outside", "the path leaves the tree"
    if any(map(is_git_directory, parts)):
        yield "git-directory", "the path leads into .git"
    if any(_DEVICE.fullmatch(part) or _NOT_ON_WINDOWS.search(part) for part in path.split("/")):
        yield "windows-name", "Windows cannot have this name"


def device_problems(path: str) -> Iterator[tuple[str, str]]:
    """Yield what may still be wrong with an ordinary path."""
    if any(_DEVICE.fullmatch(part) for part in path.split("/")):
        yield "windows-name", "Windows takes this name for a device"


def _is_outside(path: str, parts: list[str]) -> bool:
    is_absolute = path.startswith(("/", "\\")) or _DRIVE.match(path) is not None
    return is_absolute or "\0" in path or any(part in ("", ".", "..") for part in path.split("/")) or ".." in parts


def is_git_directory(part: str) -> bool:
    """Whether any system takes *part* for ``.git``."""
    plain = _IGNORED.sub("", unicodedata.normalize("NFKC", part))
    return _NTFS_GIT.fullmatch(plain) is not None or plain.casefold() == ".git"


def folded(path: str) -> str:
    """Return what a file system that ignores case and Unicode's forms makes of *path*.

    It also leaves out what such systems do: the characters that HFS+ ignores, and NTFS's trailing blanks, dots and
    streams.
    """
    if path.isascii():
        name = path.lower()
    else:
        plain = unicodedata.normalize("NFKD", _IGNORED.sub("", path)).casefold()
        name = unicodedata.normalize("NFKD", plain)
    return _NTFS_REST.sub("", name)


def is_absolute(target: str) -> bool:
    """Whether a symbolic link to *target* leads away from where it is on some system: an absolute or an empty path."""
    return not target or target.startswith(("/", "\\")) or _DRIVE.match(target) is not None or "\0" in target


def is_inside(path: str) -> bool:
    """Whether *path* can only be a path inside of a tree, and not in ``.git``."""
    return is_ordinary(path) or not any(rule in _DANGEROUS for rule, _ in problems(path))


def leads_outside(path: str, target: str) -> bool:
    """Whether a symbolic link at *path* to *target* points out of the tree or into ``.git``."""
    if is_absolute(target):
        return True
    depth = path.count("/")
    for part in _SEPARATORS.split(target):
        depth += -1 if part == ".." else part not in ("", ".")
        if depth < 0 or is_git_directory(part):
            return True
    return False


def parents(path: str) -> Iterator[str]:
    """Yield the folders above *path*, the nearest first."""
    while cut := path.rfind("/") + 1:
        path = path[: cut - 1]
        yield path
