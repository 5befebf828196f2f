"""Where symbolic links lead once a patch is applied.

Guarantees: a link that the patch makes, and a link of the checkout that the patch redirects, stays inside the tree and
out of ``.git``, also when it passes through other links. It is resolved twice, as Linux does it (exact names, ``/``) and
as Windows and macOS do it (names folded, ``/`` and a backslash), and has to stay inside both times.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from ..errors import PatchRejectedError
from .disk_errors import UNCHANGED
from .path_rules import folded, is_absolute, is_git_directory, is_inside, parents
from .policy import Finding
from .work_tree import read_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence

    from .checkout import Entry
    from .file_change import FileChange

    Suspicion = tuple[str, str, int | None, str]

LINK = 0o120000
_TYPE_BITS = 0o170000

# More links on one way than any system follows: 40 on Linux (path_resolution(7)), 32 on macOS, 63 on Windows
# (learn.microsoft.com, "Reparse Points"). Such a path is an error there and leads nowhere.
_MOST_LINKS = 64

_DETAIL = "once the patch is applied, the symbolic link points out of the tree"
_SLASH, _BOTH_SLASHES = re.compile("/"), re.compile(r"[/\\]")


class LinkTree:
    """The symbolic links of a tree: *links* by path, and under *root* those on the disk except at *gone*."""

    def __init__(self, links: Mapping[str, str], *, root: str | None = None, gone: Container[str] = ()) -> None:
        self._links = links
        self._folded = {folded(path): target for path, target in links.items()}
        self._root = root
        self._gone = gone

    def leads_outside(self, path: str, target: str) -> bool:
        """Whether a link at *path* to *target* ends or passes outside of the tree, or in ``.git``."""
        return self._escapes(path, target, self._read, _SLASH) or self._escapes(
            path, target, self._read_folded, _BOTH_SLASHES
        )

    def _read(self, path: str) -> str | None:
        if path in self._links:
            return self._links[path]
        if self._root is None or path in self._gone or "\0" in path:
            return None
        try:
            return os.readlink(os.path.join(self._root, path))
        except OSError:
            return None

    def _read_folded(self, path: str) -> str | None:
        return self._folded.get(folded(path)) or self._read(path)

    @staticmethod
    def _escapes(path: str, target: str, read: Callable[[str], str | None], separator: re.Pattern[str]) -> bool:
        done, pending, links = path.split("/")[:-1], [target], 1
        while pending:
            first, *rest = separator.split(pending.pop(), maxsplit=1)
            pending += rest
            if first == ".." and not done:
                return True
            if first == "..":
                done.pop()
            if first in ("", ".", ".."):
                continue
            if is_git_directory(first):
                return True
            done.append(first)
            if (other := read("/".join(done))) is None:
                continue
            if is_absolute(other):
                return True
            done.pop()
            pending.append(other)
            links += 1
            if links > _MOST_LINKS:
                return False
        return False


def of_patch(changes: Sequence[FileChange], target_of: Callable[[FileChange], str | None]) -> Iterator[Suspicion]:
    """Yield what is wrong with the links and the paths of a patch taken together; *target_of* reads a link."""
    new_links = _made(changes, target_of)
    if not any(_is_link(change) for change in changes):
        return
    tree = LinkTree(new_links)
    for path, target in new_links.items():
        if not is_absolute(target) and tree.leads_outside(path, target):
            yield "symlink-outside", path, None, "the symbolic link points out of the tree"
    yield from _through(changes, {change.path for change in changes if _is_link(change)})


def of_checkout(
    changes: Sequence[FileChange],
    target_of: Callable[[FileChange], str | None],
    root: str,
    entries: Mapping[str, Entry],
) -> Iterator[Suspicion]:
    """Yield the same for a patch that is applied to the checkout at *root*, whose index has *entries*."""
    tracked = tuple(path for path, entry in entries.items() if entry.mode == LINK)
    new_links = _made(changes, target_of) | dict(_moved(changes, root))
    gone = {path for change in changes for path in change.paths} - new_links.keys()
    for path in escaping(root, new_links, gone, tracked):
        yield "symlink-outside", path, None, _DETAIL
    new = {change.new_path for change in changes if change.new_path is not None}
    removed = gone - new
    links = new_links.keys() | (set(tracked) - gone)
    for path, link in collisions(links, new_links, (entries.keys() - removed) | new, new):
        yield "through-symlink", path, None, f"on some systems it goes through the symbolic link {link}"


def collisions(
    links: Collection[str], new_links: Container[str], paths: Iterable[str], changed: Container[str]
) -> Iterator[tuple[str, str]]:
    """Yield the *paths* that a file system which folds names takes for one of *links* or for a path below it.

    Only changes of the patch count: the link is in *new_links*, or the path *changed*, by it.
    """
    known = {folded(link): link for link in links}
    for path in paths if known else ():
        for each in (path, *parents(path)):
            link = known.get(folded(each))
            if link is not None and link not in (each, path) and (link in new_links or path in changed):
                yield path, link


def escaping(root: str, new_links: Mapping[str, str], gone: Container[str], tracked: Iterable[str]) -> list[str]:
    """Return the links that lead out of the tree at *root* after a change, and did not before.

    *new_links* are the links that are new or changed, *gone* the paths that are links no more, *tracked* the links that were
    there.
    """
    if not new_links and not any(path in gone for path in tracked):
        return []
    before = {path: target for path in tracked if (target := _target_at(root, path)) is not None}
    kept = {path: target for path, target in before.items() if path not in gone and path not in new_links}
    return _newly_outside(
        new_links, kept, LinkTree(before, root=root), LinkTree({**kept, **new_links}, root=root, gone=gone)
    )


def escaping_in_git(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return the same for the links of two commits."""
    kept = {path: target for path, target in after.items() if before.get(path) == target}
    new_links = {path: target for path, target in after.items() if path not in kept}
    return _newly_outside(new_links, kept, LinkTree(before), LinkTree(after))


