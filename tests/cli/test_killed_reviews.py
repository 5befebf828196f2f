"""A review whose command is killed in any phase is continued by its name, and submits every task once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.cli.services_support import attempt, finishing, make_checkout

from coatcheck._protocol.effects import Request, Response
from coatcheck._runtime.system_clock import SystemClock
from coatcheck.cloud.scripted_cloud import ScriptedCloud
from coatcheck.testing import serving
from coatcheck.testing.emulators.jules import JulesEmulator

# Longer than any test takes on a busy machine: a request that is still held then belongs to a failed one.
TIME_LIMIT = 120.0
MAIN = "import sys; from coatcheck._cli.main import main; sys.argv[0] = 'coatcheck'; main()"


class Holding:
    """A service that holds the first request that *is_held* accepts, until its client was killed.

    With *is_taken* the request is performed before, so that only its answer is lost. `has_task` is set when a task
    was created.
    """

    def __init__(
        self, service: Any, is_held: Callable[[Request], bool] | None = None, *, is_taken: bool = True
    ) -> None:
        self._service, self._is_held, self._is_taken = service, is_held, is_taken
        self.is_there, self.is_over, self.has_task = threading.Event(), threading.Event(), threading.Event()

    def handle(self, request: Request) -> Response:
        """Answer *request*, or hold it."""
        if self.is_there.is_set() or self._is_held is None or not self._is_held(request):
            return self._performed(request)
        response = self._performed(request) if self._is_taken else Response(status=503)
        self.is_there.set()
        self.is_over.wait(TIME_LIMIT)
        return response

    def _performed(self, request: Request) -> Response:
        response: Response = self._service.handle(request)
        if posts(request):
            self.has_task.set()
        return response


def posts(request: Request) -> bool:
    """Whether a request submits a task."""
    return request.method == "POST" and request.path.endswith(("/tasks", "/sessions"))


def polls(request: Request) -> bool:
    """Whether a request reads a task or a list of tasks."""
    return (request.method == "GET" and "/sessions" in request.path) or (
        "/tasks" in request.path and not posts(request)
    )


def reads_environments(request: Request) -> bool:
    """Whether a request reads environments, which comes before the intent of a submission."""
    return "environments" in request.path or "sources" in request.path


class Phase(NamedTuple):
    """Which service holds which request, whether it is performed, and how many tasks codex has in the end."""

    service: str
    is_held: Callable[[Request], bool]
    is_taken: bool
    codex_tasks: int = 1


PHASES = {
    "before it is sent": Phase("codex", reads_environments, True),
    "while it is sent": Phase("codex", posts, False, codex_tasks=0),
    "before its answer": Phase("codex", posts, True),
    "during the wait": Phase("jules", polls, True),
}


class ThreeServices:
    """Three services on loopback, and commands that use them."""

    def __init__(
        self, folder: Path, handlers: dict[str, Holding], urls: dict[str, str], services: dict[str, Any]
    ) -> None:
        self.folder, self.handlers, self.urls, self.services = folder, handlers, urls, services

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command."""
        environ = {
            **os.environ,
            "CODEX_ACCESS_TOKEN": self.services["codex"].tokens.access_token,
            "COATCHECK_LOCAL_TOKEN": self.services["local"].tokens.access_token,
            "JULES_API_KEY": self.services["jules"].token,
            "COATCHECK_LEARN": "off",
            **{f"COATCHECK_{name.upper()}_BASE_URL": url for name, url in self.urls.items()},
        }
        command = [sys.executable, "-c", MAIN, *arguments]
        return subprocess.Popen(
            command, cwd=self.folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command to its end."""
        with self.start(*arguments) as program:
            out, err = program.communicate()
        return program.returncode, out, err

    def created(self) -> dict[str, int]:
        """Return how many tasks each service has."""
        codex, local, jules = (self.services[name] for name in ("codex", "local", "jules"))
        return {"codex": len(codex.tasks), "local": len(local.tasks), "jules": len(jules.tasks)}


@contextlib.contextmanager
def three_services(folder: Path, phase: Phase) -> Iterator[ThreeServices]:
    """Serve three services, one of which holds a request of the *phase*."""
    clock = SystemClock()
    services: dict[str, Any] = {
        "codex": ScriptedCloud(("completed",), attempts=[attempt("one"), attempt("two")], clock=clock),
        "local": ScriptedCloud(("completed",), attempts=[attempt("three")], clock=clock),
        "jules": JulesEmulator(finishing("four"), clock=clock, step_seconds=0.01),
    }
    handlers = {name: Holding(each) for name, each in services.items()}
    handlers[phase.service] = Holding(services[phase.service], phase.is_held, is_taken=phase.is_taken)
    with contextlib.ExitStack() as stack:
        urls = {name: stack.enter_context(serving(each)) for name, each in handlers.items()}
        stack.callback(handlers[phase.service].is_over.set)
        yield ThreeServices(folder, handlers, urls, services)


OPTIONS = ("--on", "codex:2", "--on", "jules", "--on", "local", "--name", "dark", "--interval", "0.05")
CHECKS = ("--sandbox", "none", "--check", "grep -q four hello.txt")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout with one commit."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    make_checkout(folder)
    return folder


def stopped(services: ThreeServices, phase: Phase, number: int) -> tuple[int, str]:
    """Start a review, and send a signal in its phase, once the other services have their tasks.

    Return the exit code and what was printed on stderr.
    """
    with services.start("run", *OPTIONS, *CHECKS, "--apply-best", "Add dark mode") as program:
        for name, handler in services.handlers.items():
            assert name == phase.service or handler.has_task.wait(TIME_LIMIT)
        assert services.handlers[phase.service].is_there.wait(TIME_LIMIT)
        program.send_signal(number)
        err = program.communicate()[1]
    services.handlers[phase.service].is_over.set()
    return program.returncode, err


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
@pytest.mark.parametrize("phase", PHASES.values(), ids=PHASES)
def test_a_killed_review_goes_on(home: Path, folder: Path, phase: Phase) -> None:
    """In whatever phase it was killed: no task exists twice, every result competes, and the best one is applied."""
    with three_services(folder, phase) as services:
        stopped(services, phase, signal.SIGKILL)
        code, out, err = services.run("review", "dark", "--apply", "--json", "--interval", "0.05")
        created = services.created()

    assert (0, "jules:", "hello\nfour\n", {"codex": phase.codex_tasks, "local": 1, "jules": 1}) == (
        code,
        json.loads(out)["choice"][:6],
        (folder / "hello.txt").read_text(),
        created,
    ), err


def test_an_interrupted_review_says_how_to_go_on(home: Path, folder: Path) -> None:
    """Ctrl-C during the wait ends the command at once, and the last line has the command that continues the review."""
    phase = PHASES["during the wait"]
    with three_services(folder, phase) as services:
        code, err = stopped(services, phase, signal.SIGINT)

    assert (
        130,
        "coatcheck: interrupted; the review dark is kept; continue it with: coatcheck review dark --apply",
    ) == (code, err.splitlines()[-1])
