from __future__ import annotations

import random
import zlib
from base64 import b85encode
from pathlib import Path

import pytest
from tests.checkouts import RepositoryCopies, git, init
from tests.web.diffs.diff_support import LINKS, Files, view
from tests.web.diffs.html_reader import Reader, foreign

from coatcheck._patches.checkout import Checkout
from coatcheck._patches.file_change import BinaryPart
from coatcheck._patches.parse import Patch
from coatcheck._web.diffs.base_files import CommitFiles
from coatcheck._web.diffs.binary_content import apply_delta, content_of
from coatcheck._web.diffs.file_pictures import sides_of
from coatcheck._web.diffs.file_section import body_html, files_of, section_html
from coatcheck._web.diffs.interdiff import interdiff
from coatcheck._web.diffs.pictures import picture_of

PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x10\0\0\0\x08\x08\x02\0\0\0"
NOISE = random.Random(1).randbytes(20_000)
VERSIONS = (PNG + NOISE, PNG + NOISE[:9_000] + b"one" + NOISE[9_000:], PNG + NOISE[10:] + b"two")


def make_pictures(folder: Path) -> None:
    """Commit a picture and two versions of it, each on the first one."""
    init(folder)
    for number, data in enumerate(VERSIONS):
        (folder / "a b.png").write_bytes(data)
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", f"--message={number}")
        git(folder, "tag", f"v{number}")
    git(folder, "checkout", "--quiet", "v0")


@pytest.fixture
def pictures(repositories: RepositoryCopies, tmp_path: Path) -> Path:
    """A repository with three versions of a picture."""
    return repositories.copy(make_pictures, tmp_path / "repository")


def patch_of(folder: Path, new: str, old: str = "v0") -> Patch:
    """Return git's diff of two versions."""
    return Patch(git(folder, "diff", "--binary", old, new).encode())


def test_gits_binary_patches_have_both_sides(pictures: Path) -> None:
    """Literals and deltas of git are read, forward and backward; the base is that of the repository."""
    reader = CommitFiles(Checkout.at(pictures), "v0")
    [change] = patch_of(pictures, "v1").files
    git(pictures, "rm", "--quiet", "a b.png")
    deleted = Patch(git(pictures, "diff", "--cached", "--binary").encode())

    assert "delta" == change.binary[0].method
    assert VERSIONS[:2] == sides_of(change, reader)
    assert (None, None) == sides_of(change, None)
    assert (VERSIONS[0], None) == sides_of(deleted.files[0], None)


def test_binary_results_of_candidates_are_compared(pictures: Path) -> None:
    """The difference of two pictures is a binary patch that git applies to the first result."""
    reader = CommitFiles(Checkout.at(pictures), "v0")
    [difference] = interdiff(patch_of(pictures, "v1"), patch_of(pictures, "v2"), reader)
    (pictures / "difference").write_bytes(difference.diff)
    git(pictures, "checkout", "--quiet", "v1")
    git(pictures, "apply", "difference")
    [unknown] = interdiff(patch_of(pictures, "v1"), patch_of(pictures, "v2"))

    assert VERSIONS[2] == (pictures / "a b.png").read_bytes()
    assert VERSIONS[1:] == sides_of(Patch(difference.diff).files[0], None)
    assert b"Binary files" in unknown.diff


def test_another_blob_is_not_shown_as_the_base(pictures: Path) -> None:
    """A base whose id is not that of the diff is not taken; HEAD is read for a revision that git would misread."""
    [change] = patch_of(pictures, "v2", "v1").files
    checkout = Checkout.at(pictures)

    assert [None, VERSIONS[0]] == [
        sides_of(change, Files({"a b.png": VERSIONS[0]})).new,
        CommitFiles(checkout, "--output=x").read("a b.png", None),
    ]


def part(method: str, data: bytes, size: int) -> BinaryPart:
    """Return a part of a binary patch."""
    deflated = zlib.compress(data)
    lines = [deflated[at : at + 52] for at in range(0, len(deflated), 52)]
    letters = [len(line) + (64 if len(line) <= 26 else 70) for line in lines]
    encoded = [bytes([letter]) + b85encode(line, pad=True) for letter, line in zip(letters, lines, strict=True)]
    return BinaryPart(method, size, b"\n".join(encoded) + b"\n")


