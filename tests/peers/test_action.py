"""The GitHub Action: its file by the schema of GitHub's actions, its step by a run against a local cloud."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml
from tests.peers.conftest import run_serve
from tests.peers.github_support import on_socket
from tests.peers.peer_support import PEERS

from coatcheck._runtime.system_clock import SystemClock
from coatcheck.testing import GithubEmulator

pytestmark = pytest.mark.peer

ROOT = Path(__file__).parents[2]
ACTION = ROOT / ".github/actions/coatcheck"
PYTHON = Path(sys.prefix) / "peers/python/bin"
AGENT = "import sys; open('made.txt', 'w').write(sys.argv[1]); print('I made made.txt')"
# What GitHub's program for pull requests is called with, and its answer.
GH = f"""#!{sys.executable}
import json, os, sys
with open(os.environ["GH_LOG"], "a") as file:
    file.write(json.dumps([sys.argv[1:], os.environ.get("GH_TOKEN")]) + chr(10))
if sys.argv[1:3] == ["pr", "create"]:
    print("https://github.com/owner/repo/pull/7")
"""
PROMPT = "Say $(touch owned) `touch owned` 'hello'"


def git(folder: Path, *arguments: str) -> str:
    """Run git in *folder*."""
    command = ["git", "-c", "user.name=x", "-c", "user.email=x@example.com", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


class Runner:
    """A job in a checkout: it runs the step of the action as GitHub does, with files for outputs and the summary."""

    def __init__(self, folder: Path, codex_home: Path, url: str) -> None:
        self.folder, self.site = folder, folder / "site"
        self.outputs: dict[str, str] = {}
        self.log = self.summary = ""
        (folder / "bin").mkdir()
        (folder / "bin/gh").write_text(GH)
        (folder / "bin/gh").chmod(0o755)
        self.environ = {
            "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "CODEX_HOME": str(codex_home),
            "COATCHECK_CODEX_BASE_URL": url,
            "RUNNER_TEMP": str(folder),
            "GH_LOG": str(folder / "gh.log"),
            "GITHUB_ACTIONS": "true",
        }

    def __call__(self, **inputs: str) -> int:
        """Run the step with *inputs*, and read what it wrote."""
        files = {name: self.folder / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for file in files.values():
            file.write_text("")
        given = {f"INPUT_{name.upper()}": text for name, text in inputs.items()}
        done = subprocess.run(
            [sys.executable, str(ACTION / "action.py")],
            cwd=self.site,
            env={**self.environ, **{name: str(path) for name, path in files.items()}, **given},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        found = re.findall(r"^(\S+)<<(\S+)\n(.*?)\n\2$", files["GITHUB_OUTPUT"].read_text(), re.DOTALL | re.MULTILINE)
        self.outputs = {name: text for name, _, text in found}
        self.log, self.summary = done.stdout + done.stderr, files["GITHUB_STEP_SUMMARY"].read_text()
        return done.returncode


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    """A job beside a local cloud, in a checkout with a remote."""
    site = tmp_path / "site"
    site.mkdir()
    git(site, "init", "-q", "-b", "main")
    (site / "hello.txt").write_text("hello\n")
    git(site, "add", "--all")
    git(site, "commit", "-qm", "base")
    git(tmp_path, "clone", "-q", "--bare", "site", "remote.git")
    git(site, "remote", "add", "origin", str(tmp_path / "remote.git"))
    (tmp_path / "agent.py").write_text(AGENT)
    agent = shlex.join([sys.executable, str(tmp_path / "agent.py"), "{prompt}"])
    options = ("--environment", f"owner/repo={site}", "--agent", agent, "--codex-home", str(tmp_path / "codex"))
    with run_serve(tmp_path, *options) as ready:
        yield Runner(tmp_path, tmp_path / "codex", ready["url"])


def inputs_of(text: str) -> Mapping[str, str]:
    """Return the inputs that the step passes on, by the variable."""
    return dict(re.findall(r"(INPUT_[A-Z_]+): \$\{\{ inputs\.([a-z-]+) \}\}", text))


def test_the_file_fits_the_schema(tmp_path: Path) -> None:
    """GitHub's schema accepts it, and refuses it with a misspelt word."""
    good = (ACTION / "action.yml").read_text()
    codes = []
    for name, text in (("good", good), ("bad", good.replace("using: composite", "using: composit"))):
        (tmp_path / f"{name}.yml").write_text(text)
        command = [str(PYTHON / "check-jsonschema"), "--builtin-schema", "vendor.github-actions", f"{name}.yml"]
        codes.append(subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60, check=False).returncode)

    assert [0, 1] == codes


