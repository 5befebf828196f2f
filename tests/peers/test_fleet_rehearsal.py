"""A rehearsal of fleets of 300 items: three services with faults, two workers, one of which is killed; reports are kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.fleet.rehearsal import unexplained
from tests.peers.fleet_rehearsal import Rehearsal
from tests.store.postgres_server import serving_postgres

pytestmark = [pytest.mark.peer, pytest.mark.skipif(os.name == "nt", reason="SIGKILL")]
ITEMS = {"codex": 110, "jules": 100, "github_actions": 90}


def test_every_item_is_delivered_or_explained(tmp_path: Path) -> None:
    """Each prompt is sent once, each change is one pull request, and what was not delivered has a reason and a command."""
    with serving_postgres() as store:
        rehearsal = Rehearsal(tmp_path, store, ITEMS)
        rehearsal.run(kill_after=100)
        reports = rehearsal.reports()
    delivered = sum(report.status.items.get("delivered", 0) for report in reports)
    uncertain = sum(report.status.candidates.get("uncertain", 0) for report in reports)

    assert ([], -9) == ([each for report in reports for each in unexplained(report)], rehearsal.first_exit)
    assert {1} == {*rehearsal.services.prompts.values()} == {*rehearsal.pulls.values()}
    assert sum(ITEMS.values()) - uncertain <= len(rehearsal.services.prompts) <= sum(ITEMS.values())
    assert delivered == len(rehearsal.pulls)
    assert delivered > 200
    assert all((tmp_path / f"{name}.html").read_text().startswith("<!doctype html>") for name in ITEMS)
