"""Disk errors as `PatchConflictError`: full, read-only, over a quota, no permission.

Guarantees: applying, committing and undoing a patch raise a `PatchConflictError` that names the file and the reason,
and never takes a git that could not write for a patch that does not fit.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from typing import TYPE_CHECKING

from ..errors import PatchConflictError
from .git import GitError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_REASONS = {
    code: os.strerror(code)
    for code in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENOMEM)
}
# git ends its messages with strerror's words, here those of the C locale.
_NO_STORAGE = re.compile("|".join(map(re.escape, (*_REASONS.values(), "Out of diskspace"))))
_NO_PERMISSION = re.compile(
    rf"unable to (?:write|create|unlink|remove).*{os.strerror(errno.EACCES)}|insufficient permission for adding an object"
)

UNCHANGED = "everything is as it was"


@contextlib.contextmanager
def named_errors(what: str) -> Iterator[None]:
    """Raise `PatchConflictError` in place of an `OSError`, and of a git that could not write: *what* and the reason."""
    try:
        yield
    except GitError as error:
        if reason := git_could_not_write(error):
            raise PatchConflictError(f"{what}: {reason}", remedy=UNCHANGED) from error
        raise
    except OSError as error:
        raise refused(what, error) from error


def refused(what: str, error: OSError, *, remedy: str = UNCHANGED, files: Sequence[str] = ()) -> PatchConflictError:
    """Return the error for a failed disk operation."""
    name = error.filename2 or error.filename  # the second is where a file was moved to
    place = f"{os.fsdecode(name)}: " if isinstance(name, str | bytes) else ""
    return PatchConflictError(f"{what}: {place}{error.strerror or error}", remedy=remedy, files=files)


def git_could_not_write(error: GitError) -> str | None:
    """Return the line in which git reports that it could not write, None for another error."""
    if error.was_killed:  # by SIGXFSZ, where files may not grow
        return error.was_killed
    for line in error.stderr.splitlines():
        if _NO_STORAGE.search(line) or _NO_PERMISSION.search(line):
            return line.partition(": ")[2] or line
    return None
