"""The pictures of a changed file: both sides, from the diff and from the base."""

from __future__ import annotations

from typing import NamedTuple

from ..._patches.file_change import FileChange
from .base_files import BaseReader, base_content, base_lines, content_with
from .binary_content import content_after, content_before
from .pictures import Picture, picture_of
from .visible_text import to_attribute

# Larger binary files are not inflated.
MOST_BYTES = 8_000_000


class Sides(NamedTuple):
    """The content of a file before and after a change, None where it is not known or there is no file."""

    old: bytes | None
    new: bytes | None


def sides_of(change: FileChange, reader: BaseReader | None) -> Sides:
    """Return both sides of a binary file, or of an SVG."""
    if change.is_binary:
        old = base_content(change, reader)
        new = content_after(change, old, most=MOST_BYTES)
        return Sides(content_before(change, new, most=MOST_BYTES) if old is None else old, new)
    if not change.path.lower().endswith(".svg") or change.is_combined:
        return Sides(None, None)
    lines = base_lines(change, reader)
    if lines is None:
        return Sides(None, None)
    return Sides(
        None if change.old_path is None else b"".join(lines),
        None if change.new_path is None else content_with(change.hunks, lines),
    )


def pictures_html(change: FileChange, sides: Sides, raw_url: str) -> str:
    """Return both sides as pictures, or the sizes of what is no picture; empty for text."""
    if not change.is_binary and not any(map(picture_of, sides)):
        return ""
    old = "" if change.old_path is None else _figure("before", sides.old, raw_url)
    new = "" if change.new_path is None else _figure("after", sides.new, raw_url)
    note = _difference(sides)
    return f'<div class="pics">{old}{new}</div>{note}'


def _figure(side: str, data: bytes | None, raw_url: str) -> str:
    picture = picture_of(data)
    caption = f"{side}: {_facts(data, picture)}"
    css = "r" if side == "before" else "a"
    return f'<figure class="{css}">{_image(picture, side, raw_url)}<figcaption>{caption}</figcaption></figure>'


def _image(picture: Picture | None, side: str, raw_url: str) -> str:
    if picture is None:
        return ""
    if picture.url is None:
        return f'<p>too large to be shown here: <a href="{to_attribute(raw_url)}">show the text of the diff</a></p>'
    size = f' width="{picture.pixels[0]}" height="{picture.pixels[1]}"' if picture.pixels else ""
    return f'<img src="{picture.url}" alt="the picture {side} the change"{size}>'


def _facts(data: bytes | None, picture: Picture | None) -> str:
    if data is None:
        return "its content is not known"
    size = f"{len(data):,} byte{'' if len(data) == 1 else 's'}"
    if picture is None:
        return size
    pixels = f", {picture.pixels[0]} &times; {picture.pixels[1]} pixels" if picture.pixels else ""
    return f"{size}{pixels}, {picture.media_type}"


def _difference(sides: Sides) -> str:
    if sides.old is None or sides.new is None:
        return ""
    if sides.old == sides.new:
        return '<p class="note">Both sides have the same content.</p>'
    change = len(sides.new) - len(sides.old)
    return f'<p class="note">{abs(change):,} bytes {"larger" if change > 0 else "smaller"}</p>' if change else ""
