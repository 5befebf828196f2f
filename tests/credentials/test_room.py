"""Full disks: a refresh token is presented only when its successor can be kept, and what was kept is found again."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.credentials.household import Household
from tests.credentials.test_login_store import Ring, ring  # noqa: F401 - a fixture

from coatcheck import errors
from coatcheck._credentials.login_flows import log_out
from coatcheck._credentials.login_sources import Source
from coatcheck._credentials.login_status import status_of
from coatcheck._credentials.refresh import GROWTH
from coatcheck._credentials.refresh_policy import fingerprint
from coatcheck._protocol.login_contract import Tokens
from coatcheck.cloud.issued_tokens import digest_of
from coatcheck.providers.codex.credentials import keyring_entry, write_auth_file

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shared login is only read there")


@pytest.fixture
def full_disk() -> Iterator[Callable[[], None]]:
    """Return what lets no file of this process grow beyond a small note, as a quota does; called again, it ends that."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    limits = [before, (4096, before[1])]

    def toggle() -> None:
        limits.reverse()
        resource.setrlimit(resource.RLIMIT_FSIZE, limits[0])

    yield toggle
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def beside(house: Household, held: Tokens, path: Path | None = None) -> Path:
    """Return the temporary file that is reserved beside a login."""
    path = path or house.shared
    return path.parent / f".{path.name}.{fingerprint(held.refresh_token or '')}.coatcheck"


def block(path: Path) -> None:
    """Put something in the way of a file that root cannot write either."""
    path.unlink(missing_ok=True)
    path.mkdir(parents=True)


def second(house: Household) -> Path:
    """Return the folder of the second place."""
    return house.folder / "state" / "unsaved-logins"


def during_the_refresh(house: Household, act: Callable[[], object]) -> None:
    """Let *act* happen while the login service works on the next refresh."""
    handle = house.cloud.handle

    def meanwhile(request: object) -> object:
        answer = handle(request)
        if request.path == "/oauth/token":
            house.cloud.handle = handle
            act()
        return answer

    house.cloud.handle = meanwhile


def files(folder: Path) -> list[str]:
    """Return the names in a folder that are no lock files."""
    return sorted(name for name in os.listdir(folder) if not name.endswith(".lock")) if folder.exists() else []


@pytest.mark.parametrize("source", ["own", "shared"])
def test_a_full_disk_leaves_the_token_unpresented(
    household: Household, full_disk: Callable[[], None], source: str
) -> None:
    """A login that works goes on; one that has expired is one clear error; with room again, both are refreshed."""
    house = household
    path = house.own if source == "own" else house.shared
    held = house.put(house.issue(ends_in=30), path)
    login = house.login(source)
    full_disk()
    served = house.secret(login).token
    house.clock.advance(31)
    with pytest.raises(errors.PersistenceError, match="could not be saved") as caught:
        house.secret(house.login(source))
    presented, left = house.refreshes, files(path.parent)
    full_disk()

    assert (held.access_token, 0, [path.name]) == (served, presented, left)
    assert "free disk space" in (caught.value.remedy or "")
    assert house.accepts(house.secret(login))


def test_a_refresh_on_demand_and_after_a_401_name_the_full_disk(
    household: Household, full_disk: Callable[[], None]
) -> None:
    """Neither presents the token."""
    house = household
    house.put(house.issue())
    login = house.login()
    rejected = house.secret(login)
    full_disk()
    for script in (login.refresh_tokens, lambda: login.renew_secret(rejected)):
        with pytest.raises(errors.PersistenceError, match="could not be saved"):
            house.do(script())

    assert 0 == house.refreshes


