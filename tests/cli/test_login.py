from __future__ import annotations

import json
import webbrowser
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from tests import checkouts
from tests.cli.cli_support import Cli, Result

from coatcheck._cli.process_env import can_browse
from coatcheck._protocol.effects import Request
from coatcheck.testing.emulators.github import GithubEmulator
from coatcheck.testing.emulators.github_login import CLIENT_ID


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command line without a login, in front of a login service."""
    cli = Cli(tmp_path / "here", CODEX_ACCESS_TOKEN="")
    cli.folder.mkdir()
    cli.environ |= {"HOME": str(tmp_path), "CODEX_HOME": str(tmp_path / "codex")}
    return cli


def approve_what_is_shown(cli: Cli) -> None:
    """Approve the device login as soon as it is polled."""
    handle = cli.cloud.handle

    def watched(request: Request) -> object:
        answer = handle(request)
        if request.path.endswith("/deviceauth/usercode"):
            cli.cloud.approve(json.loads(answer.body)["user_code"])
        return answer

    cli.cloud.handle = watched


def log_in(cli: Cli, *options: str) -> Result:
    """Log in by device code."""
    approve_what_is_shown(cli)
    done = cli("login", "codex", "--device-code", *options)
    assert 0 == done.code, done
    return done


def own_file(cli: Cli, name: str = "default") -> Path:
    """Return the path of coatcheck's own login."""
    return Path(cli.environ["HOME"]) / ".config" / "coatcheck" / "logins" / "codex" / f"{name}.json"


def test_a_device_login_prints_the_url_and_the_code(cli: Cli) -> None:
    """Where to go and what to type on stderr, the result on stdout; then commands work."""
    done = log_in(cli)

    assert "Open https://auth.openai.com/codex/device in any browser, and type " in done.err
    assert done.out.startswith("codex: logged in\n")
    assert "own, " in done.out
    assert 0 == cli("usage").code


def test_the_result_of_a_login_is_its_status(cli: Cli) -> None:
    """With --json the status document, without a token or an address."""
    done = log_in(cli, "--json")

    assert ("codex", "own", True, "plus") == tuple(
        done.json[name] for name in ("provider", "source", "is_logged_in", "plan")
    )
    assert done.json | {"schema": None} == cli("auth", "status", "--json").json | {"schema": None}
    assert "p@example.com" not in done.out + done.err
    assert "eyJ" not in done.out + done.err


def test_accounts_live_beside_one_another(cli: Cli) -> None:
    """--account names a login; each is used by the commands that name it."""
    log_in(cli, "--account", "work")

    assert own_file(cli, "work").exists()
    assert [0, 5] == [cli("usage", "--account", account).code for account in ("work", "home")]
    assert 0 == cli("usage", "--account", "work").code


def test_a_token_in_the_environment_has_precedence(cli: Cli) -> None:
    """After a login, another login that has precedence is named."""
    cli.environ["CODEX_ACCESS_TOKEN"] = cli.cloud.book.issue().access_token
    done = log_in(cli)

    assert "The login from CODEX_ACCESS_TOKEN is used before this one" in done.err
    assert own_file(cli).exists()


