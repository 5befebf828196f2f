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
from typing import Any

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

    With *is_taken* the request is performed before, so that only its answer is lost.
    """

    def __init__(self, service: Any, is_held: Callable[[Request], bool], *, is_taken: bool) -> None:
        self._service, self._is_held, self._is_taken = service, is_held, is_taken
        self.is_there, self.is_over = threading.Event(), threading.Event()

    def handle(self, request: Request) -> Response:
        """Answer *request*, or hold it."""
        if self.is_there.is_set() or not self._is_held(request):
            return self._service.handle(request)  # type: ignore[no-any-return]
        response = self._service.handle(request) if self._is_taken else Response(status=503)
        self.is_there.set()
        self.is_over.wait(TIME_LIMIT)
        return response  # type: ignore[no-any-return]


def posts(request: Request) -> bool:
    """Whether a request submits a task."""
    return request.method == "POST" and request.path.endswith(("/tasks", "/sessions"))


def polls(request: Request) -> bool:
    """Whether a request reads a task or a list of tasks."""
    return (request.method == "GET" and "/sessions" in request.path) or (
        "/tasks" in request.path and not posts(request)
    )


def reads_environments(request: Request) -> bool:
    """Whether a request reads environments, which comes before everything else."""
    return "environments" in request.path or "sources" in request.path


# Phase -> the service that holds a request, which request, and whether it is performed.
PHASES: dict[str, tuple[str, Callable[[Request], bool], bool]] = {
    "before the review is stored": ("codex", reads_environments, True),
    "before the first task exists": ("codex", posts, False),
    "after a task was created": ("codex", posts, True),
    "while another service is asked": ("jules", posts, True),
    "during the wait": ("jules", polls, True),
}


class ThreeServices:
    """Three services on loopback, and commands that use them."""

    def __init__(self, folder: Path, held: Holding | None, urls: dict[str, str], services: dict[str, Any]) -> None:
        self.folder, self.held, self.urls, self.services = folder, held, urls, services

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
def three_services(folder: Path, phase: str | None) -> Iterator[ThreeServices]:
    """Serve three services, one of which holds a request of the *phase*."""
    clock = SystemClock()
    services: dict[str, Any] = {
        "codex": ScriptedCloud(("completed",), attempts=[attempt("one"), attempt("two")], clock=clock),
        "local": ScriptedCloud(("completed",), attempts=[attempt("three")], clock=clock),
        "jules": JulesEmulator(finishing("four"), clock=clock, step_seconds=0.01),
    }
    handlers, held = dict(services), None
    if phase is not None:
        name, is_held, is_taken = PHASES[phase]
        held = handlers[name] = Holding(services[name], is_held, is_taken=is_taken)
    with contextlib.ExitStack() as stack:
        urls = {name: stack.enter_context(serving(each)) for name, each in handlers.items()}
        if held is not None:
            stack.callback(held.is_over.set)
        yield ThreeServices(folder, held, urls, services)


OPTIONS = ("--on", "codex:2", "--on", "jules", "--on", "local", "--name", "dark", "--interval", "0.05")
CHECKS = ("--sandbox", "none", "--check", "grep -q four hello.txt")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout with one commit."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    make_checkout(folder)
    return folder


def killed(services: ThreeServices) -> None:
    """Start a review, and kill it in its phase."""
    assert services.held is not None
    with services.start("run", *OPTIONS, *CHECKS, "--apply-best", "Add dark mode") as program:
        assert services.held.is_there.wait(TIME_LIMIT), program.communicate()
        program.send_signal(signal.SIGKILL)
        program.communicate()
    services.held.is_over.set()


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
@pytest.mark.parametrize("phase", [each for each in PHASES if "stored" not in each])
def test_a_killed_review_goes_on(home: Path, folder: Path, phase: str) -> None:
    """In whatever phase it was killed: each task exists once, every result competes, and the best one is applied."""
    with three_services(folder, phase) as services:
        killed(services)
        code, out, err = services.run("review", "dark", "--apply", "--json", "--interval", "0.05")
        created = services.created()
    document = json.loads(out)
    lost = {"codex": 0} if phase == "before the first task exists" else {}

    assert (0, "jules:", "hello\nfour\n", {"codex": 1, "local": 1, "jules": 1} | lost) == (
        code,
        document["choice"][:6],
        (folder / "hello.txt").read_text(),
        created,
    ), err


def test_a_review_that_was_not_stored_has_sent_nothing(home: Path, folder: Path) -> None:
    """A command that is killed before it has stored its review has created no task."""
    with three_services(folder, "before the review is stored") as services:
        killed(services)
        code, _, err = services.run("review", "--list")
        created = services.created()

    assert (0, {"codex": 0, "local": 0, "jules": 0}) == (code, created), err
