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
from tests.cli.services_support import attempt, checkout, finishing

from coatcheck._protocol.effects import Request, Response
from coatcheck._runtime.system_clock import SystemClock
from coatcheck.cloud.scripted_cloud import ScriptedCloud
from coatcheck.testing import serving
from coatcheck.testing.emulators.jules import JulesEmulator

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
        self.is_over.wait()
        return response  # type: ignore[no-any-return]


def posts(request: Request) -> bool:
    """Whether a request submits a task."""
    return request.method == "POST" and request.path.endswith(("/tasks", "/sessions"))


def polls(request: Request) -> bool:
    """Whether a request reads a task or a list of tasks."""
    return request.method == "GET" and "/sessions" in request.path or "/tasks" in request.path and not posts(request)


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
        "jules": JulesEmulator(finishing("four"), clock=clock),
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