def test_room_for_tokens_that_are_longer_than_before_is_reserved(household: Household) -> None:
    """While the service works there are bytes beside the login and in the second place, also for longer tokens."""
    house = household
    held = house.put(house.issue(ends_in=10))
    size = house.shared.stat().st_size + GROWTH
    seen = []
    spent = fingerprint(held.refresh_token or "")
    paths = [beside(house, held), second(house) / f"{spent}.json"]
    during_the_refresh(house, lambda: seen.extend((p.stat().st_size, p.stat().st_mode & 0o777) for p in paths))
    house.secret(house.login())

    assert [(size, 0o600)] * 2 == seen
    assert (["auth.json"], []) == (files(house.shared.parent), files(second(house)))


def test_what_was_reserved_is_enough_on_a_full_disk(household: Household, full_disk: Callable[[], None]) -> None:
    """The disk fills up while the service works: nothing that is written afterwards is a new file."""
    house = household
    held = house.put(house.issue(ends_in=10))
    folders = [house.shared.parent, second(house)]

    def fill() -> None:
        for folder in folders:
            (folder / "before").write_text("\n".join(sorted(os.listdir(folder))))

    during_the_refresh(house, fill)
    secret = house.secret(house.login())

    assert secret.token == house.read().access_token != held.access_token
    assert beside(house, held).name in (house.shared.parent / "before").read_text()


def test_without_room_beside_it_a_login_that_works_is_left_alone(household: Household) -> None:
    """Other programs know only that place; once the login has expired, the second place is enough."""
    house = household
    held = house.put(house.issue(ends_in=30))
    block(beside(house, held))
    login = house.login()
    served, before = house.secret(login).token, house.refreshes
    house.clock.advance(31)
    fresh = house.secret(login)

    assert (held.access_token, 0, True, 1) == (served, before, house.accepts(fresh), house.refreshes)


def test_without_a_second_place_the_first_is_enough(household: Household) -> None:
    """A file is in the way of the folder in the state folder."""
    house = household
    house.put(house.issue(ends_in=10))
    (house.folder / "state").mkdir()
    second(house).write_text("in the way")

    assert house.accepts(house.secret(house.login()))


def only_in_the_second_place(house: Household, source: str = "shared", ends_in: float = -10) -> Tokens:
    """Refresh a login whose own place cannot be written any more when the answer comes; return the spent tokens."""
    path = house.own if source == "own" else house.shared
    held = house.put(house.issue(ends_in=ends_in), path)
    obstacle = beside(house, held, path)
    during_the_refresh(house, lambda: block(obstacle))
    assert house.accepts(house.secret(house.login(source)))
    assert held.refresh_token == house.read(path).refresh_token
    obstacle.rmdir()
    return held


@pytest.mark.parametrize("source", ["own", "shared"])
def test_a_login_in_the_second_place_is_restored_by_the_next_reader(household: Household, source: str) -> None:
    """Another process finds it, puts it in its own place, and presents nothing."""
    house = household
    path = house.own if source == "own" else house.shared
    held = only_in_the_second_place(house, source)
    secret = house.secret(house.login(source))

    assert secret.token == house.read(path).access_token != held.access_token
    assert (True, 1, []) == (house.accepts(secret), house.refreshes, files(second(house)))


def test_the_status_restores_a_login_as_well(household: Household) -> None:
    """It shows the tokens that work."""
    house = household
    held = only_in_the_second_place(house)
    status = house.do(status_of(house.login()))

    assert (True, True, ()) == (status.is_logged_in, status.can_refresh, status.problems)
    assert held.refresh_token != house.read().refresh_token


def test_a_status_says_where_the_newest_tokens_are(household: Household) -> None:
    """The login's own place still cannot be written: they are used all the same."""
    house = household
    only_in_the_second_place(house)
    block(house.shared.parent / ".auth.json.new.coatcheck")
    status = house.do(status_of(house.login()))

    assert status.is_logged_in
    assert "unsaved-logins until" in status.problems[-1]
    assert house.accepts(house.secret(house.login()))


