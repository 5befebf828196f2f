"""Two clouds with the same three tasks: a real one whose agent is a script, and a scripted one."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.peers.peer_support import CommandLines, bare_environ, create_site, run_serve

from coatcheck._runtime.system_clock import SystemClock
from coatcheck.cloud.codex_home import write_codex_home
from coatcheck.cloud.http_server import serving
from coatcheck.cloud.models import CloudEnvironment, CloudResult
from coatcheck.cloud.scripted_cloud import AttemptScript, ScriptedCloud

# Deterministic, and different in every attempt: a changed file and a new one.
AGENT = """
import os, sys
attempt = os.environ["COATCHECK_ATTEMPT"]
with open("hello.txt", "a") as file:
    file.write(f"attempt {attempt}\\n")
with open(f"new-{attempt}.txt", "w") as file:
    file.write(f"{sys.argv[1]}\\n" * int(attempt))
print(f"Attempt {attempt} is done.")
"""

DIFF = """\
diff --git a/hello.txt b/hello.txt
index ce01362..1111111 100644
--- a/hello.txt
+++ b/hello.txt
@@ -1 +1,2 @@
 hello
+attempt {number}
diff --git a/new-{number}.txt b/new-{number}.txt
new file mode 100644
index 0000000..2222222
--- /dev/null
+++ b/new-{number}.txt
@@ -0,0 +1 @@
+new
"""


class Peers:
    """Both command lines, the repository of their cloud, and the ids of three tasks: `three` has three attempts."""

    def __init__(self, clients: CommandLines, site: Path) -> None:
        self.clients, self.site = clients, site
        self.three = clients.exec("Add dark mode", attempts=3)
        self.ours = clients.submit("Say “hello” \\ twice")
        self.theirs = clients.exec("Make it\nshine")
        for id in (self.three, self.ours, self.theirs):
            done = clients.ours("wait", id, "--timeout", "25s", "--interval", "0.1s")
            assert done.code == 0, done

    @property
    def environ(self) -> dict[str, str]:
        return self.clients.environ


@pytest.fixture(scope="module", params=["real", "scripted"])
def peers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    """Serve a cloud, and submit tasks with both programs."""
    folder = tmp_path_factory.mktemp(request.param)
    site = folder / "site"
    create_site(site, environ=bare_environ(folder))
    with {"real": serve_real, "scripted": serve_scripted}[request.param](folder, site) as clients:
        yield Peers(clients, site)


@contextmanager
def serve_real(folder: Path, site: Path) -> Iterator[CommandLines]:
    """Run ``coatcheck serve``, and yield both command lines with the CODEX_HOME that it writes."""
    (folder / "agent.py").write_text(AGENT)
    agent = shlex.join([sys.executable, str(folder / "agent.py"), "{prompt}"])
    options = ("--environment", f"owner/repo={site}", "--agent", agent, "--codex-home", str(folder / "codex"))
    with run_serve(folder, *options) as ready:
        yield CommandLines(folder / "clients", url=ready["url"], codex_home=folder / "codex")


@contextmanager
def serve_scripted(folder: Path, site: Path) -> Iterator[CommandLines]:
    """Serve a scripted cloud over HTTP."""
    scripts = tuple(
        AttemptScript(
            result=CloudResult(messages=(f"Attempt {n} is done.",), diff=DIFF.format(number=n), title="Shine")
        )
        for n in (1, 2, 3)
    )
    environment = CloudEnvironment(id="e" * 32, label="owner/repo", repository="owner/repo", path=str(site))
    with serving_scripted(
        ScriptedCloud(attempts=scripts, environments=(environment,), clock=SystemClock()), folder
    ) as clients:
        yield clients


@contextmanager
def serving_scripted(cloud: ScriptedCloud, folder: Path) -> Iterator[CommandLines]:
    """Serve *cloud* over loopback, and yield both command lines with a login."""
    with serving(cloud) as url:
        write_codex_home(folder / "codex", url=url, tokens=cloud.tokens, account=cloud.account, now=cloud.clock.time())
        yield CommandLines(folder / "clients", url=url, codex_home=folder / "codex")
