from __future__ import annotations

import os
import sys
import types
from pathlib import Path

import pytest
from tests.credentials.login_environment import LoginEnvironment, both_variants

from coatcheck import errors
from coatcheck._credentials.login_store import FileStore, KeyringStore
from coatcheck._credentials.refresh import fingerprint_of
from coatcheck._credentials.refresh_log import PREFIX, RETENTION, SPENT, RefreshLog, RefreshRecord
from coatcheck._installation import install_command
from coatcheck._protocol.login_contract import Keyring
from coatcheck.cloud.faults import Reset
from coatcheck.providers._chatgpt.credentials import keyring_entry, write_auth_file

# -- files -------------------------------------------------------------------------------------------------------------


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old file is unchanged, no temporary file is left, and the error names the file and the reason."""
    store = FileStore(str(tmp_path / "auth.json"), locks=())
    store.write(b"old")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(5, "Input/output error")))

    with pytest.raises(errors.PersistenceError, match=r"auth\.json: Input/output error"):
        store.write(b"new")

    assert (b"old", ["auth.json"]) == (store.read(), os.listdir(tmp_path))


@pytest.mark.parametrize("mode", [0o400, 0o000])
def test_a_file_without_write_permission_is_an_obstacle(tmp_path: Path, mode: int) -> None:
    """Even for root, who could."""
    path = tmp_path / "auth.json"
    path.write_bytes(b"")
    path.chmod(mode)

    assert f"{path} is read-only" == FileStore(str(path), locks=()).obstacle()


def test_a_folder_in_the_way_is_one_clear_error(tmp_path: Path) -> None:
    """A folder in place of the file cannot be read, and a folder that cannot be created is named."""
    (tmp_path / "auth.json").mkdir()
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(errors.NotLoggedInError, match="cannot be read: it is a folder"):
        FileStore(str(tmp_path / "auth.json"), locks=()).read()
    with pytest.raises(errors.PersistenceError, match="cannot be created"):
        FileStore(str(tmp_path / "file" / "auth.json"), locks=()).prepare()


# -- notes -------------------------------------------------------------------------------------------------------------


def test_a_note_counts_and_concludes(tmp_path: Path) -> None:
    """Presented twice, withdrawn once, concluded."""
    notes = RefreshLog(str(tmp_path / "refreshes"))
    notes.present("f", now=5.0)
    notes.present("f", now=6.0)
    notes.withdraw("f")
    notes.conclude("f", SPENT)

    assert RefreshRecord(presented=1, at=6.0, pid=os.getpid(), outcome=SPENT) == notes.find("f")


def test_old_notes_are_deleted(tmp_path: Path) -> None:
    """Notes are deleted after two months by the clock argument."""
    notes = RefreshLog(str(tmp_path))
    notes.present("old", now=1000.0)
    notes.present("new", now=1000.0 + RETENTION + 1)

    assert ["new"] == os.listdir(tmp_path)


@pytest.mark.parametrize("source", ["shared", "own"])
def test_a_login_is_refreshed_without_a_state_folder(tmp_path: Path, source: str) -> None:
    """Where the state folder cannot be written, the folder of the login holds the note and the reserved space."""
    logins = LoginEnvironment(tmp_path)
    (tmp_path / "state").write_bytes(b"in the way")
    path = logins.own if source == "own" else logins.shared
    held = logins.put(logins.issue(ends_in=-10), path)
    secret = logins.secret(logins.login(source))

    assert (1, 1, True) == (logins.presented[fingerprint_of(held)], logins.refreshes, logins.accepts(secret))


def test_a_note_beside_the_login_is_used_by_the_next_process(tmp_path: Path) -> None:
    """A token that was not answered is not presented again while its access token works, wherever its note is."""
    logins = LoginEnvironment(tmp_path)
    (tmp_path / "state").write_bytes(b"in the way")
    held = logins.put(logins.issue(ends_in=30))
    logins.cloud.faults.append(Reset(on="token", times=1))
    logins.secret(logins.login())
    (tmp_path / "state").unlink()
    logins.secret(logins.login())

    assert 1 == logins.presented[fingerprint_of(held)]


def test_old_notes_beside_a_login_are_deleted(tmp_path: Path) -> None:
    """After sixty days a note is deleted there as well, and no file of another program is."""
    logins = LoginEnvironment(tmp_path)
    (tmp_path / "state").write_bytes(b"in the way")
    old, other = (logins.shared.parent / name for name in (f"{PREFIX}0", "config.toml"))
    for path in (old, other):
        path.write_text("{}")
        os.utime(path, (0, 0))
    logins.put(logins.issue(ends_in=-10))
    logins.secret(logins.login())

    assert (False, True) == (old.exists(), other.exists())


def test_a_note_that_cannot_be_written_stops_the_refresh(tmp_path: Path) -> None:
    """A token that could be noted nowhere is not presented."""
    logins = LoginEnvironment(tmp_path)
    (tmp_path / "state").write_bytes(b"in the way")
    held = logins.put(logins.issue(ends_in=-10))
    (logins.shared.parent / f"{PREFIX}{fingerprint_of(held)}").mkdir()

    with pytest.raises(errors.CredentialsError, match="was not refreshed, since") as caught:
        logins.secret(logins.login())

    assert ("COATCHECK_STATE_HOME" in (caught.value.remedy or ""), 0) == (True, logins.refreshes)


def test_notes_hold_no_token(logins: LoginEnvironment) -> None:
    """A fingerprint is enough."""
    held = logins.put(logins.issue(ends_in=10))
    logins.secret(logins.login())
    (name,) = os.listdir(logins.folder / "state" / "refreshes")
    content = (logins.folder / "state" / "refreshes" / name).read_text()

    assert held.refresh_token not in name + content
    assert 32 == len(name)


# -- keyrings ----------------------------------------------------------------------------------------------------------


class Ring:
    """A keyring in memory, as the package keyring offers it."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.entries[service, username]


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> Ring:
    """A keyring that is not the machine's."""
    ring, module = Ring(), types.ModuleType("keyring")
    module.get_keyring = lambda: ring  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", module)
    return ring


