"""The header of one file of a diff: names, modes, blob ids, and the kind of change.

A header is read twice at most: once by the scan, which keeps nothing of it, and once on first use.
The words are git's (``diff-generate-patch.txt``, "Generating patch text with -p"), and so is what they mean
(``apply.c``, ``parse_git_diff_header`` and ``parse_traditional_patch``).
"""

from __future__ import annotations

import enum
import re

from ..errors import PatchError
from . import quoted_names
from .diff_text import error_at
from .strip_level import DEFAULT, Naming


class ChangeStatus(enum.Enum):
    """What a diff does to one file."""

    ADDED = "added"
    DELETED = "deleted"
    MODIFIED = "modified"
    RENAMED = "renamed"
    COPIED = "copied"
    MODE_CHANGED = "mode changed"
    TYPE_CHANGED = "type changed"


class BinaryForm(enum.Enum):
    """The form of a binary file in a diff: with its content, or without."""

    PATCH = "git binary patch"
    DIFFERS = "binary files differ"


class Header:
    """The facts of one header; `body` is where its hunks or its binary patch begin.

    Names are whole paths without prefixes, None for a side that does not exist. Modes are numbers (``0o100644``),
    ids are hexadecimal and often abbreviated.
    """

    __slots__ = (
        "binary",
        "body",
        "dissimilarity",
        "form",
        "has_names",
        "is_guess",
        "new_id",
        "new_mode",
        "new_path",
        "old_id",
        "old_mode",
        "old_path",
        "parent_ids",
        "similarity",
        "status",
    )

    def __init__(self, form: str, body: int) -> None:
        self.form = form
        self.body = body
        self.status = ChangeStatus.MODIFIED
        self.old_path: bytes | None = None
        self.new_path: bytes | None = None
        self.old_mode: int | None = None
        self.new_mode: int | None = None
        self.old_id: str | None = None
        self.new_id: str | None = None
        self.parent_ids: tuple[str, ...] = ()
        self.similarity: int | None = None
        self.dissimilarity: int | None = None
        self.binary: BinaryForm | None = None
        self.is_guess = False  # whether the names may have a prefix that the diff does not show
        self.has_names = False  # has `---` and `+++`, so hunks must follow


# The header of nearly every changed file; a header that matches it is valid.
PLAIN_CHANGE = re.compile(
    rb'diff --git a/([^\x00-\x20"\x7f]+) b/\1\nindex [0-9a-f]{4,64}\.\.[0-9a-f]{4,64}(?: [0-7]{6})?\n'
    rb"--- a/\1\n\+\+\+ b/\1\n(?=@@ -)"
)
_PLAIN_FACTS = re.compile(rb"diff --git a/(\S+) [^\n]+\nindex ([0-9a-f]+)\.\.([0-9a-f]+)(?: ([0-7]+))?\n")

# Every line that git writes between `diff --git` and the first hunk.
_LINE = re.compile(
    rb"(?P<word>old mode|new mode|deleted file mode|new file mode|copy from|copy to|rename from|rename to"
    rb"|rename old|rename new|similarity index|dissimilarity index|index|---|\+\+\+|mode) (?P<value>[^\n]*)(?:\n|\Z)"
)
_BINARY = re.compile(rb"(?:(?P<patch>GIT binary patch)|Binary files [^\n]* differ)\r?(?:\n|\Z)")
_MODE = re.compile(rb"([0-7]{1,7})\s*\Z")  # apply.c, parse_mode_line
_PERCENT = re.compile(rb"(\d{1,3})%\Z")
_IDS = re.compile(rb"(?P<old>[0-9a-f]{4,64})\.\.(?P<new>[0-9a-f]{4,64})(?: |\Z)")
_COMBINED_IDS = re.compile(rb"(?P<old>[0-9a-f]{4,64}(?:,[0-9a-f]{4,64})+)\.\.(?P<new>[0-9a-f]{4,64})\Z")
_COMBINED_MODES = re.compile(rb"[0-7]{5,7}(?:,[0-7]{5,7})+\.\.(?P<new>[0-7]{5,7})\Z")
_INDEX_MODE = re.compile(rb"[^ ]*\.\.[^ ]* (?P<mode>[0-7]{5,7})\Z")
_TYPE_BITS = 0o170000

