from __future__ import annotations

import stat
from pathlib import Path

import pytest
from tests import checkouts
from tests.cli.cli_support import Cli


@pytest.fixture
def file(cli: Cli) -> Path:
    """The user's file of settings, in a folder that exists."""
    path = Path(cli.environ["HOME"], ".config", "coatcheck", "config.toml")
    path.parent.mkdir(parents=True)
    return path


def editor(folder: Path, script: str) -> str:
    """Return an editor that runs *script*, a shell's; ``$1`` is the file."""
    path = folder / "editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_a_setting_is_set_read_and_removed(cli: Cli, file: Path) -> None:
    """`set` writes the user's file, `get` prints the value, and `unset` removes it."""
    set_, get = cli("config", "set", "attempts", "3"), cli("config", "get", "attempts")
    unset = cli("config", "unset", "attempts")

    assert (0, f"attempts = 3 in {file}\n") == (set_.code, set_.out)
    assert "3\n" == get.out
    assert f"attempts is no longer set in {file}\n" == unset.out
    assert "" == file.read_text()


@pytest.mark.parametrize(
    ("name", "typed", "stored"),
    [
        ("codex.credentials", "OWN", "own"),
        ("codex.credentials", "shared-readonly", "shared-readonly"),
        ("openhands.confirmation", " Never ", "never"),
        ("history", "Metadata", "metadata"),
        ("codex_app_server.clone_url", "https://Example.com/{repository}", "https://Example.com/{repository}"),
    ],
)
def test_a_choice_is_stored_in_small_letters(cli: Cli, name: str, typed: str, stored: str) -> None:
    """A word of a setting with choices is stored as the documentation writes it, and other values as typed."""
    done = cli("config", "set", name, typed)

    assert f"{name} = {stored}" == done.out.partition(" in ")[0]
    assert f"{stored}\n" == cli("config", "get", name).out


def test_the_project_file_is_changed_on_request(cli: Cli) -> None:
    """--project writes coatcheck.toml at the top of the checkout."""
    checkouts.mark(cli.folder)
    cli("config", "set", "environment", "owner/repo", "--project")

    assert 'environment = "owner/repo"\n' == (cli.folder / "coatcheck.toml").read_text()


@pytest.mark.parametrize(
    ("expected", "arguments"),
    [
        ("there is no setting 'atempts'; did you mean attempts?", ["set", "atempts", "3"]),
        ("there is no setting 'codex.bse_url'; did you mean codex.base_url?", ["set", "codex.bse_url", "x"]),
        ("there is no setting 'codx.rate'; did you mean codex.rate?", ["set", "codx.rate", "1"]),
        ("there is no setting 'codex.xyzzy'; settings of codex: base_url, ", ["set", "codex.xyzzy", "1"]),
        ("there is no setting 'xyzzy'; coatcheck config --all lists the settings", ["get", "xyzzy"]),
        ("attempts is '0'; use a whole number of at least 1", ["set", "attempts", "0"]),
        ("attempts is '²'; use a whole number of at least 1", ["set", "attempts", "²"]),
        ("'soon' is not a duration", ["set", "timeout", "soon"]),
        ("there is no provider 'nope'", ["set", "provider", "nope"]),
        ("transport is 'curl'; use one of: pyreqwest, httpx2", ["set", "transport", "curl"]),
        ("the database has a password, which would be in the file", ["set", "database", "postgresql://u:hunter2@h/d"]),
        ("history is 'nope'; use one of: full, metadata, off", ["set", "history", "nope"]),
        ("poll_cost is 'x'; use a number such as 0.5, or none", ["set", "poll_cost", "x"]),
        ("codex.rate is '-1'; use a number such as 0.5, or none", ["set", "codex.rate", "--", "-1"]),
        ("branch is not set; set it with: coatcheck config set branch VALUE", ["get", "branch"]),
        ("coatcheck config set needs VALUE; for examples see: coatcheck config set --help", ["set", "branch"]),
        ("coatcheck config unset needs NAME", ["unset"]),
        ("coatcheck config list does not expect 'x'", ["list", "x"]),
        ("coatcheck config has no command 'ste'; did you mean set", ["ste", "branch", "x"]),
        ("is not in a git checkout", ["set", "branch", "x", "--project"]),
        ("config edit needs a terminal", ["edit"]),
        (
            "openhands.confirmation cannot be 'sometimes'; use one of never, risky, always",
            ["set", "openhands.confirmation", "sometimes"],
        ),
    ],
)
def test_what_cannot_be_set_is_one_line(cli: Cli, expected: str, arguments: list[str]) -> None:
    """A bad name or value is an error with a remedy, and no file is written."""
    done = cli("config", *arguments)

    assert 2 == done.code
    assert expected in done.line
    assert not Path(cli.environ["HOME"]).exists()


