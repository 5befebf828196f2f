"""Three services in this process: Codex Cloud, the local cloud's API and Jules, each at an address of its own."""

from __future__ import annotations

import io
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.cli.cli_support import Result

from coatcheck import errors
from coatcheck._cli.app import run
from coatcheck._cli.console import Console
from coatcheck._cli.process_env import ProcessEnv
from coatcheck._protocol.effects import Request, Response
from coatcheck.cloud.models import CloudResult
from coatcheck.cloud.scripted_cloud import AttemptScript, ScriptedCloud
from coatcheck.testing import FakeClock
from coatcheck.testing.emulator_transport import deliver
from coatcheck.testing.emulators.jules import JulesEmulator
from coatcheck.testing.emulators.jules_scripts import COMPLETED, Act, Order, change

FILE = "hello.txt"


def diff(line: str) -> str:
    """Return a diff that adds a line to the file of the repository."""
    return f"diff --git a/{FILE} b/{FILE}\n--- a/{FILE}\n+++ b/{FILE}\n@@ -1 +1,2 @@\n hello\n+{line}\n"


def attempt(line: str) -> AttemptScript:
    """Return an attempt that adds a line."""
    return AttemptScript(result=CloudResult(messages=(f"Added {line}.",), diff=diff(line), title="t", body="b"))


def finishing(*lines: str) -> Callable[[Order], tuple[Act, ...]]:
    """Return the life of sessions of Jules, each of which adds the next of *lines*."""
    remaining = list(lines)

    def life(order: Order) -> tuple[Act, ...]:
        outputs = change(order, diff(remaining.pop(0) if remaining else "more"))
        return (Act(state="IN_PROGRESS"), Act(state="COMPLETED", activity=COMPLETED, outputs=(outputs,)))

    return life


def make_checkout(folder: Path) -> None:
    """Make a checkout of ``owner/repo`` with one commit."""
    (folder / FILE).write_text("hello\n")
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    for arguments in (
        ("init", "--quiet", "--initial-branch=main"),
        ("add", FILE),
        (*identity, "commit", "--quiet", "-m", "Begin"),
        ("remote", "add", "origin", "https://github.com/owner/repo.git"),
    ):
        subprocess.run(["git", *arguments], cwd=folder, check=True)


class Broken:
    """A service that cannot be reached."""

    def handle(self, request: Request) -> Response:
        """Raise the error of a connection that was refused."""
        raise errors.TransportError(f"no connection to {request.url}", request_sent=False)


class Services:
    """The handlers of services by host name, as a transport. `posts` are the names of those that received a task."""

    def __init__(self, handlers: Mapping[str, Any]) -> None:
        self.handlers = dict(handlers)
        self.posts: list[str] = []
        self._lock = threading.Lock()

    def send(self, request: Request) -> Response:
        """Return the response of the service whose address the request has."""
        name = (urlsplit(request.url or "").hostname or "").partition(".")[0]
        with self._lock:
            if request.method == "POST" and (request.path or urlsplit(request.url or "").path).endswith(
                ("/tasks", "/sessions")
            ):
                self.posts.append(name)
            return deliver(self.handlers[name], request)

    def close(self) -> None:
        """Do nothing: several clients share the services."""


class ManyServices:
    """The command line in a checkout of ``owner/repo``, in front of three services."""

    def __init__(self, folder: Path, **handlers: Any) -> None:
        self.clock = FakeClock()
        # What differs: codex adds "one" and "two", jules "three", the local cloud "two".
        self.codex = ScriptedCloud(attempts=[attempt("one"), attempt("two")], clock=self.clock)
        self.local = ScriptedCloud(attempts=[attempt("two")], clock=self.clock)
        self.jules = JulesEmulator(finishing("three"), clock=self.clock, step_seconds=1.0)
        self.services = Services({"codex": self.codex, "local": self.local, "jules": self.jules, **handlers})
        self.folder = folder
        self.environ = {
            "HOME": str(folder.parent / f"{folder.name}-home"),
            "CODEX_ACCESS_TOKEN": self.codex.tokens.access_token,
            "COATCHECK_LOCAL_TOKEN": self.local.tokens.access_token,
            "JULES_API_KEY": self.jules.token,
            "COATCHECK_CODEX_BASE_URL": "https://codex.example/backend-api",
            "COATCHECK_LOCAL_BASE_URL": "https://local.example/backend-api",
            "COATCHECK_JULES_BASE_URL": "https://jules.example/v1alpha",
            "COATCHECK_LEARN": "off",
        }
        make_checkout(folder)

    def git(self, *arguments: str) -> str:
        """Run git in the checkout."""
        done = subprocess.run(["git", *arguments], cwd=self.folder, check=True, capture_output=True, text=True)
        return done.stdout

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Result:
        """Run the command line."""
        out, err = io.BytesIO(), io.BytesIO()
        process_env = ProcessEnv(
            environ=self.environ,
            folder=str(self.folder),
            stdin=io.BytesIO(stdin),
            console=Console(out, err, environ=self.environ, is_terminal=False, is_interactive=False),
            is_asking=False,
            transport=self.services,
            clock=self.clock,
        )
        return Result(run(arguments, process_env), out.getvalue(), err.getvalue())

    def posts(self) -> Iterable[str]:
        """Return the names of the services that received a task, sorted, one for each request."""
        return sorted(self.services.posts)
