"""Full disks: a refresh token is presented only when its successor can be kept, and what was kept is found again."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.credentials.login_environment import LoginEnvironment, both_variants
from tests.credentials.test_login_store import Ring, ring  # noqa: F401 - a fixture

from coatcheck import errors
from coatcheck._credentials.login_flows import log_out
from coatcheck._credentials.login_sources import Source
from coatcheck._credentials.login_status import status_of
from coatcheck._credentials.refresh import GROWTH
from coatcheck._credentials.refresh_policy import fingerprint
from coatcheck._protocol.login_contract import Tokens
from coatcheck.cloud.issued_tokens import digest_of
from coatcheck.providers._chatgpt.credentials import keyring_entry, write_auth_file

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shared login is only read there")


@pytest.fixture
def full_disk() -> Iterator[Callable[[], None]]:
    """Return a function that limits the size of files of this process, as a quota does; a second call removes the limit."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    limits = [before, (4096, before[1])]

    def toggle() -> None:
        limits.reverse()
        resource.setrlimit(resource.RLIMIT_FSIZE, limits[0])

    yield toggle
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def beside(logins: LoginEnvironment, held: Tokens, path: Path | None = None) -> Path:
    """Return the temporary file that is reserved beside a login."""
    path = path or logins.shared
    return path.parent / f".{path.name}.{fingerprint(held.refresh_token or '')}.coatcheck"


def block(path: Path) -> None:
    """Create an obstacle at the path of a file, which stops root as well."""
    path.unlink(missing_ok=True)
    path.mkdir(parents=True)


def second(logins: LoginEnvironment) -> Path:
    """Return the folder of the second place."""
    return logins.folder / "state" / "unsaved-logins"


def during_the_refresh(logins: LoginEnvironment, act: Callable[[], object]) -> None:
    """Run *act* while the login service handles the next refresh."""
    handle = logins.cloud.handle

    def meanwhile(request: object) -> object:
        answer = handle(request)
        if request.path == "/oauth/token":
            logins.cloud.handle = handle
            act()
        return answer

    logins.cloud.handle = meanwhile


def files(folder: Path) -> list[str]:
    """Return the names in a folder that are no lock files."""
    return sorted(name for name in os.listdir(folder) if not name.endswith(".lock")) if folder.exists() else []


@pytest.mark.parametrize("source", ["own", "shared"])
@both_variants
def test_a_full_disk_leaves_the_token_unpresented(
    logins: LoginEnvironment, full_disk: Callable[[], None], source: str
) -> None:
    """A working login is used, an expired one is one clear error, and both are refreshed once there is space."""
    path = logins.own if source == "own" else logins.shared
    held = logins.put(logins.issue(ends_in=30), path)
    login = logins.login(source)
    full_disk()
    served = logins.secret(login).token
    logins.clock.advance(31)
    with pytest.raises(errors.PersistenceError, match="could not be saved") as caught:
        logins.secret(logins.login(source))
    presented, left = logins.refreshes, files(path.parent)
    full_disk()

    assert (held.access_token, 0, [path.name]) == (served, presented, left)
    assert "free disk space" in (caught.value.remedy or "")
    assert logins.accepts(logins.secret(login))


@both_variants
def test_a_refresh_on_demand_and_after_a_401_name_the_full_disk(
    logins: LoginEnvironment, full_disk: Callable[[], None]
) -> None:
    """Neither presents the token."""
    logins.put(logins.issue())
    login = logins.login()
    rejected = logins.secret(login)
    full_disk()
    for script in (login.refresh_tokens, lambda: login.renew_secret(rejected)):
        with pytest.raises(errors.PersistenceError, match="could not be saved"):
            logins.do(script())

    assert 0 == logins.refreshes


@both_variants
def test_space_for_longer_tokens_is_reserved(logins: LoginEnvironment) -> None:
    """During a refresh, bytes are reserved beside the login and in the second place, also for longer tokens."""
    held = logins.put(logins.issue(ends_in=10))
    size = logins.shared.stat().st_size + GROWTH
    seen = []
    spent = fingerprint(held.refresh_token or "")
    paths = [beside(logins, held), second(logins) / f"{spent}.json"]
    during_the_refresh(logins, lambda: seen.extend((p.stat().st_size, p.stat().st_mode & 0o777) for p in paths))
    logins.secret(logins.login())

    assert [(size, 0o600)] * 2 == seen
    assert (["auth.json"], []) == (files(logins.shared.parent), files(second(logins)))


