"""The real commands in processes of their own: `serve`, `demo`, and what finds the server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.cli_support import Cli

from coatcheck._cli.commands.serve import agent_command, agent_line
from coatcheck._runtime.system_clock import SystemClock
from coatcheck.testing import JulesEmulator, ScriptedCloud, serving

pytestmark = pytest.mark.skipif(os.name != "posix", reason="serve is not supported there")

COMMAND = (sys.executable, "-P", "-c", "from coatcheck._cli.main import main; main()")
AGENT = "import os, sys; open('made.txt', 'w').write(sys.argv[1]); print('I made made.txt')"


def coatcheck(*arguments: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit."""
    folder = tmp_path / "repository"
    folder.mkdir()
    identity = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.com")
    for arguments in (["init", "-q", "-b", "main"], [*identity, "commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run(["git", *arguments], cwd=folder, check=True, timeout=240)
    return folder


@pytest.fixture
def server(repository: Path) -> Iterator[dict[str, str]]:
    """A local cloud that runs, and what it printed when it was ready."""
    agent = f'{sys.executable} -c "{AGENT}" {{prompt}}'
    arguments = ["serve", "--environment", f"owner/repo={repository}", "--agent", agent, "--json"]
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=240)
    assert 0 == process.returncode


def test_another_terminal_finds_the_server(server: dict[str, str], repository: Path, tmp_path: Path) -> None:
    """A task on a local cloud needs no address and no login."""
    done = coatcheck(
        "run", "--provider", "local", "-e", "owner/repo", "--interval", "0.1", "--json", 'it\'s "fun"', folder=tmp_path
    )
    task = json.loads(done.stdout)
    text = coatcheck("show", task["ref"], folder=tmp_path).stdout
    applied = coatcheck("apply", task["ref"], folder=repository)

    assert ("succeeded", True) == (task["state"], task["url"].startswith(server["url"].removesuffix("/backend-api")))
    assert "I made made.txt" in text
    assert 0 == applied.returncode, applied
    assert 'it\'s "fun"' == (repository / "made.txt").read_text()


def test_a_server_ends_cleanly(server: dict[str, str], tmp_path: Path) -> None:
    """While it runs, it is found; the ready line has what a program needs."""
    found = coatcheck("environments", "--provider", "local", "--json", folder=tmp_path)

    assert ["owner/repo"] == [each["label"] for each in json.loads(found.stdout)["environments"]]
    assert {"schema", "url", "pid", "approval_key", "codex_home", "hooks"} == server.keys()


@pytest.mark.parametrize(
    ("expected", "arguments"),
    [
        ("coatcheck serve needs --environment OWNER/REPO=PATH", ["--agent", "x"]),
        ("'nonsense' is not LABEL=PATH", ["-e", "nonsense", "--agent", "x"]),
        ("is not a git repository", ["-e", "owner/repo=.", "--agent", "x"]),
        ("the agent command 'x | y' has '|', and no shell runs it; write", ["-e", "owner/repo=.", "--agent", "x | y"]),
        ("the agent command cannot be parsed: no closing quotation", ["-e", "owner/repo=.", "--agent", "x '"]),
        ("'soon' is not a duration", ["-e", "owner/repo=.", "--agent", "x", "--timeout", "soon"]),
    ],
)
def test_a_server_that_cannot_start_reports_why(
    cli: Cli, repository: Path, expected: str, arguments: list[str]
) -> None:
    """Bad options are one line."""
    is_about_the_folder = "not a git" in expected
    folder = cli.folder if is_about_the_folder else repository
    done = cli("serve", *[each.replace("=.", f"={folder}") for each in arguments])

    assert (2, True) == (done.code, expected in done.line)


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("tool", "Agent: {folder}/tool"),
        ("nosuch", "warning: the agent's program 'nosuch' cannot be run: it is not in PATH; install it, "),
        ("./nosuch", "warning: the agent's program './nosuch' cannot be run: there is no such program; install it, "),
    ],
)
def test_a_server_prints_whether_its_agent_exists(tmp_path: Path, program: str, expected: str) -> None:
    """Before the first task fails for it."""
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    (tmp_path / "tool").chmod(0o755)
    line = agent_line([program, "{prompt}"], {"PATH": str(tmp_path)})

    assert line.startswith(expected.format(folder=tmp_path))


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        ("./tool {prompt}", ("{folder}/checkout/tool", "{{prompt}}")),
        ("../tool", ("{folder}/tool",)),
        ("bin/nosuch ./tool", ("bin/nosuch", "./tool")),
        ("tool ./tool", ("tool", "./tool")),
        ("/bin/sh -c x", ("/bin/sh", "-c", "x")),
        ("", ("",)),
    ],
)
def test_the_agents_program_is_found_from_the_folder_of_serve(
    tmp_path: Path, agent: str, expected: tuple[str, ...]
) -> None:
    """A relative path of the agent's program is a file of the folder in which the server was started."""
    (tmp_path / "checkout").mkdir()
    for path in (tmp_path / "tool", tmp_path / "checkout/tool"):
        path.touch()

    assert tuple(each.format(folder=tmp_path) for each in expected) == agent_command(agent, str(tmp_path / "checkout"))


