from __future__ import annotations

import zlib
from base64 import b85encode

import pytest

from coatcheck import Patch
from coatcheck._patches.policy import Policy
from coatcheck.errors import PatchRejectedError

from .conftest import Repository

MIB = 2**20
NONE = b"literal 0\nHcmV?d00001\n\n"
SMALL = Policy(largest_file=MIB, largest_total=3 * MIB)


def lines(data: bytes) -> bytes:
    """Return *data* in base 85, as git's binary patches have it."""
    parts = [data[at : at + 52] for at in range(0, len(data), 52)]
    return b"".join(
        bytes([len(part) + (64 if len(part) <= 26 else 70)]) + b85encode(part.ljust(-(-len(part) // 4) * 4, b"\0")) + b"\n"
        for part in parts
    )  # fmt: skip


def number(value: int) -> bytes:
    """Return a size as a delta has it."""
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def literal(size: int, claim: int | None = None) -> bytes:
    """Return the part whose content is so many zeros."""
    return b"literal %d\n%s\n" % (size if claim is None else claim, lines(zlib.compress(bytes(size), 9)))


def delta(source: int, size: int) -> bytes:
    """Return the part that copies the whole *source* again and again."""
    data = number(source) + number(size) + b"\x80" * (size // 65536)
    return b"delta %d\n%s\n" % (len(data), lines(zlib.compress(data, 9)))


def binary(path: str, forward: bytes, backward: bytes = NONE, *, old: bytes = b"0" * 40) -> bytes:
    """Return the diff of a binary file."""
    name = path.encode()
    head = b"diff --git a/%s b/%s\n" % (name, name)
    new = b"new file mode 100644\n" if old == b"0" * 40 else b""
    mode = b"" if new else b" 100644"
    return b"%s%sindex %s..%s%s\nGIT binary patch\n%s%s" % (head, new, old, b"1" * 40, mode, forward, backward)


def copies(count: int) -> bytes:
    """Return the diff that copies one file so often."""
    return b"".join(
        b"diff --git a/big b/copy%d\nsimilarity index 100%%\ncopy from big\ncopy to copy%d\n" % (n, n)
        for n in range(count)
    )


BOMBS = {
    "literal": binary("n", literal(2 * MIB)),
    "delta": binary("a.bin", delta(65536, 2 * MIB), old=b"a" * 40),
    "delta that lies": binary("a.bin", delta(65536, 0).replace(b"delta ", b"delta 9999999"), old=b"a" * 40),
    "literal that lies": binary("n", literal(10, claim=10**12)),
    "backward": binary("a.bin", delta(65536, 65536), literal(2 * MIB), old=b"a" * 40),
    "many": b"".join(binary(f"n{n}", literal(MIB)) for n in range(4)),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_what_makes_too_much_is_refused(bomb: bytes) -> None:
    """Limits hold for the result of a literal, of a delta, and of all files, whatever the patch is like."""
    with pytest.raises(PatchRejectedError) as caught:
        Patch.parse(bomb).verify(policy=SMALL)

    assert {"too-large"} == {finding.rule for finding in caught.value.reasons}


def test_limits_are_bounds() -> None:
    """A file that is exactly as large as the limit passes, and the default limits let ordinary files pass."""
    exact = Patch(binary("n", literal(MIB)))

    assert [{"binary", "large-file"}] * 2 == [
        {finding.rule for finding in exact.verify(policy=policy).findings} for policy in (SMALL, None)
    ]


def test_the_default_refuses_a_bomb() -> None:
    """A few hundred bytes that make 64 MiB are refused without any option, and allowed by ignoring the rule."""
    patch = Patch(binary("a.bin", delta(65536, 64 * MIB), old=b"a" * 40))
    with pytest.raises(PatchRejectedError, match="67,108,864 bytes would be written"):
        patch.verify()
    allowed = patch.verify(policy=Policy(ignore=["too-large"]))

    assert "large-file" in {finding.rule for finding in allowed.findings}


@pytest.fixture
def checkout(repository: Repository) -> Repository:
    """A repository with a file of 2 MiB."""
    repository.commit({"big": bytes(2 * MIB)})
    return repository


def test_copies_count_as_what_they_copy(checkout: Repository) -> None:
    """``copy from`` makes as much as its source holds; read from the checkout, in verification and in application."""
    patch = Patch(copies(2))
    with pytest.raises(PatchRejectedError, match="4,194,454 bytes would be written"):
        patch.verify(base=checkout.folder, policy=Policy(largest_total=3 * MIB))
    unjudged = patch.verify(policy=Policy(largest_total=3 * MIB))
    with pytest.raises(PatchRejectedError, match="limit of all files"):
        unjudged.apply(checkout.folder)
    with pytest.raises(PatchRejectedError, match="limit of all files"):
        unjudged.commit(checkout.folder, branch="new", message="m")

    assert ["big"] == sorted(path.name for path in checkout.folder.iterdir() if path.name != ".git")


def test_a_large_file_may_change(checkout: Repository) -> None:
    """A file that is beyond the limit already may stay as large as it is."""
    blob = checkout.git("rev-parse", "HEAD:big").strip()
    patch = Patch(binary("big", delta(2 * MIB, 2 * MIB), literal(2 * MIB), old=blob))
    findings = patch.verify(base=checkout.folder, policy=SMALL).findings

    assert {"binary", "large-file"} == {finding.rule for finding in findings}