def _newly_outside(new_links: Mapping[str, str], kept: Mapping[str, str], old: LinkTree, new: LinkTree) -> list[str]:
    wrong = [path for path, target in new_links.items() if is_absolute(target) or new.leads_outside(path, target)]
    return wrong + [
        path
        for path, target in kept.items()
        if not is_absolute(target) and new.leads_outside(path, target) and not old.leads_outside(path, target)
    ]


def check_links(escaped: Iterable[str], collided: Iterable[tuple[str, str]]) -> None:
    """Raise `PatchRejectedError` for links that would lead out of the tree, and paths that would go through links."""
    reasons = [Finding(rule="symlink-outside", path=path, detail=_DETAIL) for path in escaped]
    detail = "on some systems it goes through the symbolic link"
    reasons += [Finding(rule="through-symlink", path=path, detail=f"{detail} {link}") for path, link in collided]
    if reasons:
        raise PatchRejectedError(str(reasons[0]), reasons=reasons, remedy=UNCHANGED)


def _target_at(root: str, path: str) -> str | None:
    """Return where the link at *path* leads; without core.symlinks it is a plain file with the target."""
    data = read_plain(os.path.join(root, path))
    return None if data is None else os.fsdecode(data)


def _is_link(change: FileChange) -> bool:
    return change.new_path is not None and (change.new_mode or 0) & _TYPE_BITS == LINK


def _made(changes: Iterable[FileChange], target_of: Callable[[FileChange], str | None]) -> dict[str, str]:
    links = {change.new_path: target_of(change) for change in changes if _is_link(change)}
    return {path: target for path, target in links.items() if path is not None and target is not None}


def _moved(changes: Iterable[FileChange], root: str) -> Iterator[tuple[str, str]]:
    """Yield the links that only move: the diff does not show their target."""
    for change in changes:
        old, new = change.old_path, change.new_path
        if old is None or new is None or old == new or change.hunks or not is_inside(old):
            continue
        path = os.path.join(root, old)
        if os.path.islink(path):
            yield new, os.readlink(path)


def _through(changes: Iterable[FileChange], links: Collection[str]) -> Iterator[Suspicion]:
    """Yield the paths that a file system which ignores case, or Unicode's forms, takes for one of *links* or below."""
    known = {folded(link): link for link in links}
    for change in changes:
        new = change.new_path
        if new is None:
            continue
        if any(folded(parent) in known for parent in parents(new)):
            yield "through-symlink", new, None, "the path goes through a symbolic link"
        if (link := known.get(folded(new))) is not None and link not in (new, change.old_path):
            yield "through-symlink", new, None, f"on some systems this is the symbolic link {link}"
