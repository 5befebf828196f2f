"""A small rehearsal of fleets: two services with faults, and a process that is killed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.fleet.rehearsal import Service, rehearse, services, unexplained


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
@pytest.mark.parametrize("service", services(), ids=lambda service: service.provider)
def test_every_item_is_delivered_or_explained(tmp_path: Path, service: Service) -> None:
    """With faults, and a process that is killed, each prompt is sent once and each item delivered or explained."""
    report = rehearse(tmp_path, service, 10, kill_after=20)

    assert ([], {1}, 10) == (unexplained(report), set(service.prompts.values()), len(service.prompts))
