"""One file of a diff: its header, and its hunks, which are read on first use."""

from __future__ import annotations

from . import quoted_names, scan
from .header import BinaryForm, ChangeStatus, Header, read_header
from .strip_level import DEFAULT, Naming

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` would be most of what importing this costs
    from collections.abc import Iterator
    from typing import ClassVar

    from .._values.value import JsonFields

__all__ = ["BinaryForm", "BinaryPart", "ChangeStatus", "FileChange", "Hunk", "Line"]

_SUBMODULE = 0o160000
_SYMLINK = 0o120000
_TYPE_BITS = 0o170000
_PLUS = 0x2B


class Line:
    """One line of a hunk: its sign (``" "``, ``"+"``, ``"-"``) and its bytes without the sign.

    `content` ends as the line ends in the file: without a line feed only where the file has none.
    """

    __slots__ = ("content", "sign")

    def __init__(self, sign: str, content: bytes) -> None:
        self.sign = sign
        self.content = content

    def __repr__(self) -> str:
        return f"Line({self.sign!r}, {self.content!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Line) and (self.sign, self.content) == (other.sign, other.content)

    def __hash__(self) -> int:
        return hash((self.sign, self.content))

    @property
    def text(self) -> str:
        """Return the content as text, bytes that are no UTF-8 as surrogates."""
        return self.content.decode("utf-8", "surrogateescape")


class Hunk:
    """A run of lines that changed together. Line numbers are 1-based; a range of 0 lines is after its line.

    A combined diff has one old range for each parent (`old_ranges`), and as many signs in each line.
    """

    __slots__ = ("_data", "_span")

    def __init__(self, data: bytes, span: scan.Span) -> None:
        self._data = data
        self._span = span

    def __repr__(self) -> str:
        return f"<Hunk -{self.old_start},{self.old_lines} +{self.new_start},{self.new_lines}>"

    @property
    def old_ranges(self) -> tuple[tuple[int, int], ...]:
        """Return first line and number of lines, one pair for each parent."""
        return self._span.old

    @property
    def old_start(self) -> int:
        """Return the first line before the change."""
        return self._span.old[0][0]

    @property
    def old_lines(self) -> int:
        """Return how many lines it covers before the change."""
        return self._span.old[0][1]

    @property
    def new_start(self) -> int:
        """Return the first line after the change."""
        return self._span.new[0]

    @property
    def new_lines(self) -> int:
        """Return how many lines it covers after the change."""
        return self._span.new[1]

    @property
    def section(self) -> str:
        """Return what git wrote behind the ranges: usually the function around it."""
        return quoted_names.to_text(self._span.section)

    @property
    def added(self) -> int:
        """Return the number of added lines."""
        return self._span.added

    @property
    def removed(self) -> int:
        """Return the number of removed lines."""
        return self._span.removed

    def __bytes__(self) -> bytes:
        """Return the lines of the diff, without the ``@@`` line."""
        return self._data[self._span.body : self._span.end]

    def __str__(self) -> str:
        return bytes(self).decode("utf-8", "surrogateescape")

    @property
    def line(self) -> int:
        """Return the line of the diff on which the hunk's lines begin."""
        return self._data.count(b"\n", 0, self._span.body) + 1

    @property
    def lines(self) -> tuple[Line, ...]:
        """Return the lines, read anew each time."""
        return tuple(self._read_lines())

    @property
    def old_side(self) -> bytes:
        """Return the lines as they were before the change."""
        data = bytes(self)
        if data.find(b"\n\\") >= 0 or len(self._span.old) > 1:
            return b"".join(line.content for line in self.lines if "+" not in line.sign)
        return b"".join([line[1:] or b"\n" for line in _split(data) if line[0] != _PLUS])

    def _read_lines(self) -> Iterator[Line]:
        width = len(self._span.old)
        previous: Line | None = None
        for raw in _split(bytes(self)):
            if raw.startswith(b"\\"):
                previous = previous and Line(previous.sign, previous.content.removesuffix(b"\n"))
                continue
            if previous:
                yield previous
            previous = Line(raw[:width].decode("ascii"), raw[width:]) if raw != b"\n" else Line(" " * width, raw)
        if previous:
            yield previous


def _split(data: bytes) -> list[bytes]:
    lines = data.split(b"\n")
    last = lines.pop()
    return [line + b"\n" for line in lines] + ([last + b"\n"] if last else [])


class BinaryPart:
    """One direction of a git binary patch: whole content (``literal``) or ``delta``, deflated in base 85.

    `size` is in bytes, of what it inflates to.
    """

    __slots__ = ("data", "method", "size")

    def __init__(self, method: str, size: int, data: bytes) -> None:
        self.method = method
        self.size = size
        self.data = data

    def __repr__(self) -> str:
        return f"<BinaryPart {self.method} {self.size}>"


class FileChange:
    """What a diff does to one file.

    Paths are relative to the top of the tree; `old_path` is None for an added file, `new_path` for a deleted one.
    Everything but the counts is read from the diff on first use.
    """

    __slots__ = ("_added", "_data", "_end", "_header", "_names", "_naming", "_removed", "_start")

    # No `from_dict`: a change is part of a diff, which `Outcome.patch` holds in JSON; `Patch.files` reads it from there.
    _json: ClassVar[JsonFields] = {
        "path": "the file",
        "old_path": ("its path before the change, where it moved", lambda c: c.moved_from),
        "status": '"added", "deleted", "modified", "renamed", "copied", "mode changed" or "type changed"',
        "is_binary": "whether the diff treats it as binary",
        "added": "lines added",
        "removed": "lines removed",
    }
    _details: ClassVar[frozenset[str]] = frozenset()

    def __init__(  # noqa: PLR0917 - created by the scan, a hundred thousand times
        self, data: bytes, start: int, end: int, added: int, removed: int, naming: Naming = DEFAULT
    ) -> None:
        self._data = data
        self._start = start
        self._end = end
        self._added = added
        self._removed = removed
        self._naming = naming
        self._header: Header | None = None
        self._names: tuple[str | None, str | None] | None = None

    def __repr__(self) -> str:
        return f"<FileChange {self.status.value} {self.path!r} +{self.added} -{self.removed}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FileChange) and bytes(self) == bytes(other)

    def __hash__(self) -> int:
        return hash(bytes(self))

    def __bytes__(self) -> bytes:
        """Return this file's part of the diff."""
        return self._data[self._start : self._end]

    def __str__(self) -> str:
        return bytes(self).decode("utf-8", "surrogateescape")

    def __reduce__(self) -> tuple[object, ...]:
        return FileChange, (bytes(self), 0, self._end - self._start, self._added, self._removed, self._naming)

    def to_dict(self) -> dict[str, object]:
        """Return what it does to its file as plain data, without the lines."""
        from .._values.json_fields import document

        return document(self)

    def with_strip(self, level: int) -> FileChange:
        """Return the same change with *level* more components taken off its names."""
        naming = Naming(level, self._naming.directory, is_settled=True)
        return FileChange(self._data, self._start, self._end, self._added, self._removed, naming)

    @property
    def offsets(self) -> tuple[int, int, int]:
        """Return the positions in the diff of the header, of the hunks, and of the end."""
        return self._start, self.header.body, self._end

    @property
    def diff(self) -> bytes:
        """Return the whole diff that this is a part of."""
        return self._data

    @property
    def header(self) -> Header:
        """Return the header above the hunks."""
        if self._header is None:
            self._header = read_header(self._data, self._start, self._naming)
        return self._header

    @property
    def old_path(self) -> str | None:
        """Return the path before the change, None where there was no file."""
        return (self._names or self._read_names())[0]

    @property
    def new_path(self) -> str | None:
        """Return the path after the change, None where there is no file any more."""
        return (self._names or self._read_names())[1]

    def _read_names(self) -> tuple[str | None, str | None]:
        old, new = (
            path if path is None else quoted_names.to_text(path)
            for path in (self.header.old_path, self.header.new_path)
        )
        self._names = old, new
        return self._names

    @property
    def path(self) -> str:
        """Return the path of the file: the new one, or the old one of a deleted file."""
        return self.new_path or self.old_path or ""

    @property
    def moved_from(self) -> str | None:
        """Return the path that a moved or copied file had before, None for every other file."""
        return self.old_path if self.old_path != self.path else None

    @property
    def paths(self) -> tuple[str, ...]:
        """Return the paths that are read or written: the old one and the new, once if they are the same."""
        old, new = self.old_path, self.new_path
        if old == new or new is None:
            return (old,) if old is not None else ()
        return (new,) if old is None else (old, new)

    @property
    def status(self) -> ChangeStatus:
        """Return what is done to the file."""
        return self.header.status

    @property
    def added(self) -> int:
        """Return the number of added lines, 0 for a binary file."""
        return self._added

    @property
    def removed(self) -> int:
        """Return the number of removed lines, 0 for a binary file."""
        return self._removed

    @property
    def old_mode(self) -> int | None:
        """Return the mode before (``0o100644``), None where the diff does not name it."""
        return self.header.old_mode

    @property
    def new_mode(self) -> int | None:
        """Return the mode after (``0o100755``), None where the diff does not name it."""
        return self.header.new_mode

    @property
    def old_id(self) -> str | None:
        """Return the blob before, often abbreviated, None where the diff does not name it."""
        return self.header.old_id

    @property
    def new_id(self) -> str | None:
        """Return the blob after, often abbreviated, None where the diff does not name it."""
        return self.header.new_id

    @property
    def similarity(self) -> int | None:
        """Return how much of a moved or copied file stayed, in percent."""
        return self.header.similarity

    @property
    def is_binary(self) -> bool:
        """Whether the diff treats the file as binary."""
        return self.header.binary is not None

    @property
    def is_combined(self) -> bool:
        """Whether this is the diff of a merge, against several parents."""
        return self.header.form == "combined"

    @property
    def is_submodule(self) -> bool:
        """Whether either side is a submodule."""
        return self._has_type(_SUBMODULE)

    @property
    def is_symlink(self) -> bool:
        """Whether either side is a symbolic link."""
        return self._has_type(_SYMLINK)

    def _has_type(self, wanted: int) -> bool:
        return any((mode or 0) & _TYPE_BITS == wanted for mode in (self.old_mode, self.new_mode))

    @property
    def hunks(self) -> tuple[Hunk, ...]:
        """Return the hunks, proved line by line. Raises `PatchError` where a hunk is not what its header counts."""
        return tuple(Hunk(self._data, span) for span in scan.spans(self._data, self.header, self._end))

    @property
    def binary(self) -> tuple[BinaryPart, ...]:
        """Return the parts of a git binary patch: forward, then backward; none where the diff has no content."""
        if self.header.binary is not BinaryForm.PATCH:
            return ()
        parts = scan.binary_parts(self._data, self.header)
        return tuple(BinaryPart(method, size, self._data[start:end]) for method, size, start, end in parts)

    @property
    def line(self) -> int:
        """Return the line of the diff on which this file begins."""
        return self._data.count(b"\n", 0, self._start) + 1
