"""One file of a diff as a section of HTML: its heading, its facts, its pictures and its rows.

Invariant: what a section does not show, it names: with a link, with a number, or with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha1
from typing import NamedTuple

from ..._patches.file_change import FileChange
from ..._patches.parse import Patch
from ...errors import PatchError
from .base_files import BaseReader, base_lines
from .file_facts import facts_of
from .file_pictures import pictures_html, sides_of
from .file_rows import UNIFIED, FileRows
from .interdiff import FileDifference, Method
from .links import DiffLinks
from .visible_text import to_attribute, to_html

# So much of a file whose hunks cannot be read is shown as text.
_MOST_TEXT = 20_000
_SIDES = {"+": "a", "-": "r"}


class DiffFile(NamedTuple):
    """A file of a diff. `anchor` is the id of its section: the same for the same path in every diff.

    `change` is None where the two diffs of a path are compared, which are then `text`. `note` is about the whole file.
    """

    path: str
    anchor: str
    change: FileChange | None
    text: bytes
    note: str = ""

    @property
    def size(self) -> int:
        """Return the length of its text (bytes)."""
        return len(self.text)


class FileView(NamedTuple):
    """How files are shown: unified or split, with the base that `reader` reads.

    With `hides_space` lines that differ in white space alone are shown as unchanged.
    """

    links: DiffLinks
    view: str = UNIFIED
    reader: BaseReader | None = None
    has_all_context: bool = False
    hides_space: bool = False


def files_of(changes: Iterable[FileChange]) -> list[DiffFile]:
    """Return the files with their anchors; a path that is changed again has a number behind its anchor."""
    return _numbered(DiffFile(change.path, anchor_of(change.path), change, bytes(change)) for change in changes)


def files_of_interdiff(differences: Iterable[FileDifference], names: tuple[str, str]) -> list[DiffFile]:
    """Return the files of a difference of two patches, which are called *names*.

    Raises `PatchError` where one cannot be read.
    """
    notes = {
        Method.BASE: "",
        Method.LEFT: f"only {names[0]} changes this file",
        Method.RIGHT: f"only {names[1]} changes this file",
    }
    return _numbered(each for difference in differences for each in _of_difference(difference, notes))


def _of_difference(difference: FileDifference, notes: Mapping[Method, str]) -> Iterator[DiffFile]:
    if difference.method is Method.DIFFS:
        path = difference.path
        yield DiffFile(path, anchor_of(path), None, difference.diff, difference.method.value)
        return
    note = notes.get(difference.method, difference.method.value)
    for change in Patch(difference.diff).files:
        yield DiffFile(change.path, anchor_of(change.path), change, difference.diff, note)


def _numbered(files: Iterable[DiffFile]) -> list[DiffFile]:
    numbered: list[DiffFile] = []
    counts: dict[str, int] = {}
    for file in files:
        counts[file.anchor] = number = counts.get(file.anchor, 0) + 1
        numbered.append(file if number == 1 else file._replace(anchor=f"{file.anchor}-{number}"))
    return numbered


def anchor_of(path: str) -> str:
    """Return the anchor of a path."""
    return "f" + sha1(path.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()[:10]


def digest_of(file: DiffFile) -> str:
    """Return the digest of what a section shows, by which a browser remembers what was viewed."""
    return sha1(file.path.encode("utf-8", "surrogatepass") + b"\0" + file.text, usedforsecurity=False).hexdigest()[:16]


def rows_of(file: DiffFile, view: FileView) -> FileRows:
    """Return the rows of a file. Raises `PatchError` where its hunks cannot be read."""
    assert file.change is not None  # noqa: S101 - the text of two diffs has no rows
    base = base_lines(file.change, view.reader)
    return FileRows(
        file.change,
        file.anchor,
        view.links,
        view=view.view,
        base=base,
        has_all_context=view.has_all_context,
        hides_space=view.hides_space,
    )


def section_html(file: DiffFile, view: FileView, *, body: str | None = None, note: str = "", links: str = "") -> str:
    """Return the section of a file. *body* is its content, without it a link to it.

    *note* is behind the heading, and *links* are before those to the section and to the text of the diff.
    """
    content = lazy_html(file, view) if body is None else body
    return (
        f'<details class="file" id="{file.anchor}" data-digest="{digest_of(file)}" open><summary>{_heading(file)}{note}</summary>'
        f'<p class="about">{links}<label class="script-only"><input type="checkbox" data-viewed '
        f'aria-label="Viewed: {to_attribute(file.path)}"> viewed</label> <a href="#{file.anchor}">Link</a> <a href="{to_attribute(view.links.raw(file.anchor))}">Text</a></p>'
        f'<div class="body">{content}</div></details>'
    )


def body_html(file: DiffFile, view: FileView, *, part: int = 0, is_fragment: bool = False) -> str:
    """Return the content of a file: its pictures and a part of its rows, or why there are none.

    As a fragment it comes after the parts before it.
    """
    raw = view.links.raw(file.anchor)
    if file.change is None:
        return _two_diffs(file, raw)
    try:
        rows = rows_of(file, view)
        pictures = pictures_html(file.change, sides_of(file.change, view.reader), raw) if part == 0 else ""
        html = pictures + rows.part(part)
    except PatchError as error:
        return _unreadable(file, str(error), raw)
    if part > 0 and not is_fragment:
        first = to_attribute(view.links.file(file.anchor))
        html = f'<p class="note"><a href="{first}">Show the lines of this file before these</a></p>{html}'
    return html or f'<p class="note">{_without_lines(file.change)}</p>'


def lazy_html(file: DiffFile, view: FileView) -> str:
    """Return a link in the place of a file's content, which the script replaces when it comes into view."""
    lines = file.change.added + file.change.removed if file.change else 0
    what = f"{lines:,} changed line{'' if lines == 1 else 's'}" if lines else "change"
    page, part = view.links.file(file.anchor), view.links.part(file.anchor, 0)
    return (
        f'<p class="lazy"><a href="{to_attribute(page)}" data-part="{to_attribute(part)}">'
        f"Show the {what} of this file</a></p>"
    )


