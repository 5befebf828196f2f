"""Write an outcome as a mail that ``git am`` turns into a commit: the format of ``git format-patch``.

* The diff is written anew, so that git reads the same paths as this library.
* The message is an agent's text. A line that git would parse as a diff, a header or the next mail is indented by one
  blank; git's ``mailinfo.c`` and ``mailsplit.c`` then read it as prose.
* ``git am`` takes carriage returns off the ends of lines, so a diff that has any is sent in quoted-printable.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..errors import ConfigurationError, PatchError

if TYPE_CHECKING:
    from datetime import datetime

    from .._patches.parse import Patch

# git am requires an author.
DEFAULT_SENDER = "coatcheck <coatcheck@localhost>"

# The first line that git format-patch writes; programs recognize the format by it.
_SEPARATOR = "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001"
_AUTHOR = re.compile(r"([^<>\x00-\x1f\x7f]*?)\s*<([^<>\s\x00-\x1f\x7f]+)>")
# mailinfo.c, `patchbreak`; mailsplit.c, `is_from_line`.
_PATCH_LINE = re.compile(r"^(?=diff -|Index: |---(?:[ \t]*$| \S)|>?From )", re.MULTILINE)
# mailinfo.c, `check_inbody_header`: only the first lines can be headers.
_HEADER_LINE = re.compile(r"(?=(?:From|Date|Subject|Content-[\w-]+|MIME-Version|In-Reply-To):|\[PATCH)", re.IGNORECASE)
# Control characters but tabs and line feeds; git refuses NULs in a message.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def message(title: str, body: str, *, trailers: tuple[str, ...] = ()) -> str:
    """Return a commit message: a title of one line, a text without control characters, the trailers."""
    text = _CONTROLS.sub("", body.replace("\r\n", "\n")).strip("\n")
    parts = [" ".join(_CONTROLS.sub(" ", title).split()), text, "\n".join(trailers)]
    return "\n\n".join(filter(None, parts)) + "\n"


def mail(patch: Patch | None, *, message: str, author: str = DEFAULT_SENDER, date: datetime | None = None) -> bytes:
    """Return the mail. The first line of *message* is its subject; without *date* ``git am`` takes the present.

    Raises `PatchError` where there is no diff or it cannot be written anew, `ConfigurationError` for an author that
    is not ``NAME <ADDRESS>``.
    """
    from .._patches.diffstat import stat_text
    from .._patches.render_patch import render

    if not patch or not patch.files:
        raise PatchError("there is no diff to send")
    title, _, body = message.partition("\n")
    diff = b"".join(render(change) for change in patch.files)
    text = f"{_prose(body)}\n---\n{stat_text(patch.files)}\n"
    content = text.encode("utf-8", "replace") + diff + f"-- \n{_signature()}\n\n".encode()
    is_plain = b"\r" not in content
    headers = _headers(title, author, date, encoding="8bit" if is_plain else "quoted-printable")
    return headers.encode() + (content if is_plain else _quoted_printable(content))


def _headers(title: str, author: str, date: datetime | None, *, encoding: str) -> str:
    lines = {
        "From": _address(author),
        "Date": date and _date(date),
        "Subject": f"[PATCH] {_encoded(title)}",
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=UTF-8",
        "Content-Transfer-Encoding": encoding,
    }
    return "\n".join((_SEPARATOR, *(f"{name}: {value}" for name, value in lines.items() if value), "\n"))


def _address(author: str) -> str:
    from email.utils import formataddr  # 15 ms, like everything of `email`

    match = _AUTHOR.fullmatch(author.strip())
    if match is None or not match[2].isascii():
        raise ConfigurationError(f"{author!r} is not an author", remedy="give NAME <ADDRESS>")
    return formataddr((match[1], match[2]))


def _date(moment: datetime) -> str:
    from email.utils import format_datetime

    return format_datetime(moment)


def _encoded(title: str) -> str:
    """Return a subject as RFC 2047 has it where it is not ASCII."""
    if title.isascii():
        return title
    from email.header import Header

    return Header(title.encode("utf-8", "replace").decode(), "utf-8").encode(linesep="\n")


def _prose(body: str) -> str:
    text = _PATCH_LINE.sub(" ", body.strip("\n"))
    return f" {text}" if _HEADER_LINE.match(text) else text


def _quoted_printable(content: bytes) -> bytes:
    from binascii import b2a_qp

    # Line by line: where it sees a whole text, b2a_qp leaves the carriage returns at its lines' ends as they are.
    lines = content.split(b"\n")
    return b"\n".join(b2a_qp(line, quotetabs=True, istext=False) for line in lines)


def _signature() -> str:
    from .._version import __version__

    return f"coatcheck {__version__}"
