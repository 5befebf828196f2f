"""Many Codex tasks are watched through the list."""

from __future__ import annotations

import pytest
from tests.clients import VARIANTS, Both

from coatcheck.cloud.scripted_cloud import ScriptedCloud
from coatcheck.providers._chatgpt.credentials import LOGIN
from coatcheck.providers.codex.endpoints import Service
from coatcheck.providers.codex.provider import CodexProvider

BASE = "http://127.0.0.1:9/backend-api"


@pytest.mark.parametrize("variant", VARIANTS)
def test_forty_tasks_cost_two_pages_a_round(variant: str) -> None:
    """Two pages of twenty have the states of forty tasks; each is polled by itself once it has ended, with its attempts."""
    cloud = ScriptedCloud(timeline=["pending"] * 5 + ["completed"], is_open=True)
    both = Both(variant, CodexProvider(Service.at(BASE, name="codex"), LOGIN), cloud)
    refs = [both.create_task(f"task {n}", environment="owner/repo", attempts=1 + n % 2).ref for n in range(40)]
    before = len(cloud.requests)
    tasks = both.poll_tasks(refs, interval=10)
    gets = [request for request in cloud.requests[before:] if "/tasks/list" not in request.path]

    assert set(refs) == {task.ref for task in tasks}
    assert {1, 2} == {max(1, len(task.attempts)) for task in tasks}
    assert len(gets) <= 40 + 20