def test_every_input_reaches_the_step_as_a_variable() -> None:
    """No script contains an expression, and each input has the variable that the step reads."""
    text = (ACTION / "action.yml").read_text()
    document = yaml.safe_load(text)
    expected = {f"INPUT_{name.upper().replace('-', '_')}": name for name in document["inputs"]}
    ours = {variable: name for variable, name in expected.items() if name not in ("version", "working-directory")}

    assert [] == [step["name"] for step in document["runs"]["steps"] if "${{" in step["run"]]
    assert ours == inputs_of(text)


def test_a_task_becomes_a_pull_request(runner: Runner) -> None:
    """It is submitted, checked, pushed and opened; no part of the prompt is executed, and the token is masked."""
    code = runner(
        prompt=PROMPT, environment="owner/repo", checks="test -f made.txt", apply="pull-request", github_token="t0ken"
    )
    ref = runner.outputs["ref"]
    branch = f"coatcheck/{ref.replace(':', '-')[-60:]}"
    calls = (runner.folder / "gh.log").read_text()

    assert 0 == code, runner.log
    assert ("succeeded", "1", "https://github.com/owner/repo/pull/7") == tuple(
        runner.outputs[name] for name in ("state", "files-changed", "pull-request-url")
    )
    assert PROMPT == git(runner.folder / "remote.git", "show", f"{branch}:made.txt")
    assert [] == list(runner.folder.rglob("owned"))
    assert ("passed" in runner.summary, "::add-mask::t0ken" in runner.log, '"t0ken"' in calls) == (True, True, True)


def test_github_s_program_opens_the_pull_request(runner: Runner) -> None:
    """With the real ``gh`` and the emulated GitHub the branch is pushed, and its pull request has the task's words."""
    gh = shutil.which("gh", path=f"{PEERS}{os.pathsep}{os.environ['PATH']}")
    if gh is None:
        pytest.fail("gh is not installed: run `make peers`, or tests/peers/setup.sh VENV", pytrace=False)
    github, folder = GithubEmulator(clock=SystemClock()), runner.folder
    (folder / "bin/gh").unlink()
    (folder / "bin/gh").symlink_to(gh)
    (folder / "gh-config").mkdir()
    (folder / "gh-config/config.yml").write_text(f"http_unix_socket: {folder / 'gh.sock'}\n")
    runner.environ |= {"GH_CONFIG_DIR": str(folder / "gh-config"), "GH_HOST": "github.localhost"}
    git(runner.site, "remote", "set-url", "origin", "http://github.localhost/owner/repo.git")
    git(runner.site, "config", "remote.origin.pushurl", str(folder / "remote.git"))
    given = {"prompt": "Say hello", "environment": "owner/repo", "branch": "main", "apply": "pull-request"}
    with on_socket(github, folder / "gh.sock"):
        code = runner(**given, github_token=github.token)
        first = runner.outputs
        again = runner(command="apply", ref=first["ref"], apply="pull-request", github_token=github.token)
    assert 0 == code, runner.log
    (pull,) = github.pulls.values()
    branch = f"coatcheck/{first['ref'].replace(':', '-')[-60:]}"

    assert (branch, "main", first["pull-request-url"]) == (
        pull["head"]["ref"], pull["base"]["ref"], pull["html_url"]
    )  # fmt: skip
    assert "Say hello" == git(folder / "remote.git", "show", f"{branch}:made.txt")
    assert (True, github.token in runner.log.replace(f"::add-mask::{github.token}", "")) == (again != 0, False)


def test_a_later_job_waits(runner: Runner) -> None:
    """One job submits, another one waits with the ref and commits."""
    submitted = runner(command="submit", prompt="Say hello", environment="owner/repo")
    ref = runner.outputs["ref"]
    waited = runner(command="wait", ref=ref, apply="commit")

    assert (0, 0) == (submitted, waited), runner.log
    assert "Say hello" == git(runner.site, "show", "HEAD:made.txt")
    assert b"made.txt" in Path(runner.outputs["patch-path"]).read_bytes()


@pytest.mark.parametrize(
    ("inputs", "code", "message"),
    [
        ({}, 2, "no prompt"),
        ({"command": "dance"}, 2, "no command"),
        ({"command": "wait"}, 2, "needs the input ref"),
        ({"prompt": "p", "apply": "maybe"}, 2, "apply cannot be"),
        ({"prompt": "Say hello", "environment": "owner/repo", "checks": "false"}, 11, "no attempt passes the checks"),
    ],
)
def test_what_is_wrong_is_an_annotation(runner: Runner, inputs: dict[str, str], code: int, message: str) -> None:
    """The step fails with the exit code of the command and one line that GitHub shows."""
    found = runner(**inputs)

    assert code == found, runner.log
    assert [message in line for line in runner.log.splitlines() if line.startswith("::error")] == [True]
