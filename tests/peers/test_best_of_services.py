"""`coatcheck run --on … --check … --apply-best` chooses between the patches of real programs, without a network.

Each program has a model of its own, which answers by a script: one writes a change that passes the check, the others
write one that does not. `SERVICES` has the programs; each pair of them competes.
"""

from __future__ import annotations

import itertools
import json
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.peers.model_servers import Step
from tests.peers.peer_support import OURS, bare_environ, git, run_serve
from tests.peers.scripted_model import ScriptedModel, settings
from tests.peers.test_codex_app_server import CODEX, Host

pytestmark = pytest.mark.peer

RIGHT, WRONG = "printf 'right\\n' >answer.txt", "printf 'wrong\\n' >answer.txt; printf 'more\\n' >more.txt"
CHECK = "grep -qx right answer.txt"
LIMIT = 240


class GivenScript(ScriptedModel):
    """A model that takes the same steps for every prompt."""

    def __init__(self, *steps: str) -> None:
        super().__init__()
        self._steps = steps

    def next_step(self, body: dict[str, Any], _raw: str) -> Step:
        """Return the step after those whose output is in the conversation."""
        self.requests.append(body)
        done = sum(item.get("type") == "function_call_output" for item in body["input"])
        return ("exec_command", {"cmd": self._steps[done]}) if done < len(self._steps) else "It is done."


class Site:
    """A repository that is at the same address for every service, and a checkout of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.environ = folder, bare_environ(folder)
        self.repository, self.checkout = folder / "remotes/owner/repo.git", folder / "checkout"
        who = ("-c", "user.name=A", "-c", "user.email=a@example.com")
        git("init", "-q", "-b", "main", self.checkout, environ=self.environ)
        (self.checkout / "answer.txt").write_text("none\n")
        git("-C", self.checkout, "add", ".", environ=self.environ)
        git("-C", self.checkout, *who, "commit", "-q", "-m", "Ask", environ=self.environ)
        git("clone", "-q", "--bare", self.checkout, self.repository, environ=self.environ)
        git("-C", self.checkout, "remote", "add", "origin", "https://github.com/owner/repo", environ=self.environ)


Service = Callable[[Site, str], AbstractContextManager[Mapping[str, str]]]


@contextmanager
def codex_app_server(site: Site, model_url: str) -> Iterator[Mapping[str, str]]:
    """Run `codex app-server`, and yield the settings of its provider."""
    folder = site.folder / "host"
    folder.mkdir()
    host = Host(folder, model_url)
    host.start()
    try:
        yield {
            "COATCHECK_CODEX_APP_SERVER_BASE_URL": f"unix://{host.socket}",
            "COATCHECK_CODEX_APP_SERVER_CLONE_URL": f"file://{site.folder}/remotes/{{repository}}.git",
        }
    finally:
        host.stop(signal.SIGKILL)


@contextmanager
def local(site: Site, model_url: str) -> Iterator[Mapping[str, str]]:
    """Run a local cloud whose agent is `codex exec`; commands find it by its record."""
    home = site.folder / "agent-home"
    home.mkdir()
    (home / "config.toml").write_text(settings(model_url))
    variables = {"CODEX_HOME": str(home), "LOOP_KEY": "x", "TMPDIR": str(site.folder / "tmp")}
    (site.folder / "tmp").mkdir()
    program = [str(CODEX), "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
    command = shlex.join(["env", *(f"{name}={value}" for name, value in variables.items()), *program])
    options = ("--environment", f"owner/repo={site.repository}", "--agent", f"{command} {{prompt}}")
    with run_serve(site.folder, *options):
        yield {}


# The services whose programs run here; another one joins by a function and an entry.
SERVICES: Mapping[str, Service] = {"codex_app_server": codex_app_server, "local": local}
PAIRS = [*itertools.permutations(SERVICES, 2)]


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_the_patch_that_passes_is_chosen_and_applied(pair: Sequence[str]) -> None:
    """The first program writes what the check wants, the second does not: the first one's patch is applied."""
    with ExitStack() as stack:
        # Codex's sandbox has a /dev of its own, which hides /dev/shm.
        site = Site(Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp"))))
        environ = dict(site.environ)
        for name, step in zip(pair, (RIGHT, WRONG), strict=True):
            model = stack.enter_context(GivenScript(step))
            environ |= stack.enter_context(SERVICES[name](site, model.url))
        on = [word for name in pair for word in ("--on", name)]
        done = run(site, environ, *on)
        answer = (site.checkout / "answer.txt").read_text()
    document = json.loads(done.stdout)

    assert (0, 2, pair[0], "right\n") == (
        done.returncode,
        len(document["cards"]),
        document["choice"].partition(":")[0],
        answer,
    ), done.stderr


def test_two_tasks_of_one_host_compete() -> None:
    """Where no result passes the check, none is applied, and the exit code is 11."""
    with ExitStack() as stack:
        site = Site(Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp"))))
        model = stack.enter_context(GivenScript(WRONG))
        variables = stack.enter_context(codex_app_server(site, model.url))
        done = run(site, {**site.environ, **variables}, "--on", "codex_app_server:2")
        answer = (site.checkout / "answer.txt").read_text()

    assert (11, "none\n", 2) == (done.returncode, answer, len(json.loads(done.stdout)["cards"])), done.stderr


def run(site: Site, environ: Mapping[str, str], *on: str) -> subprocess.CompletedProcess[str]:
    """Run the command in the checkout."""
    options = ("--repo", "owner/repo", "--sandbox", "none", "--check", CHECK, "--apply-best", "--json")
    return subprocess.run(
        [str(OURS), "run", *on, *options, "Answer the question"],
        cwd=site.checkout,
        env=dict(environ),
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