# GNU diff -N dates a missing file to the epoch, in the writer's own time zone (apply.c, has_epoch_timestamp).
_EPOCH = re.compile(rb"[\t ](?:1969-12-31|1970-01-01) (\d\d):(\d\d):00(?:\.0+)? ([-+])(\d\d):?(\d\d)")


def read_header(data: bytes, start: int, naming: Naming = DEFAULT) -> Header:
    """Read the header at *start*, a position that the scan returned. Raises `PatchError`."""
    if (
        naming.is_default
        and (match := PLAIN_CHANGE.match(data, start))
        and b"//" not in match[1]
        and (facts := _PLAIN_FACTS.match(data, start))
    ):
        return _plain_change(facts, match.end())
    header = _read_form(data, start, naming)
    header.old_path, header.new_path = naming.placed(header.old_path), naming.placed(header.new_path)
    return header


def _read_form(data: bytes, start: int, naming: Naming) -> Header:
    if data.startswith(b"diff --git ", start):
        return _GitHeader(data, start, naming).header
    if data.startswith(b"diff --c", start):
        return _combined(data, start)
    if data.startswith(b"Binary files ", start):
        return _plain_binary(data, start, naming)
    return _plain(data, start, naming)


def _plain_change(match: re.Match[bytes], body: int) -> Header:
    header = Header("git", body)
    header.old_path = header.new_path = match[1]
    header.old_id, header.new_id = match[2].decode(), match[3].decode()
    header.old_mode = header.new_mode = int(match[4], 8) if match[4] else None
    header.has_names = True
    return header


def _line_end(data: bytes, start: int) -> int:
    end = data.find(b"\n", start)
    return len(data) if end < 0 else end


