"""Find templates: those of a repository in ``.coatcheck/prompts``, then the user's own. Blocks.

Invariants:
- a template of a repository is a regular file inside the folder, opened without following a link, so that it cannot
  name another file of this machine;
- a file in a repository, or in such a folder of another one, is its template also where it is named by a path;
- a name is that of a file without ``.md``; the repository's has precedence over the user's;
- what ends in ``.md`` and cannot be used (a link, a folder, a named pipe, an odd name) is an error, and is not passed
  over; files whose names begin with a dot are no templates.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from .._files.private import CLOSE_ON_EXEC, NO_FOLLOW
from ..errors import ConfigurationError
from .templates import Template, parse_template

REPOSITORY_FOLDER = os.path.join(".coatcheck", "prompts")
MAX_SIZE = 256 * 1024
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Folder(NamedTuple):
    """A folder of templates. One that is not trusted belongs to a repository."""

    path: str
    is_trusted: bool


def template_folders(*, root: str | None, config_folder: str) -> tuple[Folder, ...]:
    """Return the folders to search: of the repository at *root*, and of the user."""
    own = Folder(os.path.join(config_folder, "prompts"), is_trusted=True)
    return (Folder(os.path.join(root, REPOSITORY_FOLDER), is_trusted=False), own) if root else (own,)


def list_names(folders: tuple[Folder, ...]) -> tuple[tuple[str, Folder], ...]:
    """Return the names of all templates with their folders, sorted; of two with one name the first folder's."""
    found: dict[str, Folder] = {}
    for folder in folders:
        for name in _names_in(folder):
            found.setdefault(name, folder)
    return tuple(sorted(found.items()))


def hidden_names(folders: tuple[Folder, ...]) -> frozenset[str]:
    """Return the names of which more than one folder has a template: only that of the first can be named."""
    counts = Counter(name for folder in folders for name in _names_in(folder))
    return frozenset(name for name, count in counts.items() if count > 1)


def load_template(name: str, folders: tuple[Folder, ...]) -> Template:
    """Return the template *name*; a name with a slash or ``.md`` is the path of a file.

    A file in a repository whose folder is in *folders* is not trusted, however it is named. Raises
    `ConfigurationError` that lists the names there are.
    """
    if is_path(name):
        return _load_file(name, folders)
    known = dict(list_names(folders))
    if (folder := known.get(name)) is None:
        names = ", ".join(filter(_NAME.fullmatch, known))
        raise ConfigurationError(
            f"there is no template {name!r}",
            remedy=f"templates here: {names}" if names else f"create {REPOSITORY_FOLDER}/{name}.md",
        )
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} cannot be the name of a template",
            remedy="begin with a letter or digit, and use letters, digits, . _ and -",
        )
    flags = 0 if folder.is_trusted else NO_FOLLOW
    return parse_template(
        _read(os.path.join(folder.path, f"{name}.md"), flags=flags), name=name, is_trusted=folder.is_trusted
    )


def is_path(name: str) -> bool:
    """Whether *name* is the path of a file."""
    return os.sep in name or name.endswith(".md")


def _load_file(path: str, folders: tuple[Folder, ...]) -> Template:
    """Return the template in a file; one of a repository may not be a link to a file outside of it."""
    name = os.path.basename(path).removesuffix(".md")
    roots = [os.path.dirname(os.path.dirname(each.path)) for each in folders if not each.is_trusted]
    root = next((each for each in roots if _is_inside(os.path.abspath(path), os.path.abspath(each))), None)
    real = os.path.realpath(path)
    if root is not None and not _is_inside(real, os.path.realpath(root)):
        raise ConfigurationError(f"{path} is a link out of the repository", remedy="name another template")
    is_of_repository = os.path.dirname(real).endswith(os.sep + REPOSITORY_FOLDER)  # of another one, too
    is_in_root = any(_is_inside(real, os.path.realpath(each)) for each in roots)
    is_trusted = root is None and not is_in_root and not is_of_repository
    return parse_template(_read(path, flags=0 if is_trusted else NO_FOLLOW), name=name, is_trusted=is_trusted)


def _is_inside(path: str, folder: str) -> bool:
    return os.path.commonpath([path, folder]) == folder


def _names_in(folder: Folder) -> Iterator[str]:
    if not folder.is_trusted and _has_link(folder.path):
        return
    with suppress(OSError), os.scandir(folder.path) as entries:
        for entry in entries:
            if entry.name.endswith(".md") and not entry.name.startswith("."):
                yield entry.name.removesuffix(".md")


def _has_link(path: str) -> bool:
    """Whether the folder of a repository's templates, or the one that contains it, is a link."""
    return os.path.islink(path) or os.path.islink(os.path.dirname(path))


def _read(path: str, *, flags: int) -> str:
    """Return the text of a regular file of at most `MAX_SIZE` bytes. Raises `ConfigurationError`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | flags | CLOSE_ON_EXEC)
    except OSError as error:
        if flags and error.errno == errno.ELOOP:
            raise ConfigurationError(f"{path} is a link", remedy="make it a file, or name another template") from None
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}", remedy="name another template") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ConfigurationError(f"{path} is not a file", remedy="name another template")
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(MAX_SIZE + 1)
    if len(data) > MAX_SIZE:
        raise ConfigurationError(f"{path} has more than {MAX_SIZE} bytes", remedy="make the template shorter")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8", remedy="save it as UTF-8") from None
