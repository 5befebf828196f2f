"""Pictures in a diff: their kind and size by their first bytes, and their content as a ``data:`` URL.

Invariant: a picture is shown only in an ``<img>``, in which no script of an SVG runs and nothing is loaded for it (SVG
Integration, "secure static mode").
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import NamedTuple

# Larger pictures are links: a page has both sides of each.
MOST_BYTES = 1_000_000

_SIGNATURES = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb".{4}ftypavi[fs]", re.DOTALL), "image/avif"),
    (re.compile(rb"BM.{4}\x00{4}", re.DOTALL), "image/bmp"),
    (re.compile(rb"\x00\x00\x01\x00[^\x00]\x00"), "image/x-icon"),
    (
        re.compile(
            rb"\s*(?:<\?xml[^>]{0,200}>\s*)?(?:<!--[^>]{0,2000}-->\s*)?(?:<!DOCTYPE svg[^>]{0,500}>\s*)?<svg[\s>]"
        ),
        "image/svg+xml",
    ),
)
# A frame header of JPEG: SOF0 to SOF15, without DHT, JPG and DAC (ITU-T T.81, table B.1).
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class Picture(NamedTuple):
    """A picture: its media type, its content, and its width and height in pixels where they are known."""

    media_type: str
    data: bytes
    pixels: tuple[int, int] | None = None

    @property
    def url(self) -> str | None:
        """Return a ``data:`` URL, None where the picture is too large for one."""
        if len(self.data) > MOST_BYTES:
            return None
        return f"data:{self.media_type};base64,{b64encode(self.data).decode()}"


def picture_of(data: bytes | None) -> Picture | None:
    """Return *data* as a picture, None where it is none that browsers show."""
    if not data:
        return None
    media_type = next((kind for pattern, kind in _SIGNATURES if pattern.match(data)), None)
    return Picture(media_type, data, _pixels(media_type, data)) if media_type else None


def _pixels(media_type: str, data: bytes) -> tuple[int, int] | None:
    if media_type == "image/png" and len(data) >= 24:
        size = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    elif media_type == "image/gif" and len(data) >= 10:
        size = int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
    elif media_type == "image/jpeg":
        size = _jpeg_pixels(data)
    else:
        return None
    return size if all(size) else None


def _jpeg_pixels(data: bytes) -> tuple[int, int]:
    """Return the size in the first frame header; each marker before it has its length behind it."""
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        if data[at + 1] in _FRAMES:
            return int.from_bytes(data[at + 7 : at + 9]), int.from_bytes(data[at + 5 : at + 7])
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return 0, 0