@both_variants
def test_what_was_reserved_is_enough_on_a_full_disk(logins: LoginEnvironment, full_disk: Callable[[], None]) -> None:
    """The disk fills up while the service works: nothing that is written afterwards is a new file."""
    held = logins.put(logins.issue(ends_in=10))
    folders = [logins.shared.parent, second(logins)]

    def fill() -> None:
        for folder in folders:
            (folder / "before").write_text("\n".join(sorted(os.listdir(folder))))

    during_the_refresh(logins, fill)
    secret = logins.secret(logins.login())

    assert secret.token == logins.read().access_token != held.access_token
    assert beside(logins, held).name in (logins.shared.parent / "before").read_text()


@both_variants
def test_without_space_beside_it_a_working_login_is_unchanged(logins: LoginEnvironment) -> None:
    """Other programs read only that place; once the login has expired, the second place is enough."""
    held = logins.put(logins.issue(ends_in=30))
    block(beside(logins, held))
    login = logins.login()
    served, before = logins.secret(login).token, logins.refreshes
    logins.clock.advance(31)
    fresh = logins.secret(login)

    assert (held.access_token, 0, True, 1) == (served, before, logins.accepts(fresh), logins.refreshes)


@both_variants
def test_without_a_second_place_the_first_is_enough(logins: LoginEnvironment) -> None:
    """A file blocks the path of the second place."""
    logins.put(logins.issue(ends_in=10))
    (logins.folder / "state").mkdir()
    second(logins).write_text("in the way")

    assert logins.accepts(logins.secret(logins.login()))


def only_in_the_second_place(logins: LoginEnvironment, source: str = "shared", ends_in: float = -10) -> Tokens:
    """Refresh a login whose file cannot be written when the response arrives; return the spent tokens."""
    path = logins.own if source == "own" else logins.shared
    held = logins.put(logins.issue(ends_in=ends_in), path)
    obstacle = beside(logins, held, path)
    during_the_refresh(logins, lambda: block(obstacle))
    assert logins.accepts(logins.secret(logins.login(source)))
    assert held.refresh_token == logins.read(path).refresh_token
    obstacle.rmdir()
    return held


@pytest.mark.parametrize("source", ["own", "shared"])
@both_variants
def test_a_login_in_the_second_place_is_restored_by_the_next_reader(logins: LoginEnvironment, source: str) -> None:
    """Another process finds it, puts it in its own place, and presents nothing."""
    path = logins.own if source == "own" else logins.shared
    held = only_in_the_second_place(logins, source)
    secret = logins.secret(logins.login(source))

    assert secret.token == logins.read(path).access_token != held.access_token
    assert (True, 1, []) == (logins.accepts(secret), logins.refreshes, files(second(logins)))


@both_variants
def test_the_status_restores_a_login_as_well(logins: LoginEnvironment) -> None:
    """It shows the tokens that work."""
    held = only_in_the_second_place(logins)
    status = logins.do(status_of(logins.login()))

    assert (True, True, ()) == (status.is_logged_in, status.can_refresh, status.problems)
    assert held.refresh_token != logins.read().refresh_token


@both_variants
def test_a_status_shows_the_place_of_the_newest_tokens(logins: LoginEnvironment) -> None:
    """The login's file still cannot be written, and the tokens are used."""
    only_in_the_second_place(logins)
    block(logins.shared.parent / ".auth.json.new.coatcheck")
    status = logins.do(status_of(logins.login()))

    assert status.is_logged_in
    assert "unsaved-logins until" in status.problems[-1]
    assert logins.accepts(logins.secret(logins.login()))