def test_tokens_of_the_second_place_can_be_refreshed_in_their_turn(household: Household) -> None:
    """The login's own place stays unwritable for three refreshes, then gets the newest tokens."""
    house = household
    held = only_in_the_second_place(house)
    block(house.shared.parent / ".auth.json.new.coatcheck")
    for _ in range(3):
        house.clock.advance(7200)
        current = house.do(house.login().stored(Source.SHARED).read())
        block(beside(house, current))
        assert house.accepts(house.secret(house.login()))
    stored = house.read()
    (house.shared.parent / ".auth.json.new.coatcheck").rmdir()
    secret = house.secret(house.login())

    assert (held.refresh_token, 4) == (stored.refresh_token, house.refreshes)
    assert (secret.token, []) == (house.read().access_token, files(second(house)))


def test_a_running_program_saves_its_login_as_soon_as_it_can(household: Household) -> None:
    """The program that refreshed goes on with its tokens, reports once, and writes them in their place later."""
    house = household
    held = house.put(house.issue(ends_in=-10))
    obstacle = beside(house, held)
    blocked = house.shared.parent / ".auth.json.new.coatcheck"
    during_the_refresh(house, lambda: (block(obstacle), block(blocked)))
    login, reports = house.login(), []
    login.on_trouble = reports.append
    secrets = [house.secret(login).token]
    house.clock.advance(120)
    secrets.append(house.secret(login).token)
    blocked.rmdir()
    house.clock.advance(120)
    secrets.append(house.secret(login).token)

    assert ({house.read().access_token}, 1, 1) == (set(secrets), len(reports), house.refreshes)
    assert "is kept in" in reports[0]


def test_tokens_that_could_be_saved_nowhere_are_an_error_and_still_used(household: Household) -> None:
    """Both places broke while the service worked: one error, and this program holds the login until it can save it."""
    house = household
    held = house.put(house.issue(ends_in=-10))
    spent = fingerprint(held.refresh_token or "")
    obstacles = [beside(house, held), second(house) / f"{spent}.json"]
    during_the_refresh(house, lambda: [block(each) for each in obstacles])
    login = house.login()
    with pytest.raises(errors.PersistenceError, match="could not be saved"):
        house.secret(login)
    secret = house.secret(login)
    for each in obstacles:
        each.rmdir()
    house.clock.advance(120)

    assert (True, secret.token) == (house.accepts(secret), house.secret(login).token)
    assert (house.read().access_token, 1) == (secret.token, house.refreshes)


def test_a_new_login_is_not_replaced_by_an_older_second_place(household: Household) -> None:
    """Somebody logged in again: the successor of the tokens before it fits no longer, whatever its times say."""
    house = household
    only_in_the_second_place(house)
    newer = house.put(house.issue())

    assert newer.access_token == house.secret(house.login()).token == house.read().access_token


def test_the_second_place_of_another_account_is_not_used(household: Household) -> None:
    """The file names another account than the successor: it stays as it is."""
    house = household
    held = only_in_the_second_place(house, ends_in=-10)
    text = house.shared.read_text().replace('"acc-1"', '"acc-2"')
    house.shared.write_text(text)
    with pytest.raises(errors.RefreshError):
        house.secret(house.login())

    assert held.refresh_token == house.read().refresh_token


def test_logging_out_ends_and_deletes_the_second_place(household: Household) -> None:
    """The newest tokens are revoked, and no token is left on the disk."""
    house = household
    only_in_the_second_place(house, "own")
    block(house.own.parent / ".default.json.new.coatcheck")
    (kept,) = second(house).iterdir()
    newest = house.read(kept)
    revoked = house.do(log_out(house.login()))

    assert (True, [], False) == (revoked, files(second(house)), house.own.exists())
    assert "" != house.cloud.book._store.find(digest_of(newest.refresh_token or "")).state


def test_a_read_only_source_uses_the_second_place_and_writes_nothing(household: Household) -> None:
    """The tokens there work, those in the file do not."""
    house = household
    held = only_in_the_second_place(house)
    secret = house.secret(house.login("shared-readonly"))

    assert (True, held.refresh_token) == (house.accepts(secret), house.read().refresh_token)


