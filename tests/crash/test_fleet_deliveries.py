"""A delivery that is killed at each of its requests: each item has one branch and one pull request."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.crash import fleet_deliverer
from tests.fleet.fixtures import FleetFixture, spec_of
from tests.fleet.forge_fixtures import make_repository

from coatcheck._patches.git import git
from coatcheck._protocol.effects import Request, Response
from coatcheck.cloud.scripted_cloud import CloudResult
from coatcheck.testing import serving
from coatcheck.testing.emulators.github import GithubEmulator

ITEMS = 3
DIFF = "diff --git a/new.txt b/new.txt\nnew file mode 100644\n--- /dev/null\n+++ b/new.txt\n@@ -0,0 +1 @@\n+types\n"


class KillingGithub:
    """A GitHub that kills the worker before or after it answers a request."""

    def __init__(self) -> None:
        self.github = GithubEmulator()
        self._left, self._is_before, self._worker = 0, False, None

    def arm(self, worker: subprocess.Popen[str], number: int) -> None:
        """Kill *worker* at the request with this number, alternately before and after the answer."""
        self._left, self._is_before, self._worker = number // 2 + 1, bool(number % 2), worker

    def handle(self, request: Request) -> Response:
        """Answer, and kill."""
        self._left -= 1
        is_due = self._left == 0 and self._worker is not None
        if is_due and self._is_before:
            self._kill()
        response = self.github.handle(request)
        if is_due and not self._is_before:
            self._kill()
        return response

    def _kill(self) -> None:
        if self._worker is not None:
            self._worker.kill()


class Approved(FleetFixture):
    """A fleet whose items are approved, and not delivered."""

    commit = ""

    def resolve(self, name: str, base: str | None) -> str:
        """Return the commit of main."""
        return self.commit


@pytest.mark.crash
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_a_delivery_that_is_killed_at_each_request_is_made_once(tmp_path: Path) -> None:
    """However often it is killed between push, pull request and row, each item is delivered once."""
    Approved.commit = make_repository(tmp_path / "github")
    items = [{"package": f"p{number}", "repository": "acme/api"} for number in range(ITEMS)]
    spec = spec_of(items=items, deliver={"to": "pull_request", "labels": ["types"]}, approve={"otherwise": "person"})
    fleet = Approved(tmp_path, spec, result=CloudResult(diff=DIFF))
    fleet.run()
    fleet.control.approve("typing", by="ada")
    service = KillingGithub()
    service.github.serve_git(tmp_path / "github")
    killed = 0
    with serving(service) as base:
        origin = base.removesuffix("/backend-api")
        arguments = [sys.executable, fleet_deliverer.__file__, str(tmp_path), origin, service.github.token]
        for number in range(60):
            with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as worker:
                service.arm(worker, number)
                printed, _ = worker.communicate()
            if worker.returncode == 0:
                break
            killed += 1
    status = fleet.control.status("typing")
    pulls = Counter(str(pull["head"]["label"]) for pull in service.github.pulls.values())  # type: ignore[index]
    branches = git("for-each-ref", "refs/heads/coatcheck", folder=tmp_path / "github/acme/api.git").splitlines()

    assert ({"delivered": ITEMS}, [1] * ITEMS, ITEMS) == (dict(status.items), [*pulls.values()], len(branches))
    assert killed > 2 * ITEMS
    assert "delivered\n" == printed