class _GitHeader:
    """Reads the lines below one ``diff --git``."""

    def __init__(self, data: bytes, start: int, naming: Naming) -> None:
        end = _line_end(data, start)
        self.naming = naming
        self.is_guess = False
        self.pair = data[start + len(b"diff --git ") : end].removesuffix(b"\r")
        self.data = data
        self.lines: dict[bytes, bytes] = {}
        self.positions: dict[bytes, int] = {}
        self.header = Header("git", self._read_lines(data, min(end + 1, len(data))))
        _take_binary(self.header, data)
        self._take_modes()
        self._take_ids()
        self._take_names()
        self.header.status = self._status()
        self.header.has_names = b"+++" in self.lines
        self.header.is_guess = self.is_guess

    def _read_lines(self, data: bytes, at: int) -> int:
        while match := _LINE.match(data, at):
            word = match["word"]
            value = match["value"] if word in (b"---", b"+++") else match["value"].removesuffix(b"\r")
            if self.lines.setdefault(word, value) != value and word != b"index":
                raise error_at(data, at, f"the header has {word.decode()!r} twice")
            self.positions[word] = at
            at = match.end()
        return at

    def _take_modes(self) -> None:
        header, lines = self.header, self.lines
        header.old_mode = self._mode(b"old mode", b"deleted file mode")
        header.new_mode = self._mode(b"new mode", b"new file mode")
        header.similarity = _percent(lines.get(b"similarity index"))
        header.dissimilarity = _percent(lines.get(b"dissimilarity index"))

    def _mode(self, *words: bytes) -> int | None:
        for word in words:
            if word in self.lines:
                if (mode := _mode(self.lines[word])) is None:
                    reason = f"the {word.decode()} {quoted_names.to_text(self.lines[word])!r} is not an octal number"
                    raise error_at(self.data, self.positions[word], reason)
                return mode or None  # to git 0 is no mode
        return None

    def _take_ids(self) -> None:
        """Read the blob ids and the mode; like git, ignore an index line that is none."""
        value = self.lines.get(b"index", b"")
        header = self.header
        if match := _IDS.match(value):
            header.old_id, header.new_id = match["old"].decode(), match["new"].decode()
        if match := _INDEX_MODE.match(value):
            header.old_mode = header.new_mode = _mode(match["mode"])

    def _take_names(self) -> None:
        header = self.header
        header.old_path, header.new_path = self._moved() or self._named()
        if b"new file mode" in self.lines or self._is_nothing(b"---"):
            header.old_path = None
        if b"deleted file mode" in self.lines or self._is_nothing(b"+++"):
            header.new_path = None
        if header.old_path is None and header.new_path is None:
            raise PatchError("the header creates and deletes the same file")

    def _moved(self) -> tuple[bytes, bytes] | None:
        for old, new in _MOVES:
            if old in self.lines or new in self.lines:
                if not (old in self.lines and new in self.lines):
                    raise PatchError(f"the header has only one of {old.decode()!r} and {new.decode()!r}")
                old_name, new_name = quoted_names.whole_name(self.lines[old]), quoted_names.whole_name(self.lines[new])
                # Without prefixes the line `diff --git` has the same names.
                self.is_guess = self.naming.strip is None and self.pair.startswith(self.lines[old] + b" ")
                return self.naming.moved(old_name), self.naming.moved(new_name)
        return None

    def _named(self) -> tuple[bytes, bytes]:
        old, new = self._spelled(b"---"), self._spelled(b"+++")
        if (old is None) is not (new is None):
            raise PatchError("the header has only one of '---' and '+++'")
        if old is None or new is None or old == new == quoted_names.NO_FILE:
            return self._named_by_line()
        if quoted_names.NO_FILE in (old, new):
            path = self._named_by_one(old, new)
            return path, path
        return self._named_by_two(quoted_names.whole_name(old), quoted_names.whole_name(new))

    def _named_by_two(self, old: bytes, new: bytes) -> tuple[bytes, bytes]:
        if common := self.naming.pair(old, new):
            path, self.is_guess = common
            return path, path
        # git diff --no-index OLD NEW: two files, each below its own prefix
        (old_path, old_guess), (new_path, new_guess) = self.naming.one(old), self.naming.one(new)
        if old_guess or new_guess:
            raise PatchError("the two names of the header are not one path, and it names no rename")
        return old_path, new_path

    def _named_by_one(self, old: bytes, new: bytes) -> bytes:
        """Read the name beside ``/dev/null``; the line ``diff --git`` may show what its prefix is."""
        is_new = old == quoted_names.NO_FILE
        spelled = new if is_new else old
        other = (
            quoted_names.other_name(self.pair, new=spelled)
            if is_new
            else quoted_names.other_name(self.pair, old=spelled)
        )
        name = quoted_names.whole_name(spelled)
        common = self.naming.pair(name, other) if other not in (None, b"", quoted_names.NO_FILE) else None
        path, self.is_guess = common or self.naming.one(name)
        return path

    def _named_by_line(self) -> tuple[bytes, bytes]:
        is_alone = b"new file mode" in self.lines or b"deleted file mode" in self.lines
        name = self._beside_nothing() if is_alone else None
        if name is not None:
            path, self.is_guess = self.naming.one(name)
            return path, path
        pair = quoted_names.split_pair(self.pair, self.naming.strip)
        if pair is None:
            raise PatchError("the path of the header is ambiguous")
        return self._named_by_two(*pair)

    def _beside_nothing(self) -> bytes | None:
        nothing = quoted_names.NO_FILE
        if self.pair.startswith(nothing + b" "):
            return quoted_names.whole_name(self.pair[len(nothing) + 1 :])
        if self.pair.endswith(b" " + nothing):
            return quoted_names.whole_name(self.pair[: -len(nothing) - 1])
        return None

    def _is_nothing(self, word: bytes) -> bool:
        return self._spelled(word) == quoted_names.NO_FILE

    def _spelled(self, word: bytes) -> bytes | None:
        value = self.lines.get(word)
        return None if value is None else quoted_names.spelling_before_tab(value)

    def _status(self) -> ChangeStatus:
        header = self.header
        if header.old_path is None:
            return ChangeStatus.ADDED
        if header.new_path is None:
            return ChangeStatus.DELETED
        if b"copy from" in self.lines:
            return ChangeStatus.COPIED
        if header.old_path != header.new_path:
            return ChangeStatus.RENAMED
        return self._status_in_place()

    def _status_in_place(self) -> ChangeStatus:
        old, new = self.header.old_mode, self.header.new_mode
        if old is None or new is None or old == new:
            return ChangeStatus.MODIFIED
        if old & _TYPE_BITS != new & _TYPE_BITS:
            return ChangeStatus.TYPE_CHANGED
        return ChangeStatus.MODIFIED if b"index" in self.lines else ChangeStatus.MODE_CHANGED


_MOVES = ((b"rename from", b"rename to"), (b"rename old", b"rename new"), (b"copy from", b"copy to"))


def _mode(value: bytes) -> int | None:
    """Return the mode that *value* is, None where it is no octal number."""
    match = _MODE.match(value)
    return int(match[1], 8) if match else None