def test_a_browser_login_opens_the_page(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is also printed, for those whose browser does not open."""
    from threading import Thread
    from urllib.request import urlopen

    threads = []

    def visit(url: str) -> None:
        with urlopen(url, timeout=120):
            pass

    def browse(url: str) -> None:
        query = tuple((name, values[0]) for name, values in parse_qs(urlsplit(url).query).items())
        location = cli.cloud.handle(Request("GET", "/oauth/authorize", query=query)).headers["location"]
        threads.append(Thread(target=visit, args=(location,)))
        threads[-1].start()

    monkeypatch.setattr(webbrowser, "open", browse)
    done = cli("login", "codex", "--browser")
    threads[0].join(240)

    assert 0 == done.code, done
    assert "https://auth.openai.com/oauth/authorize?" in done.err
    assert done.out.startswith("codex: logged in\n")


@pytest.mark.parametrize(
    ("environ", "platform", "expected"),
    [
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({}, "linux", False),
        ({}, "darwin", True),
        ({"DISPLAY": ":10", "SSH_CONNECTION": "1 2 3 4"}, "linux", False),
        ({"SSH_TTY": "/dev/pts/1"}, "darwin", False),
        ({"SSH_TTY": "/dev/pts/1", "BROWSER": "w3m"}, "linux", True),
        ({"BROWSER": "firefox"}, "linux", True),
    ],
)
def test_a_browser_is_opened_where_a_person_sees_it(environ: dict[str, str], platform: str, expected: bool) -> None:
    """A browser is opened on a desktop, and over SSH only where BROWSER names one."""
    assert expected is can_browse(environ, platform)


def test_logging_out_deletes_and_revokes(cli: Cli) -> None:
    """After `logout` there is no login."""
    log_in(cli)
    done = cli("logout", "codex")

    assert (0, "Logged out of codex.\n", False) == (done.code, done.out, own_file(cli).exists())
    assert 5 == cli("usage").code


def test_logging_out_twice_is_an_error(cli: Cli) -> None:
    """One line, and the code of "not logged in"."""
    assert (5, True) == ((done := cli("logout")).code, "nothing was logged out: coatcheck has no login at" in done.line)


def test_a_status_names_the_service_without_a_login(cli: Cli) -> None:
    """Its exit code as well, with the document all the same."""
    done = cli("auth", "status", "--json")

    assert (5, False) == (done.code, done.json["is_logged_in"])
    assert "coatcheck login codex" in done.json["problems"][0]
    assert cli("auth").out.startswith("codex: not logged in\n")


@pytest.mark.parametrize("options", [(), ("--yes",), ("--yes", "--yes", "--json")])
def test_a_token_is_not_printed_lightly(cli: Cli, options: tuple[str, ...]) -> None:
    """A token is printed only after --yes twice, and never as JSON."""
    log_in(cli)
    done = cli("auth", "print-token", *options)

    assert 2 == done.code
    assert "eyJ" not in done.out + done.err


def test_a_token_is_printed_on_explicit_request(cli: Cli) -> None:
    """The token and a line end, for a header."""
    log_in(cli)
    done = cli("auth", "print-token", "--yes", "--yes")

    assert (0, True) == (done.code, cli.cloud.book.accepts(done.out.rstrip("\n")))


def test_settings_choose_the_source(cli: Cli) -> None:
    """With the provenance shown by `auth status` and `config`."""
    cli.environ["COATCHECK_CODEX_CREDENTIALS"] = "shared-readonly"
    status = cli("auth", "status", "--json").json

    assert ("shared-readonly", "environment COATCHECK_CODEX_CREDENTIALS") == (status["source"], status["origin"])
    cli.environ["COATCHECK_CODEX_CREDENTIALS"] = "nowhere"
    assert "there is no source of credentials 'nowhere'" in cli("usage").line


def test_a_hostile_checkout_chooses_nothing(cli: Cli) -> None:
    """A project's file may set neither the source, nor the account, nor the login service."""
    checkouts.mark(cli.folder)
    for setting in ("account = 'work'", "codex.credentials = 'own'", "codex.issuer = 'https://evil.example'"):
        (cli.folder / "coatcheck.toml").write_text(setting)

        assert "which a project file may not" in cli("usage").line


def test_another_login_service_is_named_once(cli: Cli) -> None:
    """--issuer is kept with the login for its refreshes; only loopback and the provider's own are accepted."""
    log_in(cli, "--issuer", "http://127.0.0.1:9")

    assert "http://127.0.0.1:9" in own_file(cli).read_text()
    refused = cli("login", "codex", "--issuer", "https://evil.example?" + urlencode({"a": 1}))
    assert (2, True) == (refused.code, "never sent to https://evil.example" in refused.line)


# -- GitHub ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def github(tmp_path: Path) -> Cli:
    """The command line with an OAuth app, whose codes are all approved."""
    service = GithubEmulator()
    cli = Cli(tmp_path / "here", service, COATCHECK_GITHUB_CLIENT_ID=CLIENT_ID, DISPLAY=":0")
    cli.folder.mkdir()
    service.clock, service.logins.clock = cli.clock, cli.clock
    handle = service.handle

    def watched(request: Request) -> object:
        answer = handle(request)
        if request.path == "/login/device/code" and answer.status == 200:
            service.logins.approve(json.loads(answer.body)["user_code"])
        return answer

    service.handle = watched
    return cli


def test_github_is_logged_in_to_by_device_code(github: Cli) -> None:
    """Also on a desktop; then the commands of both providers work."""
    done = github("login", "github")

    assert "Open https://github.com/login/device in any browser, and type " in done.err
    assert done.out.startswith("github_actions: logged in\n")
    assert [0, 0] == [github("usage", "--provider", each).code for each in ("github_actions", "copilot")]
    assert [0, 0, 0] == [github("auth", "status", each).code for each in ("github", "github_actions", "copilot")]


def test_a_token_of_github_is_in_no_output(github: Cli) -> None:
    """Neither in lines nor in documents."""
    done = [
        github("login", "github", "--json"),
        github("auth", "status", "github", "--json"),
        github("auth", "status", "github"),
    ]

    assert ("own", "583231") == (done[0].json["source"], done[0].json["account_id"])
    assert not any("gho_" in each.out + each.err for each in done)


def test_github_without_an_app_is_one_line(github: Cli) -> None:
    """With what is missing, and the other ways."""
    del github.environ["COATCHECK_GITHUB_CLIENT_ID"]
    done = github("login", "github")

    assert (2, True) == (done.code, "needs the client id of an OAuth app with device flow enabled" in done.line)
    assert all(word in done.line for word in ("github_actions.client_id", "GITHUB_TOKEN", "gh auth login"))


def test_a_logout_prints_what_github_does_not_do(github: Cli) -> None:
    """`logout` deletes the login and prints the page on which it is revoked."""
    github("login", "github")
    done = github("logout", "github")

    assert [
        "Logged out of github here.",
        "Revoke the access of this program on: https://github.com/settings/applications",
    ] == done.out.splitlines()
    assert 5 == github("usage", "--provider", "copilot").code


def test_github_has_no_login_by_browser(github: Cli) -> None:
    """An unknown login is an error that lists the known ones."""
    assert "log in with --device-code" in github("login", "github", "--browser").line