@both_variants
def test_tokens_of_the_second_place_can_be_refreshed(logins: LoginEnvironment) -> None:
    """The login's file stays unwritable for three refreshes, then gets the newest tokens."""
    held = only_in_the_second_place(logins)
    block(logins.shared.parent / ".auth.json.new.coatcheck")
    for _ in range(3):
        logins.clock.advance(7200)
        current = logins.do(logins.login().stored(Source.SHARED).read())
        block(beside(logins, current))
        assert logins.accepts(logins.secret(logins.login()))
    stored = logins.read()
    (logins.shared.parent / ".auth.json.new.coatcheck").rmdir()
    secret = logins.secret(logins.login())

    assert (held.refresh_token, 4) == (stored.refresh_token, logins.refreshes)
    assert (secret.token, []) == (logins.read().access_token, files(second(logins)))


@both_variants
def test_a_running_program_saves_its_login_as_soon_as_it_can(logins: LoginEnvironment) -> None:
    """The program that refreshed continues with its tokens, reports once, and writes the file later."""
    held = logins.put(logins.issue(ends_in=-10))
    obstacle = beside(logins, held)
    blocked = logins.shared.parent / ".auth.json.new.coatcheck"
    during_the_refresh(logins, lambda: (block(obstacle), block(blocked)))
    login, reports = logins.login(), []
    login.on_trouble = reports.append
    secrets = [logins.secret(login).token]
    logins.clock.advance(120)
    secrets.append(logins.secret(login).token)
    blocked.rmdir()
    logins.clock.advance(120)
    secrets.append(logins.secret(login).token)

    assert ({logins.read().access_token}, 1, 1) == (set(secrets), len(reports), logins.refreshes)
    assert "is kept in" in reports[0]


@both_variants
def test_tokens_that_could_be_saved_nowhere_are_an_error_and_still_used(logins: LoginEnvironment) -> None:
    """Both places broke while the service worked: one error, and this program holds the login until it can save it."""
    held = logins.put(logins.issue(ends_in=-10))
    spent = fingerprint(held.refresh_token or "")
    obstacles = [beside(logins, held), second(logins) / f"{spent}.json"]
    during_the_refresh(logins, lambda: [block(each) for each in obstacles])
    login = logins.login()
    with pytest.raises(errors.PersistenceError, match="could not be saved"):
        logins.secret(login)
    secret = logins.secret(login)
    for each in obstacles:
        each.rmdir()
    logins.clock.advance(120)

    assert (True, secret.token) == (logins.accepts(secret), logins.secret(login).token)
    assert (logins.read().access_token, 1) == (secret.token, logins.refreshes)


@both_variants
def test_a_new_login_is_not_replaced_by_an_older_second_place(logins: LoginEnvironment) -> None:
    """After a new login, the successor of the earlier tokens is ignored."""
    only_in_the_second_place(logins)
    newer = logins.put(logins.issue())

    assert newer.access_token == logins.secret(logins.login()).token == logins.read().access_token


@both_variants
def test_the_second_place_of_another_account_is_not_used(logins: LoginEnvironment) -> None:
    """The file names another account than the successor, and is unchanged."""
    held = only_in_the_second_place(logins, ends_in=-10)
    text = logins.shared.read_text().replace('"acc-1"', '"acc-2"')
    logins.shared.write_text(text)
    with pytest.raises(errors.RefreshError):
        logins.secret(logins.login())

    assert held.refresh_token == logins.read().refresh_token


@both_variants
def test_logging_out_ends_and_deletes_the_second_place(logins: LoginEnvironment) -> None:
    """The newest tokens are revoked, and no token is left on the disk."""
    only_in_the_second_place(logins, "own")
    block(logins.own.parent / ".default.json.new.coatcheck")
    (kept,) = second(logins).iterdir()
    newest = logins.read(kept)
    revoked = logins.do(log_out(logins.login()))

    assert (True, [], False) == (revoked, files(second(logins)), logins.own.exists())
    assert "" != logins.cloud.book._store.find(digest_of(newest.refresh_token or "")).state


@both_variants
def test_a_read_only_source_uses_the_second_place_and_writes_nothing(logins: LoginEnvironment) -> None:
    """The tokens there work, those in the file do not."""
    held = only_in_the_second_place(logins)
    secret = logins.secret(logins.login("shared-readonly"))

    assert (True, held.refresh_token) == (logins.accepts(secret), logins.read().refresh_token)