def _percent(value: bytes | None) -> int | None:
    match = _PERCENT.match(value or b"")
    return int(match[1]) if match else None


def _combined(data: bytes, start: int) -> Header:
    end = _line_end(data, start)
    path = quoted_names.whole_name(data[start:end].split(b" ", 2)[2])
    header = Header("combined", min(end + 1, len(data)))
    header.old_path = header.new_path = path
    while match := _LINE.match(data, header.body):
        _take_combined(header, match["word"], match["value"])
        header.body = match.end()
    _take_binary(header, data)
    if not header.parent_ids:
        raise PatchError("a combined diff has no index line that names its parents")
    return header


def _take_combined(header: Header, word: bytes, value: bytes) -> None:
    if word == b"index" and (match := _COMBINED_IDS.match(value)):
        header.parent_ids, header.new_id = tuple(match["old"].decode().split(",")), match["new"].decode()
    elif word == b"mode" and (match := _COMBINED_MODES.match(value)):
        header.new_mode = _mode(match["new"])
    elif word == b"new file mode":
        header.old_path, header.status, header.new_mode = None, ChangeStatus.ADDED, _mode(value)
    elif word == b"deleted file mode":
        header.new_path, header.status = None, ChangeStatus.DELETED


def _plain(data: bytes, start: int, naming: Naming) -> Header:
    middle = _line_end(data, start)
    end = _line_end(data, middle + 1)
    old_line, new_line = data[start + 4 : middle], data[middle + 5 : end]
    header = Header("plain", min(end + 1, len(data)))
    old, new = (quoted_names.whole_name(quoted_names.spelling_before_time(line)) for line in (old_line, new_line))
    is_added = old == quoted_names.NO_FILE or _is_epoch(old_line)
    is_deleted = new == quoted_names.NO_FILE or _is_epoch(new_line)
    if is_added and is_deleted:
        raise PatchError("the header creates and deletes the same file")
    path, header.is_guess = _plain_path(old, new, naming)
    header.old_path, header.new_path = None if is_added else path, None if is_deleted else path
    header.status = ChangeStatus.ADDED if is_added else ChangeStatus.DELETED if is_deleted else ChangeStatus.MODIFIED
    return header


def _plain_path(old: bytes, new: bytes, naming: Naming) -> tuple[bytes, bool]:
    """Return the path, and whether it is a guess: of two names the shorter, else the new one (apply.c, find_name)."""
    if old == quoted_names.NO_FILE:
        path, is_guess = naming.one(new)
        return path, is_guess and not new.startswith(b"./")  # which is the component that git strips
    if new == quoted_names.NO_FILE:
        # Without a second name a folder `a` or `b` looks like a prefix.
        return naming.one(old)[0], naming.strip is None
    if common := naming.pair(old, new):
        return common
    old_path, new_path = naming.one(old), naming.one(new)
    return old_path if len(new_path[0]) > len(old_path[0]) and new_path[0].startswith(old_path[0]) else new_path


def _is_epoch(line: bytes) -> bool:
    if not (match := _EPOCH.search(line)):
        return False
    hour, minute, sign, zone_hour, zone_minute = match.groups()
    offset = int(zone_hour) * 60 + int(zone_minute)
    day_minutes = int(hour) * 60 + int(minute) - (24 * 60 if b"1969" in match[0] else 0)
    return day_minutes == (offset if sign == b"+" else -offset)


def _plain_binary(data: bytes, start: int, naming: Naming) -> Header:
    end = _line_end(data, start)
    header = Header("plain", min(end + 1, len(data)))
    text = data[start + len(b"Binary files ") : end].removesuffix(b"\r").removesuffix(b" differ")
    cut = text.find(b" and ")
    old, new = quoted_names.whole_name(text[:cut]), quoted_names.whole_name(text[cut + 5 :])
    path, header.is_guess = _plain_path(old, new, naming)
    header.old_path, header.new_path = (
        None if old == quoted_names.NO_FILE else path,
        None if new == quoted_names.NO_FILE else path,
    )
    header.binary = BinaryForm.DIFFERS
    if header.old_path is None:
        header.status = ChangeStatus.ADDED
    elif header.new_path is None:
        header.status = ChangeStatus.DELETED
    return header


def _take_binary(header: Header, data: bytes) -> None:
    if match := _BINARY.match(data, header.body):
        header.binary = BinaryForm.PATCH if match["patch"] else BinaryForm.DIFFERS
        header.body = match.end()
