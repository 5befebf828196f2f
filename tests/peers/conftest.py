"""Two clouds, each with the same three tasks made: a real one whose agent is a script, and a scripted one."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.peers.peer_support import PollContext, bare_environ, make_site, serving_really

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
    """A desk, the repository behind its cloud, and the tasks that were made: `three` has three attempts."""

    def __init__(self, desk: PollContext, site: Path) -> None:
        self.desk, self.site = desk, site
        self.three = desk.exec("Add dark mode", attempts=3)
        self.ours = desk.submit("Say “hello” \\ twice")
        self.theirs = desk.exec("Make it\nshine")
        for id in (self.three, self.ours, self.theirs):
            done = desk.ours("wait", id, "--timeout", "25s", "--interval", "0.1s")
            assert done.code == 0, done

    @property
    def environ(self) -> dict[str, str]:
        return self.desk.environ


@pytest.fixture(scope="module", params=["real", "scripted"])
def peers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    """Serve a cloud, and have tasks made by both programs."""
    folder = tmp_path_factory.mktemp(request.param)
    site = folder / "site"
    make_site(site, environ=bare_environ(folder))
    with {"real": real_desk, "scripted": scripted_desk}[request.param](folder, site) as desk:
        yield Peers(desk, site)


@contextmanager
def real_desk(folder: Path, site: Path) -> Iterator[PollContext]:
    """``coatcheck serve`` as people start it, with the CODEX_HOME that it writes."""
    (folder / "agent.py").write_text(AGENT)
    agent = shlex.join([sys.executable, str(folder / "agent.py"), "{prompt}"])
    options = ("--environment", f"owner/repo={site}", "--agent", agent, "--codex-home", str(folder / "codex"))
    with serving_really(folder, *options) as ready:
        yield PollContext(folder / "desk", url=ready["url"], codex_home=folder / "codex")


@contextmanager
def scripted_desk(folder: Path, site: Path) -> Iterator[PollContext]:
    """A scripted cloud over real HTTP."""
    scripts = tuple(
        AttemptScript(
            result=CloudResult(messages=(f"Attempt {n} is done.",), diff=DIFF.format(number=n), title="Shine")
        )
        for n in (1, 2, 3)
    )
    environment = CloudEnvironment(id="e" * 32, label="owner/repo", repository="owner/repo", path=str(site))
    with serving_scripted(
        ScriptedCloud(attempts=scripts, environments=(environment,), clock=SystemClock()), folder
    ) as desk:
        yield desk


@contextmanager
def serving_scripted(cloud: ScriptedCloud, folder: Path) -> Iterator[PollContext]:
    """Serve *cloud* over loopback, with a login at it."""
    with serving(cloud) as url:
        write_codex_home(folder / "codex", url=url, tokens=cloud.tokens, account=cloud.account, now=cloud.clock.time())
        yield PollContext(folder / "desk", url=url, codex_home=folder / "codex")
