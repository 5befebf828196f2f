"""Read patches from files and standard input, and compare them; no service is needed.

A command takes a ref or a file: ``-``, an existing path, and a path that begins with ``./``, ``../`` or ``/`` are files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from .. import errors
from .._files.reading import read_named_file

if TYPE_CHECKING:
    from .._model.comparison import Comparison
    from .._model.outcome import Attempt, Outcome
    from .._patches.parse import Patch
    from .._patches.repair_rows import Repair

STDIN = "-"
# Endings of patch files, so that a misspelt name is an error about a file.
_SUFFIXES = (".diff", ".patch")
_PATH_PREFIXES = ("./", "../", "/")


class PatchOptions(NamedTuple):
    """How to read a patch: the options of `Patch.parse`, and whether to repair it first, for the checkout *root*."""

    strip: int | None = None
    directory: str | None = None
    repair: bool = False
    root: str | None = None


class PatchFile(NamedTuple):
    """A patch file: its name as given, its content, and what was repaired in it."""

    name: str
    patch: Patch
    repairs: tuple[Repair, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """The patch as an outcome, which use cases take."""
        from .._model.outcome import Outcome
        from .._patches.patch_stats import DiffStats

        counted = self.patch.stats
        stats = DiffStats(files=counted.files, added=counted.added, removed=counted.removed)
        return Outcome(patch=self.patch, stats=stats)


class FileReview(NamedTuple):
    """Patch files as numbered attempts, and the comparison of their changes."""

    files: Sequence[PatchFile]
    attempts: Sequence[Attempt]
    comparison: Comparison


def is_patch_file(text: str, folder: str) -> bool:
    """Whether *text* names a patch file, relative to *folder*, and not a task; no id ends as a patch file does."""
    if text == STDIN or text.startswith(_PATH_PREFIXES) or (text.endswith(_SUFFIXES) and ":" not in text):
        return True
    return "\0" not in text and os.path.lexists(os.path.join(folder, text))


def read_patch_file(
    name: str, folder: str, *, stdin: Callable[[], bytes], options: PatchOptions | None = None
) -> PatchFile:
    """Read and parse a patch file. Raises `ConfigurationError` where it cannot be read, `PatchError` where it is none."""
    data = stdin() if name == STDIN else _content(name, folder)
    try:
        patch, repairs = read_text(data, options or PatchOptions())
    except errors.PatchError as error:
        raise errors.PatchError(f"{shown(name)}: {error}", line=error.line, remedy=error.remedy) from None
    if not patch.files:
        raise errors.PatchError(f"{shown(name)}: there is no diff in it", remedy="pass the output of git diff")
    return PatchFile(name, patch, repairs)


def read_text(data: bytes, options: PatchOptions) -> tuple[Patch, tuple[Repair, ...]]:
    """Return *data* as a patch, repaired where *options* choose that, and the repairs."""
    from .._patches.parse import Patch

    if options.repair:
        return Patch.repair(data, options.root, strip=options.strip, directory=options.directory)
    try:
        return Patch.parse(data, strip=options.strip, directory=options.directory), ()
    except errors.PatchError as error:
        raise errors.PatchError(
            str(error), line=error.line, remedy=f"{error.remedy or 'correct the diff'}, or read it with repair=True"
        ) from None


def shown(name: str) -> str:
    """Return the name of a patch file for people."""
    return "standard input" if name == STDIN else name


def _content(name: str, folder: str) -> bytes:
    path = os.path.join(folder, name)
    try:
        return read_named_file(path)
    except IsADirectoryError:
        raise errors.ConfigurationError(
            f"{name} is a folder, not a patch file", remedy="pass a file or a ref"
        ) from None
    except FileNotFoundError:
        raise errors.ConfigurationError(f"there is no file {name}", remedy="correct the path") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise errors.ConfigurationError(f"{name} cannot be read: {reason}", remedy="check its permissions") from None


def review_files(files: Sequence[PatchFile]) -> FileReview:
    """Compare patch files as if each were an attempt, numbered from 1."""
    from .._model.comparison import compare_attempts
    from .._model.outcome import Attempt
    from .._model.states import TaskState

    attempts = [
        Attempt(id=file.name, placement=number, state=TaskState.SUCCEEDED, outcome=file.outcome)
        for number, file in enumerate(files)
    ]
    return FileReview(files, attempts, compare_attempts(attempts))


def commit_message(file: PatchFile) -> str:
    """Return a message for the commit of a patch file: its mail's subject and text, else one that names the file."""
    from .._patches.diffstat import summary

    mailed = _mailed_message(bytes(file.patch))
    if mailed is not None:
        return mailed
    name = "a patch" if file.name == STDIN else os.path.basename(file.name)
    return f"Apply {name}\n\n{summary(file.patch.files).strip()}\n"


def _mailed_message(data: bytes) -> str | None:
    """Return subject and text of a mail as ``git format-patch`` writes it, None for anything else and for a series."""
    import re

    data = data.removeprefix(b"\xef\xbb\xbf")
    if (
        not data.startswith(b"From ")
        or len(re.findall(rb"^From [0-9a-f]{40,64} \w{3} \w{3} ", data, re.MULTILINE)) != 1
    ):
        return None
    from email import message_from_bytes, policy

    mail = message_from_bytes(data.partition(b"\n")[2], policy=policy.default)
    subject = re.sub(r"\A(?:\[[^\]]*\]\s*)+", "", " ".join(str(mail.get("Subject", "")).split()))
    try:
        text = str(mail.get_content()) if mail.get_content_maintype() == "text" else ""
    except (LookupError, KeyError):
        text = ""
    body = re.split(r"^---\r?$", text, maxsplit=1, flags=re.MULTILINE)[0].strip()
    return f"{subject}\n\n{body}".strip() + "\n" if subject else None