@both_variants
def test_a_login_in_the_keyring_is_used_and_refreshed(logins: LoginEnvironment, ring: Ring) -> None:
    """The official client's entry, kept compact, under its own locks."""
    entry = ("Codex Auth", keyring_entry(str(logins.shared.parent.resolve())))
    ring.entries[entry] = write_auth_file(None, logins.issue(ends_in=10)).decode()
    secret = logins.secret(logins.login("keyring"))

    assert secret.token in ring.entries[entry]
    assert "\n" not in ring.entries[entry]
    assert (1, True) == (logins.refreshes, logins.accepts(secret))


@both_variants
def test_an_empty_keyring_is_no_login(logins: LoginEnvironment, ring: Ring) -> None:
    """It names the entry."""
    with pytest.raises(errors.NotLoggedInError, match="there is no keyring entry 'Codex Auth'"):
        logins.secret(logins.login("keyring"))


def test_without_the_extra_the_remedy_is_to_install_it(
    logins: LoginEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line instead of an ImportError."""
    monkeypatch.setitem(sys.modules, "keyring", None)

    with pytest.raises(errors.ConfigurationError, match="one more package") as caught:
        logins.secret(logins.login("keyring"))

    assert f"install it with: {install_command('keyring')}" == caught.value.remedy


def test_a_locked_keyring_is_one_clear_error(
    logins: LoginEnvironment, ring: Ring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any error of a keyring is reported without its text, which may quote the entry."""
    monkeypatch.setattr(ring, "get_password", lambda *_: (_ for _ in ()).throw(RuntimeError("rt_secret")))

    with pytest.raises(errors.NotLoggedInError, match="cannot be used: RuntimeError") as caught:
        logins.secret(logins.login("keyring"))

    assert "rt_secret" not in str(caught.value)


class Item:
    """An item of a Secret Service that another program made."""

    def __init__(self, secret: bytes) -> None:
        self.secret = secret

    def set_secret(self, secret: bytes) -> None:
        self.secret = secret


def test_another_programs_item_is_changed_in_place(tmp_path: Path, ring: Ring) -> None:
    """The item is changed, since its program would not read a second one."""
    item, asked = Item(b"old"), []

    class Collection:
        def search_items(self, attributes: dict[str, str]) -> list[Item]:
            asked.append(attributes)
            return [item]

    ring.get_preferred_collection = Collection  # type: ignore[attr-defined]
    KeyringStore(Keyring(service="S", account=lambda _: "me"), home=str(tmp_path), locks=()).write(b'{"a": 1}')

    assert (b'{"a":1}', {}, [{"service": "S", "username": "me"}]) == (item.secret, ring.entries, asked)