def test_a_project_file_cannot_set_a_host(cli: Cli) -> None:
    """--project refuses what a project's file may not set."""
    checkouts.mark(cli.folder)
    done = cli("config", "set", "codex.base_url", "https://x", "--project")

    assert "which a project file may not" in done.line
    assert not (cli.folder / "coatcheck.toml").exists()


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("there is no setting 'enviroment'; did you mean environment?", 'enviroment = "x"\n'),
        ("there is no setting 'codex.raet'; did you mean codex.rate?", "[codex]\nraet = 2\n"),
        ("there is no setting 'cdex.rate'; did you mean codex.rate?", "[cdex]\nrate = 2\n"),
        ("there is no setting 'xyzzy.rate'; there is no provider 'xyzzy'", "[xyzzy]\nrate = 2\n"),
        *(
            (f"there is no setting '{name}'; policies are written as tables [gates.policies.NAME]", text)
            for name, text in (
                ("gates.polices.a.kinds", "[gates.polices.a]\nkinds = []\n"),
                ("gates.policies", "[gates]\npolicies = 3\n"),
                ("gate.policies.a.kinds", "[gate.policies.a]\nkinds = []\n"),
            )
        ),
    ],
)
@pytest.mark.parametrize("command", ["list", "config"])
def test_an_unknown_name_in_the_users_file(cli: Cli, file: Path, expected: str, text: str, command: str) -> None:
    """An unknown name in the user's file is an error that names the file and suggests a name."""
    file.write_text(text)
    done = cli(command)

    assert 2 == done.code
    assert f"{file}: {expected}" in done.line


def test_an_unknown_name_in_the_project_file(cli: Cli) -> None:
    """An unknown name in a project's file is an error that suggests a name."""
    checkouts.mark(cli.folder)
    (cli.folder / "coatcheck.toml").write_text('brunch = "x"\n')

    assert "did you mean branch?" in cli("list").line


def test_an_unknown_name_can_be_removed(cli: Cli, file: Path) -> None:
    """`unset` removes a name that no setting has."""
    file.write_text('enviroment = "x"\nattempts = 2\n')

    assert 0 == cli("config", "unset", "enviroment").code
    assert "attempts = 2\n" == file.read_text()


def test_a_described_service_is_no_unknown_name(cli: Cli, file: Path) -> None:
    """Tables of described services are not settings, and settings of such a service are known."""
    file.write_text('[services.mine]\nsubmit = "x"\n')

    assert 0 == cli("config").code


def test_what_overrides_a_setting_is_named(tmp_path: Path) -> None:
    """A setting that a variable overrides has no effect, so the variable is named."""
    cli = Cli(tmp_path, COATCHECK_ATTEMPTS="2")

    assert "environment COATCHECK_ATTEMPTS overrides it: attempts = 2\n" == cli("config", "set", "attempts", "3").err


def test_every_setting_is_described(cli: Cli) -> None:
    """--all lists each setting with its description."""
    lines = cli("config", "--all").out.splitlines()

    assert [] == [line for line in lines[1:] if len(line.split(maxsplit=1)) < 2]


def test_the_file_is_edited(tmp_path: Path) -> None:
    """`edit` opens the user's file in the editor, and begins it where there is none."""
    cli = Cli(tmp_path, EDITOR=editor(tmp_path, 'echo "attempts = 4" >> "$1"'))
    cli.is_asking = True
    done = cli("config", "edit")

    assert 0 == done.code, done
    assert "4\n" == cli("config", "get", "attempts").out


def test_a_mistake_of_the_editor_is_reported_at_once(tmp_path: Path) -> None:
    """After `edit` the names are checked, and the text stays."""
    cli = Cli(tmp_path, EDITOR=editor(tmp_path, 'echo "atempts = 4" > "$1"'))
    cli.is_asking = True

    assert "did you mean attempts?" in cli("config", "edit").line


@pytest.mark.parametrize(
    ("expected", "value"), [("cannot be started", "/nonexistent/editor"), ("ended with exit code 1", "false")]
)
def test_an_editor_that_fails(tmp_path: Path, expected: str, value: str) -> None:
    """An editor that does not start or fails is one line."""
    cli = Cli(tmp_path, VISUAL=value, PATH="/usr/bin:/bin")
    cli.is_asking = True

    assert expected in cli("config", "edit").line


@pytest.mark.parametrize(
    ("database", "shown"),
    [
        ("postgresql://u:hunter2@h/d", "postgresql://u@h/d"),
        ("postgresql://u:p@hunter2@h/d?password=hunter2&user=u", "postgresql://u@h/d?user=u"),
        ("mysql://u:hunter2@h/d", "mysql://u@h/d"),
        ("host=h password=hunter2 user=u", "host=h password=[hidden] user=u"),
        ("host=h password='hun hunter2'", "host=h password=[hidden]"),
    ],
)
@pytest.mark.parametrize("options", [["--all"], ["--show-origin"], ["--json"], ["get", "database"]])
def test_no_password_is_shown(cli: Cli, database: str, shown: str, options: list[str]) -> None:
    """`config` shows a database without its password, in every form."""
    cli.environ["COATCHECK_DATABASE"] = database
    done = cli("config", *options)

    assert (0, True, False) == (done.code, shown in done.out, "hunter2" in done.out + done.err)


def test_a_header_that_authenticates_is_hidden(cli: Cli, file: Path) -> None:
    """The value of a header in the description of a service may be a secret."""
    file.write_text('[services.demo]\nheaders = {Authorization = "Bearer hunter2"}\n')
    done = cli("config")

    assert (True, False) == ("services.demo.headers.Authorization = [hidden]" in done.out, "hunter2" in done.out)
