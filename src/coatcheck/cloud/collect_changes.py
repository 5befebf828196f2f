"""What an agent made of its clone: a diff, the changed files, the subject of its last commit.

Law: the agent's ``.git`` is not used to look at its work. The work tree is read through a git directory of our own,
in whose configuration no filter, textconv or external diff exists, so attributes that name one run nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping

from .._model.value import Value
from .git import WorkspaceError
from .models import CloudFile
from .workspace import BASE, Workspace

# A diff beyond this is nobody's review any more; it is also what our own server takes as a body.
MAX_DIFF = 64 * 1024 * 1024
# The service shows parts of changed files; whole ones up to these sizes are enough to look at.
MAX_FILES, MAX_FILE, MAX_SNAPSHOT = 100, 256 * 1024, 2 * 1024 * 1024


class Changes(Value, frozen=True, kw_only=True):
    """What an agent made."""

    diff: str = ""
    files: tuple[CloudFile, ...] = ()
    subject: str | None = None


def harvest(workspace: Workspace) -> Changes:
    """Return everything the agent changed, committed or not. Raises `WorkspaceError` where that cannot be told."""
    if workspace.work.is_symlink() or not workspace.work.is_dir():
        raise WorkspaceError("workspace_gone", "the agent removed its own clone")
    return _Harvest(workspace).collect()


class _Change(Value, frozen=True, kw_only=True):
    """A file that differs; `old` and `new` are blobs, "" where there is none."""

    path: bytes
    old: str
    new: str


class _Harvest:
    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._git = workspace.git
        self._here = ("--git-dir", workspace.base)
        self._inside = ("-C", workspace.work, "--git-dir", workspace.base, "--work-tree", workspace.work)
        self._index = {"GIT_INDEX_FILE": str(workspace.folder / "result-index")}

    def collect(self) -> Changes:
        subject = self._last_subject()
        self._git.run(*self._here, "read-tree", BASE, environ=self._index)
        # trouble with one file (a nested repository without commits, an unreadable file) must not lose the others
        self._git.run(*self._inside, "add", "--all", "--ignore-errors", ".", environ=self._index, check=False)
        if paths := b"\0".join(self._committed_although_ignored()):
            add = ("add", "--force", "--ignore-errors", "--pathspec-from-file=-", "--pathspec-file-nul")
            self._git.run(
                *self._inside, *add, input=paths, environ={**self._index, "GIT_LITERAL_PATHSPECS": "1"}, check=False
            )
        changes = tuple(self._changes())
        return Changes(diff=self._diff(changes), files=tuple(self._snapshots(changes)), subject=subject)

    def _committed_although_ignored(self) -> Iterator[bytes]:
        """Return what is in the agent's index and still there, but not in ours."""
        ours = set(self._listed(self._index))
        work = os.fsencode(self._workspace.work)
        for path in self._listed({"GIT_INDEX_FILE": str(self._workspace.work / ".git" / "index")}):
            if path not in ours and os.path.lexists(os.path.join(work, path)):
                yield path

    def _listed(self, index: Mapping[str, str]) -> Iterable[bytes]:
        listed = self._git.run(*self._here, "ls-files", "-z", environ=index, check=False).stdout
        return filter(None, listed.split(b"\0"))

    def _changes(self) -> Iterator[_Change]:
        """Return every changed file that is neither a link nor a submodule."""
        command = ("diff", "--cached", "--raw", "--no-abbrev", "--no-renames", "-z", BASE)
        fields = iter(self._git.run(*self._here, *command, environ=self._index).stdout.split(b"\0"))
        for head in filter(None, fields):
            old_mode, new_mode, old, new, _ = head.decode().lstrip(":").split(" ")
            is_file = (old_mode.startswith("100"), new_mode.startswith("100"))
            yield _Change(path=next(fields), old=old if is_file[0] else "", new=new if is_file[1] else "")

    def _diff(self, changes: Iterable[_Change]) -> str:
        try:
            return self._read_diff().decode()
        except UnicodeDecodeError:
            return self._diff_with_binaries(changes)

    def _read_diff(self) -> bytes:
        command = (
            "diff",
            "--cached",
            "--binary",
            "--full-index",
            "--no-ext-diff",
            "--no-textconv",
            "--no-color",
            "--find-renames",
            BASE,
        )
        diff = self._git.read_capped(*self._here, *command, limit=MAX_DIFF, environ=self._index)
        if diff is None:
            raise WorkspaceError("diff_too_large", f"the agent's changes are more than {MAX_DIFF // 2**20} MiB of diff")
        return diff

    def _diff_with_binaries(self, changes: Iterable[_Change]) -> str:
        """Return the diff with every file that is not UTF-8 as a binary patch, since JSON holds no other bytes."""
        attributes = self._workspace.base / "info" / "attributes"
        attributes.parent.mkdir(exist_ok=True)
        attributes.write_bytes(b"".join(b'"%s" -diff\n' % quoted(path) for path in self._not_utf8(changes)))
        return self._read_diff().decode("utf-8", "replace")

    def _not_utf8(self, changes: Iterable[_Change]) -> Iterator[bytes]:
        for change in changes:
            if not all(is_utf8(self._blob(blob)) for blob in (change.old, change.new) if blob):
                yield change.path

    def _blob(self, id: str) -> bytes:
        return self._git.run(*self._here, "cat-file", "blob", id).stdout

    def _snapshots(self, changes: Iterable[_Change]) -> Iterator[CloudFile]:
        shown = [change for change in changes if change.new][:MAX_FILES]
        sizes = self._sizes([change.new for change in shown])
        room = MAX_SNAPSHOT
        for change, size in zip(shown, sizes, strict=True):
            path = change.path.decode("utf-8", "replace")
            if size > min(MAX_FILE, room):
                yield CloudFile(path=path, missing_reason="too_large")
            else:
                room -= size
                yield _snapshot(path, self._blob(change.new))

    def _sizes(self, blobs: Iterable[str]) -> list[int]:
        asked = "".join(f"{blob}\n" for blob in blobs).encode()
        answers = self._git.run(*self._here, "cat-file", "--batch-check=%(objectsize)", input=asked).stdout
        return [int(line) for line in answers.splitlines()]

    def _last_subject(self) -> str | None:
        """Return the subject of the agent's last commit, None where it made none."""
        # rev-parse runs nothing that a configuration could name; the commit is read with our own git directory
        verify = ("rev-parse", "--verify", "--quiet", "HEAD")
        head = self._git.run("--git-dir", self._workspace.work / ".git", *verify, check=False).stdout.decode().strip()
        start = self._git.read(*self._here, "rev-parse", "refs/heads/coatcheck-start")
        objects = {"GIT_ALTERNATE_OBJECT_DIRECTORIES": str(self._workspace.work / ".git" / "objects")}
        log = ("log", "-1", "--no-show-signature", "--format=%s", "--end-of-options", f"{start}..{head}")
        done = self._git.run(*self._here, *log, environ=objects, check=False) if head else None
        return (done.stdout.decode("utf-8", "replace").strip() or None) if done and not done.returncode else None


def _snapshot(path: str, content: bytes) -> CloudFile:
    if b"\0" in content or not is_utf8(content):
        return CloudFile(path=path, missing_reason="binary")
    return CloudFile(path=path, content=content.decode())


def is_utf8(data: bytes) -> bool:
    """Whether *data* is text in UTF-8."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


# A pattern in quotes is unquoted as C does first, and then its wildcards count (gitattributes(5)).
_ESCAPES = {b"\\": rb"\\\\", b'"': rb"\"", b"*": rb"\\*", b"?": rb"\\?", b"[": rb"\\["}


def quoted(path: bytes) -> bytes:
    """Return *path* as the inside of a quoted attributes pattern that means this file alone."""
    parts = (bytes([code]) for code in b"/" + path)
    return b"".join(_ESCAPES.get(part) or (part if 32 <= part[0] < 127 else b"\\%03o" % part[0]) for part in parts)
