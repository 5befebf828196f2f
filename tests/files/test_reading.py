"""Only files that end are read, and a named pipe is not waited for."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from coatcheck import errors
from coatcheck._credentials.login_store import FileStore
from coatcheck._files.private import read_private
from coatcheck._files.reading import read_named_file, read_regular_file
from coatcheck._runtime.config import read_file

REASONS = {
    "folder": "it is a folder",
    "pipe": "it is a named pipe",
    "socket": "it is a socket",
    "device": "it is a device",
}


@pytest.fixture(params=REASONS)
def special(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A path of something that is not a regular file; its name is the kind."""
    path = tmp_path / request.param
    monkeypatch.chdir(tmp_path)  # the path of a socket has at most 107 bytes
    with socket.socket(socket.AF_UNIX) as server:
        {
            "folder": path.mkdir,
            "pipe": lambda: os.mkfifo(path),
            "socket": lambda: server.bind(request.param),
            "device": lambda: path.symlink_to("/dev/zero"),
        }[request.param]()
        yield path


def test_what_is_not_a_regular_file_is_named(special: Path) -> None:
    """Reading a folder, a named pipe, a socket or a device fails at once, with what it is."""
    with pytest.raises(OSError, match=REASONS[special.name]) as caught:
        read_regular_file(special)

    assert REASONS[special.name] == caught.value.strerror


def test_a_login_that_is_not_a_regular_file_is_one_error(special: Path) -> None:
    """A login that is a named pipe does not block, and the error says what it is."""
    with pytest.raises(errors.NotLoggedInError) as caught:
        FileStore(str(special), locks=()).read()

    assert f"the login {special} cannot be read: {REASONS[special.name]}" == str(caught.value)


def test_settings_that_are_not_a_regular_file_are_one_error(special: Path) -> None:
    """A settings file that is a named pipe does not block, and the error says what it is."""
    with pytest.raises(errors.ConfigurationError) as caught:
        read_file(str(special))

    assert f"{special} cannot be read: {REASONS[special.name]}" == str(caught.value)


def test_a_private_file_that_is_not_a_regular_file_is_none(special: Path) -> None:
    """What lies in place of a private file of ours is not waited for."""
    content = read_private(str(special))

    assert content is None


def test_a_device_without_an_end_is_not_read(special: Path) -> None:
    """A file that is named for one command may be a pipe, and nothing else that is not a regular file."""
    if special.name == "pipe":
        special.unlink()
        special.mkdir()
    with pytest.raises(OSError, match="it is a") as caught:
        read_named_file(special)

    assert caught.value.strerror in REASONS.values()


@pytest.mark.parametrize("content", [b"", b"text"])
def test_a_pipe_that_is_named_is_read_to_its_end(content: bytes) -> None:
    """A shell's <(command) is a pipe under /dev/fd."""
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    read = read_named_file(f"/dev/fd/{reading}")
    os.close(reading)

    assert content == read
