"""A rehearsal of fleets of 96 items over three services, with faults and a killed process; the reports are kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.fleet.rehearsal import Service, rehearse, services, unexplained

pytestmark = pytest.mark.peer
# GitHub accepts 80 requests that make content a minute, so that its tasks are submitted one a second.
ITEMS = {"codex": 60, "jules": 30, "github_actions": 6}


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
@pytest.mark.parametrize("service", services(), ids=lambda service: service.provider)
def test_every_item_is_delivered_or_explained(tmp_path: Path, service: Service) -> None:
    """Each prompt is sent once, each item delivered or named with its reason and a command, and the report is kept."""
    count = ITEMS[service.provider]
    report = rehearse(tmp_path, service, count, kill_after=2 * count)

    assert ([], {1}, count) == (unexplained(report), set(service.prompts.values()), len(service.prompts))
    assert (tmp_path / f"{service.provider}.html").read_text().startswith("<!doctype html>")
