"""Archives from untrusted workflows."""

from __future__ import annotations

import io
import struct
import zipfile

import msgspec
import pytest
from hypothesis import given, strategies as st

from coatcheck.providers.github_actions import result_artifact
from coatcheck.testing.emulators.github_runs import PATCH, archive, made

GOOD = archive(made({"prompt": "p"}) or {})


def test_three_files_are_a_result() -> None:
    """A message, a patch, and facts."""
    document = {"branch": "b", "commit_message": "Say hello", "pull_request": {"number": 3, "title": "t"}, "model": "m"}
    files = {"message.md": b" hi\n", "patch.diff": PATCH.encode(), "result.json": msgspec.json.encode(document)}
    found = result_artifact.read(archive(files))
    pull = found.pull_request

    assert ("hi", PATCH, "b", "m") == (found.messages[0].text, str(found.patch), found.branch, found.model)
    assert pull is not None
    assert (3, "t", "Say hello") == (pull.number, pull.title, pull.commit_message)


@pytest.mark.parametrize("name", ["../patch.diff", "/patch.diff", "a/patch.diff", "patch.diff/", "PATCH.DIFF"])
def test_a_file_elsewhere_is_not_read(name: str) -> None:
    """Only the three names at the root of an archive are read, and nothing is written."""
    assert result_artifact.Result() == result_artifact.read(archive({name: b"evil"}))


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_byte_order_mark_is_no_part_of_a_file(mark: bytes) -> None:
    """A byte-order mark is ignored in the message and in the facts."""
    files = {"message.md": mark + b"hi", "result.json": mark + b'{"branch": "b"}'}
    result = result_artifact.read(archive(files))

    assert ("hi", "b") == (result.messages[0].text, result.branch)


def test_reading_stops_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand times its archive's size, and never in memory."""
    monkeypatch.setattr(result_artifact, "MAX_FILE", 2**20)
    bomb = archive({"message.md": b"0" * 2**24})

    assert (True, "no_result") == (len(bomb) < 2**16, result_artifact.read(bomb).notices[0].kind)


def test_a_wrong_size_is_not_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The archive declares one byte for a file."""
    monkeypatch.setattr(result_artifact, "MAX_FILE", 2**20)
    bomb = bytearray(archive({"message.md": b"0" * 2**24}))
    place = bomb.rindex(b"PK\x01\x02") + 24
    struct.pack_into("<L", bomb, place, 1)
    found = result_artifact.read(bytes(bomb))

    assert found.notices or len(found.messages[0].text) <= 1


def test_an_encrypted_archive_is_a_notice() -> None:
    """There is no password for it."""
    locked = bytearray(archive({"message.md": b"x"}))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        struct.pack_into("<H", locked, locked.index(mark) + at, 1)

    assert ["no_result"] == [notice.kind for notice in result_artifact.read(bytes(locked)).notices]


@pytest.mark.parametrize("document", [b"[]", b"{", b"\xff", b'{"branch": 3, "pull_request": []}', b"[" * 100_000])
def test_facts_that_are_none_are_left_out(document: bytes) -> None:
    """The message and the patch stand without them."""
    found = result_artifact.read(archive({"result.json": document, "message.md": b"hi"}))

    assert ("hi", None) == (found.messages[0].text, found.branch)


@given(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=8))
def test_a_broken_archive_is_a_result_or_a_notice(place: int, noise: bytes) -> None:
    """Any damage gives a result or a notice, never an exception."""
    broken = GOOD[:place] + noise + GOOD[place + len(noise) :]

    assert isinstance(result_artifact.read(broken), result_artifact.Result)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_notice(data: bytes) -> None:
    """The notice names content that is no archive."""
    try:
        zipfile.ZipFile(io.BytesIO(data))
    except zipfile.BadZipFile:
        assert ["no_result"] == [notice.kind for notice in result_artifact.read(data).notices]