@pytest.mark.parametrize(
    ("made", "source"),
    [
        (part("literal", b"abc", 4), None),
        (part("literal", b"a" * 2_000_000, 2_000_000), None),
        (part("literal", b"a" * 2_000_000, 10), None),
        (BinaryPart("literal", 3, b"Zabc\n"), None),
        (part("delta", b"\x03\x03\x91", 3), b"abc"),
        (part("delta", b"\x04\x03\x90\x03", 4), b"abc"),
        (part("delta", b"\x03\xff\xff\x7f\x80", 5), b"abc"),
        (part("delta", b"\x03\x05\x90\x03\x00", 5), b"abc"),
        (part("delta", b"\x03\x03\x90\x03", 4), None),
    ],
)
def test_parts_that_are_wrong_or_too_large_have_no_content(made: BinaryPart, source: bytes | None) -> None:
    """What does not inflate to its size, is larger than the limit, or is for other content, is not shown."""
    assert content_of(made, source, most=1_000_000) is None


def test_deltas_copy_and_insert() -> None:
    """A delta is git's: copies with offset and size by present bytes, 64 KiB for no size, and inserted bytes."""
    source = bytes(range(256)) * 300
    delta = b"\x80\xd8\x04" + b"\x87\x82\x04" + b"\x80" + b"\x03abc" + b"\xb1\x10\x04\x01"

    target = apply_delta(source, delta, most=1_000_000)

    assert source[:0x10000] + b"abc" + source[0x10 : 0x10 + 0x104] == target


JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0" + b"\0" * 9 + b"\xff\xc2\0\x11\x08\0\x20\0\x40\x03" + b"\0" * 9


@pytest.mark.parametrize(
    ("data", "media_type", "pixels"),
    [
        (PNG, "image/png", (16, 8)),
        (b"GIF89a\x02\0\x03\0\0\0\0", "image/gif", (2, 3)),
        (JPEG, "image/jpeg", (64, 32)),
        (b"\xff\xd8\xff\xe0", "image/jpeg", None),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp", None),
        (b"\0\0\0\x1cftypavif", "image/avif", None),
        (b"BM\0\0\0\0\0\0\0\0", "image/bmp", None),
        (b"\0\0\x01\0\x01\0", "image/x-icon", None),
        (b'<?xml version="1.0"?>\n<!-- x -->\n<svg width="1">', "image/svg+xml", None),
    ],
)
def test_pictures_are_found_by_their_content(data: bytes, media_type: str, pixels: tuple[int, int] | None) -> None:
    """The kind of a picture is that of its bytes, and its size is in its header."""
    picture = picture_of(data)

    assert picture is not None
    assert (media_type, pixels) == (picture.media_type, picture.pixels)


@pytest.mark.parametrize("data", [None, b"", b"%PDF-1.7", b"<html><svg>", b"\x7fELF", b"MZ", b"<svgx>"])
def test_other_files_are_no_pictures(data: bytes | None) -> None:
    """What browsers do not show in an image is no picture, whatever its name is."""
    assert picture_of(data) is None


def test_pictures_are_shown_on_both_sides() -> None:
    """An SVG is shown as pictures, in which no script runs, and as text; a large one is counted and linked."""
    old = b'<svg xmlns="http://www.w3.org/2000/svg">\n</svg>\n'
    text = (
        b"--- a/i.svg\n+++ b/i.svg\n@@ -1,2 +1,3 @@\n"
        b" " + old.split(b"\n")[0] + b"\n+<script>alert(1)</script>\n </svg>\n"
    )
    [file] = files_of(Patch(text).files)
    shown = body_html(file, view("unified", {"i.svg": old}))
    sources = [attributes["src"][:26] for tag, attributes in Reader(shown).elements if tag == "img"]

    assert ["data:image/svg+xml;base64,"] * 2 == sources
    assert [] == foreign(section_html(file, view(), body=shown))
    assert picture_of(PNG + b"\0" * 2_000_000).url is None  # type: ignore[union-attr]
    assert LINKS.raw(file.anchor).endswith(file.anchor)