@pytest.mark.slow
def test_the_right_one_of_two_servers_is_used(server: dict[str, str], repository: Path, tmp_path: Path) -> None:
    """The server is chosen by environment, task and checkout; otherwise the error lists both."""
    arguments = ["-e", f"owner/two={repository}", "--agent", "true", "--data", str(tmp_path / "two"), "--json"]
    second = subprocess.Popen([*COMMAND, "serve", *arguments], stdout=subprocess.PIPE, text=True)
    try:
        assert second.stdout is not None
        url = json.loads(second.stdout.readline())["url"]
        lost = coatcheck("list", "--provider", "local", folder=tmp_path)
        named = coatcheck("submit", "--provider", "local", "-e", "owner/two", "x", folder=tmp_path)
        shown = coatcheck("show", "--json", named.stdout.strip(), folder=tmp_path)
        addressed = coatcheck("list", "--provider", "local", folder=tmp_path, COATCHECK_LOCAL_BASE_URL=url)
    finally:
        second.kill()
        second.communicate(timeout=240)
    alone = coatcheck("list", "--provider", "local", folder=tmp_path)

    assert (2, True, True) == (lost.returncode, server["url"] in lost.stderr, url in lost.stderr)
    assert json.loads(shown.stdout)["url"].startswith(url.removesuffix("/backend-api"))
    assert (0, 0) == (addressed.returncode, alone.returncode)


@pytest.mark.slow
def test_the_local_cloud_competes_with_other_services(server: dict[str, str], repository: Path) -> None:
    """One command submits to a local cloud and two services, waits for all, checks each result and applies the best."""
    clock = SystemClock()
    codex, jules = ScriptedCloud(("completed",), clock=clock), JulesEmulator(clock=clock, step_seconds=0.01)
    options = ("--on", "codex:2", "--on", "jules", "--on", "local:2", "--repo", "owner/repo", "--interval", "0.1")
    with serving(codex) as codex_url, serving(jules) as jules_url:
        done = coatcheck(
            *("run", *options, "--sandbox", "none", "--check", "test -e made.txt", "--apply-best", "--json", "tea"),
            folder=repository,
            CODEX_ACCESS_TOKEN=codex.tokens.access_token,
            JULES_API_KEY=jules.token,
            COATCHECK_CODEX_BASE_URL=codex_url,
            COATCHECK_JULES_BASE_URL=jules_url,
        )
    document = json.loads(done.stdout)

    assert (0, 5, "local:", "tea") == (
        done.returncode,
        len(document["cards"]),
        document["choice"][:6],
        (repository / "made.txt").read_text(),
    ), done.stderr


def test_the_demo_runs_every_step(tmp_path: Path) -> None:
    """Without home, login or network three attempts are checked, the best one is applied, and only the folder is left."""
    folder = tmp_path / "demo"
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    bare = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    done = subprocess.run(
        [*COMMAND, "demo", "--folder", str(folder)],
        env={**bare, "TMPDIR": str(temporary), "FORCE_COLOR": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stderr)
    for expected in (
        "no model is used",
        "--attempts 3",
        "coatcheck review local:",
        "it changes protected paths: test_site.py",
        "it fails tests as the base does",
        "/2: it passes tests",
        "A ◐ button switches",
        "plan ",
        "\x1b[32m+",
        "Pull request",
        "JavaScript",
        " M style.css",
        str(folder),
    ):
        assert expected in done.stdout
    assert [] == list(temporary.iterdir())
    assert "[data-theme" in (folder / "style.css").read_text()


@pytest.mark.slow
def test_the_demo_in_json(tmp_path: Path) -> None:
    """The demo's result is a document, and its folder is a temporary one that it names."""
    done = coatcheck("demo", "--attempt", "3", "--json", folder=tmp_path, TMPDIR=str(tmp_path))
    document = json.loads(done.stdout)

    assert (3, 3, True) == (document["attempt"], len(document["task"]["attempts"]), document["applied"]["is_complete"])
    assert [Path(document["folder"])] == [path for path in tmp_path.iterdir() if path.name.startswith("coatcheck-")]


def test_the_demo_overwrites_nothing(tmp_path: Path) -> None:
    """A folder with something in it is left alone."""
    (tmp_path / "mine").write_text("precious")
    done = coatcheck("demo", "--folder", ".", folder=tmp_path)

    assert (2, f"coatcheck: {tmp_path} is not empty; pass an empty folder: --folder FOLDER\n") == (
        done.returncode,
        done.stderr,
    )