def counts_html(added: int, removed: int) -> str:
    """Return the numbers of added and removed lines."""
    return f'<span class="plus">+{added:,}</span> <span class="minus">&minus;{removed:,}</span>'


def _heading(file: DiffFile) -> str:
    change = file.change
    moved = (
        f'<bdi class="was">{to_html(change.moved_from)}</bdi> → ' if change and change.moved_from is not None else ""
    )
    facts = "".join(f'<span class="fact">{to_html(fact)}</span>' for fact in (facts_of(change) if change else ()))
    counts = "" if change is None or change.is_binary else counts_html(change.added, change.removed)
    note = f'<span class="fact">{to_html(file.note)}</span>' if file.note else ""
    return f'<h3>{moved}<bdi>{to_html(file.path)}</bdi></h3><span class="about">{counts}{facts}{note}</span>'


def _two_diffs(file: DiffFile, raw_url: str) -> str:
    """Return the lines of a diff of two diffs: the first sign is the side, the second one that of the diff."""
    text = file.text.decode("utf-8", "surrogateescape")
    lines = text[:_MOST_TEXT].removesuffix("\n").split("\n")
    html = "\n".join(f'<span class="{_SIDES.get(line[:1], "")}">{to_html(line)}</span>' for line in lines)
    return f'<pre class="d">{html}{_cut(text, raw_url)}</pre>'


def _cut(text: str, raw_url: str) -> str:
    more = len(text) - _MOST_TEXT
    return f'\n<a href="{to_attribute(raw_url)}">{more:,} more characters: show the text</a>' if more > 0 else ""


def _without_lines(change: FileChange) -> str:
    if change.is_binary:
        return "The content is not text."
    facts = facts_of(change)
    return f"No line changes: {to_html('; '.join(facts))}." if facts else "The diff has no line of this file."


def _unreadable(file: DiffFile, reason: str, raw_url: str) -> str:
    text = str(file.change)
    lines = "\n".join(map(to_html, text[:_MOST_TEXT].split("\n")))
    return f'<p class="note">These lines cannot be read as a diff: {to_html(reason)}.</p><pre>{lines}{_cut(text, raw_url)}</pre>'
