"""Bad input and bad services: one clear line, the right exit code, an object with ``--json``, and never a token."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import pytest
from tests import checkouts
from tests.cli.cli_support import Cli

from coatcheck._protocol import registry
from coatcheck.cloud.faults import Body, Fault, Gzip, Huge, Refuse, Reset, Status, Timeout
from coatcheck.cloud.models import CloudEnvironment
from coatcheck.cloud.scripted_cloud import ScriptedCloud

SUBMIT = ("submit", "--environment", "owner/repo")


@pytest.mark.parametrize(
    ("expected", "arguments"),
    [
        ("the prompt is blank; describe what the agent should do", [*SUBMIT, "  "]),
        ("there is no environment 'nowhere'; there are: owner/repo (e0000000000000000000000000000001)", ["submit", "-e", "nowhere", "x"]),
        ("9 attempts are out of range: codex takes 1 to 4; submit several tasks, whose results compete: coatcheck run --on codex:9", [*SUBMIT, "--attempts", "9", "x"]),
        ("0 attempts are out of range: codex takes 1 to 4", [*SUBMIT, "--attempts", "0", "x"]),
        ("there is no provider 'nobody'; known providers: " + ", ".join(registry.names()), ["list", "--provider", "nobody"]),
        ("there is no provider 'codx'; did you mean codex? known providers: " + ", ".join(registry.names()), ["list", "--provider", "codx"]),
        ("'x' is not the id of an event; pass the `id` of an event, unchanged", ["watch", "codex:t", "--after", "x"]),
        ("there is no setting 'providr'; did you mean provider?", ["config", "unset", "providr"]),
        ("'codex:' is not a task reference; give PROVIDER:ID, a task id or a task URL", ["status", "codex:"]),
        ("'a b' is not a task reference; give PROVIDER:ID, a task id or a task URL", ["status", "a b"]),
        ("local:t is a task of local, not of codex; leave out --provider", ["status", "--provider", "codex", "local:t"]),
        ("there is no provider 'nobody'; known providers: " + ", ".join(registry.names()), ["status", "nobody:123"]),
        ("--timeout: 'soon' is not a duration; pass seconds, or 90s, 30m, 2h, 1d; none waits without a limit", ["wait", "t", "--timeout", "soon"]),
        ("--interval: '0' is not a duration; pass seconds, or 90s, 30m, 2h, 1d", ["wait", "t", "--interval", "0"]),
        ("coatcheck submit has no option -; a text that begins with - is written after --: coatcheck submit -- TEXT", ["submit", "- add dark mode"]),
        ("coatcheck config set has no option -5; a text that begins with - is written after --: coatcheck config set -- TEXT", ["config", "set", "timeout", "-5"]),
        ("the starting diff nowhere.patch cannot be read: No such file or directory", [*SUBMIT, "--starting-diff", "nowhere.patch", "x"]),
        ("standard input cannot be both the prompt and the diff; pass one of them as an argument", [*SUBMIT, "--starting-diff", "-", "-"]),
    ],
)  # fmt: skip
def test_bad_arguments(cli: Cli, expected: str, arguments: list[str]) -> None:
    """A bad argument is an error with its remedy before any task is created."""
    done, with_json = cli(*arguments), cli(*arguments, "--json")

    assert (2, expected) == (done.code, done.line)
    assert (2, 2) == (with_json.code, with_json.error["exit_code"])
    assert () == cli.cloud.tasks


def test_an_ambiguous_label_lists_the_candidates(tmp_path: Path) -> None:
    """Two environments of one label: both are named with their ids."""
    twins = [CloudEnvironment(id=id, label="Site", repository="owner/repo") for id in ("e1", "e2")]
    done = Cli(tmp_path, ScriptedCloud(environments=twins))("submit", "-e", "site", "x")

    assert (2, "'site' names 2 environments: Site (e1), Site (e2); give the id of the one you mean") == (
        done.code,
        done.line,
    )


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (8, Refuse(times=None)),
        (8, Reset(times=None)),
        (8, Timeout(times=None)),
        (8, Status(503, times=None)),
        (1, Status(404)),
        (1, Status(403, is_html=True)),
        (5, Status(401, times=None)),
        (6, Status(429, retry_after=120, times=None)),
        (8, Body(b"<!doctype html><p>Sign in</p>", "text/html", times=None)),
        (8, Body(b"", times=None)),
        (8, Body(b"[" * 100_000, times=None)),
        (8, Body(b'{"items": 3}', times=None)),
        (8, Gzip(times=None, is_broken=True)),
        (8, Huge(10**9, times=None)),
    ],
    ids=repr,
)
def test_bad_services(tmp_path: Path, code: int, fault: Fault) -> None:
    """Every fault of a service is one line and an exit code, without a token."""
    cloud = ScriptedCloud(faults=[fault])
    cli = Cli(tmp_path, cloud)
    done = cli("list")
    cloud.faults = [fault]
    with_json = cli("list", "--json")

    assert (code, code) == (done.code, with_json.code)
    assert done.line
    assert code == with_json.error["exit_code"]
    assert cloud.tokens.access_token not in repr(done) + repr(with_json)


def jwt(**claims: object) -> str:
    """Return a made-up JWT."""
    middle = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJub25lIn0.{middle}.made-up-signature"


def login(**tokens: object) -> bytes:
    """Return an auth.json as the Codex CLI writes it."""
    return json.dumps({"auth_mode": "chatgpt", "OPENAI_API_KEY": None, "tokens": tokens}).encode()


@pytest.mark.parametrize(
    ("expected", "data"),
    [
        ("not logged in: there is no {path}; log in with: ", None),
        ("{path} is not JSON, or only a part of it", b"{nonsense"),
        ("{path} is empty", b""),
        ("{path} holds an API key", b'{"OPENAI_API_KEY": "sk-made-up-key"}'),
        (
            "could not be refreshed: its refresh token was revoked",
            login(access_token=jwt(exp=1), id_token=jwt(email="p@example.com"), refresh_token="made-up-r"),
        ),
    ],
)
def test_bad_logins(tmp_path: Path, expected: str, data: bytes | None) -> None:
    """An unusable login is an error with the remedy, without any of its content."""
    home = tmp_path / "codex"
    home.mkdir()
    if data is not None:
        (home / "auth.json").write_bytes(data)
    cli = Cli(tmp_path, CODEX_HOME=str(home), CODEX_ACCESS_TOKEN="")
    done, with_json = cli("list"), cli("list", "--json")

    assert (5, 5) == (done.code, with_json.code)
    assert expected.format(path=home / "auth.json") in done.line
    assert "codex login" in with_json.error["remedy"]
    assert not {"sk-made-up", "made-up-signature", "made-up-r", "p@example.com"} & set(repr(done) + repr(with_json))
    assert "made-up" not in repr(done) + repr(with_json)


def test_a_login_that_cannot_be_read(tmp_path: Path) -> None:
    """A folder in place of the login is named in the error."""
    (tmp_path / "auth.json").mkdir()
    done = Cli(tmp_path, CODEX_HOME=str(tmp_path), CODEX_ACCESS_TOKEN="")("list")

    assert (5, f"the login {tmp_path / 'auth.json'} cannot be read: it is a folder") == (
        done.code,
        done.line.partition(";")[0],
    )


def test_a_login_is_sent_only_to_the_hosts_of_its_provider(tmp_path: Path) -> None:
    """A stored login is sent only to the hosts of its provider."""
    token = jwt(exp=time.time() + 10**6)
    (tmp_path / "auth.json").write_bytes(login(access_token=token, id_token=jwt(sub="x"), refresh_token=""))
    cli = Cli(tmp_path, CODEX_HOME=str(tmp_path), CODEX_ACCESS_TOKEN="")
    done = cli("list", "--base-url", "https://evil.example/backend-api")

    assert done.code in {2, 5}
    assert "evil.example" in done.line
    assert [] == cli.cloud.requests


def test_a_lost_submission_is_uncertain(tmp_path: Path) -> None:
    """A submission whose outcome is unknown has its exit code and is not sent again."""
    cloud = ScriptedCloud(faults=[Reset(on="create_task", times=None)])
    done = Cli(tmp_path, cloud)(*SUBMIT, "Add dark mode")

    assert done.code == 7
    assert "coatcheck submit --resume" in done.line
    assert 1 == len(cloud.seen("create_task"))


def test_no_local_cloud_names_the_command_that_starts_one(tmp_path: Path) -> None:
    """`--provider local` without a server is an error with the command that starts one."""
    done = Cli(tmp_path)("list", "--provider", "local")

    assert done.code == 2
    assert "no local cloud is running; start a local cloud with: coatcheck serve" in done.line


@pytest.mark.parametrize("command", ["status", "show", "wait", "open", "cancel", "archive"])
def test_each_unknown_task_of_several_is_named(cli: Cli, command: str) -> None:
    """A command of several tasks names each task that the service does not know, with the remedy of one."""
    done = cli(command, "codex:task_e_one", "codex:task_e_two")

    assert 1 == done.code
    assert [
        f"coatcheck: codex has no task codex:task_e_{name} (HTTP 404: Invalid task ID); "
        "see the latest tasks with: coatcheck list --provider codex"
        for name in ("one", "two")
    ] == done.err.splitlines()


@pytest.mark.parametrize(
    ("reason", "path"),
    [
        ("File exists", "{folder}/dangling"),
        ("Not a directory", "{folder}/file/cloud"),
        ("File name too long", "{folder}/" + "x" * 300),
    ],
)
def test_a_path_that_cannot_be_used_is_named(cli: Cli, reason: str, path: str) -> None:
    """An error of the system about a path is a line that names the path, and no bug."""
    (cli.folder / "file").touch()
    (cli.folder / "dangling").symlink_to("nowhere")
    checkouts.mark(cli.folder)
    path = path.format(folder=cli.folder)
    done = cli("serve", "-e", "owner/repo=.", "--agent", "true", "--data", path)

    assert (2, f"{path}: {reason}; choose another path") == (done.code, done.line)