def test_a_keyring_needs_the_second_place(household: Household, ring: Ring) -> None:  # noqa: F811
    """A keyring reserves nothing: without the second place its refresh token is not presented."""
    house = household
    entry = ("Codex Auth", keyring_entry(str(house.shared.parent.resolve())))
    ring.entries[entry] = write_auth_file(None, house.issue(ends_in=-10)).decode()
    (house.folder / "state").mkdir()
    second(house).write_text("in the way")
    with pytest.raises(errors.PersistenceError, match="unsaved-logins"):
        house.secret(house.login("keyring"))
    second(house).unlink()

    assert (0, True) == (house.refreshes, house.accepts(house.secret(house.login("keyring"))))


def test_a_keyring_that_was_locked_meanwhile_gets_its_login_later(
    household: Household,
    ring: Ring,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second place keeps the tokens until the keyring takes them."""
    house = household
    entry = ("Codex Auth", keyring_entry(str(house.shared.parent.resolve())))
    ring.entries[entry] = write_auth_file(None, house.issue(ends_in=-10)).decode()

    def locked(*_: str) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(ring, "set_password", locked)
        secret = house.secret(house.login("keyring"))
    again = house.secret(house.login("keyring"))

    assert (True, 1, True) == (secret.token == again.token, house.refreshes, secret.token in ring.entries[entry])


def test_a_read_only_folder_is_respected_by_root_as_well(household: Household) -> None:
    """A folder without write permission: its login is used, never refreshed, and the error says why."""
    house = household
    house.put(house.issue(ends_in=30))
    house.shared.parent.chmod(0o500)
    try:
        served = house.accepts(house.secret(house.login()))
        house.clock.advance(31)
        with pytest.raises(errors.NotLoggedInError, match="expired at"):
            house.secret(house.login())
        problems = house.do(status_of(house.login())).problems
    finally:
        house.shared.parent.chmod(0o700)

    assert (True, 0, True) == (served, house.refreshes, any("is read-only" in each for each in problems))


@pytest.mark.parametrize("is_logout", [True, False], ids=["logout", "refresh"])
def test_a_copy_that_a_crash_left_is_deleted(household: Household, is_logout: bool) -> None:
    """A process died after it saved the login and before it deleted the copy: the next refresh or logout does."""
    house = household
    house.put(house.issue(ends_in=-10), house.own)
    during_the_refresh(house, lambda: None)
    secret = house.secret(house.login())
    second(house).joinpath("0" * 32 + ".json").write_bytes(house.own.read_bytes())
    house.clock.advance(7200)
    house.do(log_out(house.login()) if is_logout else house.login().get_secret())

    assert (False, []) == (house.accepts(secret), files(second(house)))


def test_a_login_that_is_broken_when_the_answer_comes_is_not_lost(household: Household) -> None:
    """Another program left half a file behind: once the old file is back, the next process finds the new tokens."""
    house = household
    house.put(house.issue(ends_in=-10))
    whole = house.shared.read_bytes()
    during_the_refresh(house, lambda: house.shared.write_bytes(whole[:100]))
    with pytest.raises(errors.PersistenceError, match="was not saved"):
        house.secret(house.login())
    house.shared.write_bytes(whole)
    secret = house.secret(house.login())

    assert (True, 1, secret.token) == (house.accepts(secret), house.refreshes, house.read().access_token)


def test_a_login_that_was_removed_when_the_answer_comes_leaves_nothing_behind(household: Household) -> None:
    """Somebody logged out during the refresh: no token stays in the second place either."""
    house = household
    house.put(house.issue(ends_in=-10))
    during_the_refresh(house, house.shared.unlink)
    with pytest.raises(errors.PersistenceError, match="was not saved"):
        house.secret(house.login())

    assert ([], []) == (files(second(house)), files(house.shared.parent))
