"""The file of webhook secrets: who has which, and for how long."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest

from coatcheck import errors
from coatcheck._webhooks.secrets_file import OVERLAP, Secret, SecretsFile


@pytest.fixture
def file(tmp_path: Path) -> SecretsFile:
    """Return a file that does not exist yet, in a folder that does not exist yet."""
    return SecretsFile(str(tmp_path / "state/hooks.json"))


def test_a_secret_is_kept(file: SecretsFile, tmp_path: Path) -> None:
    """The secret of a name is read back, from a file that only its owner may read."""
    file.add("h1", "whsec_one", now=0)
    mode = stat.S_IMODE((tmp_path / "state/hooks.json").stat().st_mode)

    assert (["whsec_one"], [], 0o600) == (file.get("h1", now=1), file.get("h2", now=1), mode)


def test_a_replaced_secret_is_valid_for_a_day(file: SecretsFile) -> None:
    """After a rotation both secrets are valid, the newest first, and then only the new one."""
    file.add("h1", "former", now=0)
    file.add("h1", "new", now=100)
    valid = [file.get("h1", now=now) for now in (100, 100 + OVERLAP - 1, 100 + OVERLAP)]

    assert [["new", "former"], ["new", "former"], ["new"]] == valid


def test_a_secret_can_be_replaced_at_once(file: SecretsFile) -> None:
    """Without overlap the former secret is removed."""
    file.add("h1", "former", now=0)
    file.add("h1", "new", now=100, overlap=0)

    assert ["new"] == file.get("h1", now=100)


def test_a_secret_is_removed(file: SecretsFile) -> None:
    """Removing a name removes its secrets and no others."""
    file.add("h1", "one", now=0)
    file.add("h2", "two", now=0)
    removed = (file.remove("h1"), file.remove("h1"))

    assert ((True, False), ["h2"]) == (removed, file.names())


def test_two_programs_lose_no_secret(file: SecretsFile) -> None:
    """Secrets that are added at the same time are all kept."""
    threads = [threading.Thread(target=file.add, args=(f"h{n}", "s"), kwargs={"now": 0}) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 10 == len(file.names())


def test_an_unreadable_file_is_one_clear_error(file: SecretsFile, tmp_path: Path) -> None:
    """A damaged file is named, and not replaced by an empty one."""
    file.add("h1", "one", now=0)
    (tmp_path / "state/hooks.json").write_text('{"h1": [{"text": "on')
    for act in (lambda: file.get("h1", now=0), lambda: file.add("h2", "two", now=0)):
        with pytest.raises(errors.ConfigurationError, match="is not readable"):
            act()

    assert '{"h1": [{"text": "on' == (tmp_path / "state/hooks.json").read_text()


def test_a_secret_is_not_shown() -> None:
    """The repr of a secret does not contain it."""
    assert "Secret(ends_at=None)" == repr(Secret(text="whsec_x"))
