"""Mails whose patch is encoded: quoted-printable or base64 (RFC 2045, 6.7 and 6.8).

Guarantees:
- such a text is never read as it is: in quoted-printable ``=`` is written ``=3D``, and the hunks would still fit;
- only the parts of a mail that hold a diff are decoded, byte by byte; their character set is not changed.

``git am`` decodes them as well, ``git apply`` does not.
"""

from __future__ import annotations

import re
from binascii import Error, a2b_base64, a2b_qp
from typing import TYPE_CHECKING, NamedTuple

from ..errors import PatchError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .repair_rows import Repairs

_ENCODING = re.compile(
    rb"^Content-Transfer-Encoding:[ \t]*(quoted-printable|base64)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE
)
# A header (RFC 5322, 2.2) at the begin, after a blank line, or after the first line of a mail or of a part of one.
_HEADER = re.compile(
    rb"(?:\A|^\r?\n|^(?:From |--+[^-\s])[^\n]*\n)(?P<lines>(?:(?:[!-9;-~]+:|[ \t]+[^\s])[^\n]*\n)++)\r?\n",
    re.MULTILINE,
)
_BOUNDARY = re.compile(
    rb"""^content-type:[^\n]*(?:\n[ \t][^\n]*)*?boundary="?([^"\s;]+)""", re.IGNORECASE | re.MULTILINE
)
_NEXT_MAIL = rb"^From \S+ \w{3} \w{3} "
_DIFF = re.compile(rb"^(?:diff --git |--- [^-\s]|\+\+\+ |@@ )", re.MULTILINE)


class EncodedPart(NamedTuple):
    """The body of a mail, or of a part of one, from *start* to *end*; *header* is where its encoding is declared."""

    header: int
    encoding: str
    start: int
    end: int
    content: bytes


def check_mail(data: bytes) -> None:
    """Raise `PatchError` where *data* is a mail with an encoded patch."""
    if _may_be_encoded(data) and (part := next(_parts(data), None)):
        line = data.count(b"\n", 0, part.header) + 1
        raise PatchError(
            f"line {line}: the patch is in a mail, encoded as {part.encoding}",
            line=line,
            remedy="apply the mail with git am",
        )


def _may_be_encoded(data: bytes) -> bool:
    """Whether an encoding is named anywhere: searching for headers takes longer than reading the diff."""
    _, *after = data.lower().split(b"content-transfer-encoding:")
    return any(text.lstrip(b" \t").startswith((b"quoted-printable", b"base64")) for text in after)


def decoded(data: bytes, repairs: Repairs) -> bytes:
    """Decode the encoded patches of the mails in *data*."""
    pieces, at = [], 0
    for part in _parts(data):
        line = data.count(b"\n", 0, part.header) + 1
        repairs.add("mail", line, f"decoded a mail from {part.encoding}")
        header = _ENCODING.sub(b"Content-Transfer-Encoding: 8bit", data[at : part.start])
        pieces += [header, part.content]
        at = part.end
    return b"".join([*pieces, data[at:]]) if pieces else data


def _parts(data: bytes) -> Iterator[EncodedPart]:
    """Yield the encoded bodies that hold a diff."""
    end_of_body: re.Pattern[bytes] | None = None
    header = _HEADER.search(data)
    while header is not None:
        start = header.end()
        if match := _ENCODING.search(data, header.start("lines"), header.end("lines")):
            end_of_body = end_of_body or _end_of_body(data)
            end = end_of_body.search(data, start)
            stop = end.start() if end else len(data)
            content = _decode(data[start:stop], encoding := match[1].decode().lower())
            if content is not None and _DIFF.search(content):
                yield EncodedPart(match.start(), encoding, start, stop, content)
            start = stop
        header = _HEADER.search(data, start)


def _end_of_body(data: bytes) -> re.Pattern[bytes]:
    boundaries = {re.escape(match[1]) for match in _BOUNDARY.finditer(data)}
    return re.compile(b"|".join([_NEXT_MAIL, *(rb"^--" + each for each in sorted(boundaries))]), re.MULTILINE)


def _decode(body: bytes, encoding: str) -> bytes | None:
    try:
        content = a2b_qp(body) if encoding == "quoted-printable" else a2b_base64(body)
    except (Error, ValueError):
        return None
    lines = content.split(b"\n")[:-1]
    if lines and all(line.endswith(b"\r") for line in lines):
        content = content.replace(b"\r\n", b"\n")
    return content if content.endswith(b"\n") else content + b"\n"