@both_variants
def test_a_keyring_needs_the_second_place(logins: LoginEnvironment, ring: Ring) -> None:  # noqa: F811
    """A keyring reserves nothing: without the second place its refresh token is not presented."""
    entry = ("Codex Auth", keyring_entry(str(logins.shared.parent.resolve())))
    ring.entries[entry] = write_auth_file(None, logins.issue(ends_in=-10)).decode()
    (logins.folder / "state").mkdir()
    second(logins).write_text("in the way")
    with pytest.raises(errors.PersistenceError, match="unsaved-logins"):
        logins.secret(logins.login("keyring"))
    second(logins).unlink()

    assert (0, True) == (logins.refreshes, logins.accepts(logins.secret(logins.login("keyring"))))


@both_variants
def test_a_keyring_that_was_locked_meanwhile_gets_its_login_later(
    logins: LoginEnvironment,
    ring: Ring,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second place holds the tokens until the keyring accepts them."""
    entry = ("Codex Auth", keyring_entry(str(logins.shared.parent.resolve())))
    ring.entries[entry] = write_auth_file(None, logins.issue(ends_in=-10)).decode()

    def locked(*_: str) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(ring, "set_password", locked)
        secret = logins.secret(logins.login("keyring"))
    again = logins.secret(logins.login("keyring"))

    assert (True, 1, True) == (secret.token == again.token, logins.refreshes, secret.token in ring.entries[entry])


@both_variants
def test_a_read_only_folder_is_respected_by_root_as_well(logins: LoginEnvironment) -> None:
    """In a folder without write permission the login is used and not refreshed, and the error names the reason."""
    logins.put(logins.issue(ends_in=30))
    logins.shared.parent.chmod(0o500)
    try:
        served = logins.accepts(logins.secret(logins.login()))
        logins.clock.advance(31)
        with pytest.raises(errors.NotLoggedInError, match="expired at"):
            logins.secret(logins.login())
        problems = logins.do(status_of(logins.login())).problems
    finally:
        logins.shared.parent.chmod(0o700)

    assert (True, 0, True) == (served, logins.refreshes, any("is read-only" in each for each in problems))


@pytest.mark.parametrize("is_logout", [True, False], ids=["logout", "refresh"])
@both_variants
def test_a_copy_that_a_crash_left_is_deleted(logins: LoginEnvironment, is_logout: bool) -> None:
    """A process was killed between saving the login and deleting the copy: the next refresh or logout deletes it."""
    logins.put(logins.issue(ends_in=-10), logins.own)
    during_the_refresh(logins, lambda: None)
    secret = logins.secret(logins.login())
    second(logins).joinpath("0" * 32 + ".json").write_bytes(logins.own.read_bytes())
    logins.clock.advance(7200)
    logins.do(log_out(logins.login()) if is_logout else logins.login().get_secret())

    assert (False, []) == (logins.accepts(secret), files(second(logins)))


@both_variants
def test_a_login_file_damaged_during_the_refresh_is_not_lost(logins: LoginEnvironment) -> None:
    """Another program left half a file: once it is restored, the next process finds the new tokens."""
    logins.put(logins.issue(ends_in=-10))
    whole = logins.shared.read_bytes()
    during_the_refresh(logins, lambda: logins.shared.write_bytes(whole[:100]))
    with pytest.raises(errors.PersistenceError, match="was not saved"):
        logins.secret(logins.login())
    logins.shared.write_bytes(whole)
    secret = logins.secret(logins.login())

    assert (True, 1, secret.token) == (logins.accepts(secret), logins.refreshes, logins.read().access_token)


@both_variants
def test_a_logout_during_the_refresh_leaves_no_token(logins: LoginEnvironment) -> None:
    """No token is left in the second place either."""
    logins.put(logins.issue(ends_in=-10))
    during_the_refresh(logins, logins.shared.unlink)
    with pytest.raises(errors.PersistenceError, match="was not saved"):
        logins.secret(logins.login())

    assert ([], []) == (files(second(logins)), files(logins.shared.parent))
