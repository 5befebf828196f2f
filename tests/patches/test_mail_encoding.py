"""Mails whose patch is encoded: refused as they are, and decoded as git mailinfo does."""

from __future__ import annotations

import base64
import quopri
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from coatcheck import Patch
from coatcheck.errors import PatchError

DIFF = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n-a = 1\n+é = 3D\n b\n".encode()
HEADER = b"From 0123456789012345678901234567890123456789 Mon Sep 17 00:00:00 2001\nFrom: A <a@example.com>\nSubject: [PATCH] Set it\n"

ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "quoted-printable": quopri.encodestring,
    "base64": base64.encodebytes,
    "BASE64": lambda text: base64.encodebytes(text.replace(b"\n", b"\r\n")),
}


def mail(encoding: str, *, is_part: bool) -> bytes:
    """Return a mail with the diff, in the text or as an attachment."""
    body = ENCODINGS[encoding](DIFF)
    part = b"Content-Type: text/x-patch; charset=UTF-8\nContent-Transfer-Encoding: %s\n\n%s" % (encoding.encode(), body)
    if not is_part:
        return HEADER + b"MIME-Version: 1.0\n" + part
    begin = b'MIME-Version: 1.0\nContent-Type: multipart/mixed;\n boundary="=_b.1"\n\n--=_b.1\n\nSee below.\n'
    return HEADER + begin + b"--=_b.1\n" + part + b"--=_b.1--\n"


@pytest.mark.parametrize("is_part", [False, True], ids=["text", "attachment"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_encoded_mail_is_decoded_only_by_repair(tmp_path: Path, encoding: str, is_part: bool) -> None:
    """The strict parser names the encoding and its line, and a repair finds the diff that git mailinfo finds."""
    text = mail(encoding, is_part=is_part)
    with pytest.raises(PatchError, match=f"the patch is in a mail, encoded as {encoding.lower()}") as caught:
        Patch.parse(text)
    mailinfo = ["git", "mailinfo", "--quoted-cr=strip", "message", "patch"]
    subprocess.run(mailinfo, cwd=tmp_path, input=text, check=True, capture_output=True, timeout=240)
    repaired = Patch.repair(text)
    (change,) = repaired.patch.files

    assert (DIFF.strip(), DIFF, ["mail"]) == (
        (tmp_path / "patch").read_bytes().strip(),
        bytes(change),
        [each.kind for each in repaired.repairs],
    )
    assert f"line {caught.value.line}: " == str(caught.value).partition("the patch")[0]


@pytest.mark.parametrize("boundary", ["nextPart1", "b1_x", "=_b.1", "----=_Part"])
@pytest.mark.parametrize("end", ["--", ""])
def test_a_boundary_ends_the_diff_of_an_attachment(boundary: str, end: str) -> None:
    """The line of a boundary that the mail declares belongs to no hunk, and any other line is still an error."""
    begin = f'MIME-Version: 1.0\nContent-Type: multipart/mixed;\n boundary="{boundary}"\n\n--{boundary}\n\n'.encode()
    text = HEADER + begin + DIFF + f"--{boundary}{end}\n".encode()
    (change,) = Patch.parse(text).files
    with pytest.raises(PatchError, match="more lines than its header counts"):
        Patch.parse(text.replace(f"--{boundary}{end}\n".encode(), b"--other--\n"))

    assert DIFF == bytes(change)


@pytest.mark.parametrize(
    "text",
    [
        HEADER + b"Content-Transfer-Encoding: 8bit\n\nText\n---\n" + DIFF,
        HEADER + b"\nThe header was:\nX\nContent-Transfer-Encoding: base64\n\nand more\n---\n" + DIFF,
        b"Content-Transfer-Encoding: quoted-printable\n\nno diff here\n\nFrom x Mon Sep 17 00:00:00 2001\n\n" + DIFF,
        DIFF + b"diff --git a/m b/m\n--- a/m\n+++ b/m\n@@ -1,2 +1,2 @@\n Content-Transfer-Encoding: base64\n-\n+x\n",
    ],
    ids=["8bit", "in the text", "other mail", "content"],
)
def test_other_mails_are_read_as_they_are(text: bytes) -> None:
    """Only a header declares an encoding, and only where the part that it is of holds a diff."""
    assert text == bytes(Patch.repair(text).patch) == bytes(Patch.parse(text))
