"""The engine conformance suite: what every engine does, with a service that has no idempotency keys, and counts."""

from __future__ import annotations

import pytest
from tests.engines.conftest import ENGINES
from tests.engines.engine_fixture import EngineFixture

EVERY = pytest.mark.parametrize("engine", ENGINES, indirect=True)


@EVERY
def test_each_task_is_sent_and_delivered_once(engine: EngineFixture) -> None:
    """Every item is submitted once and delivered once, and the worker ends when the fleet is done."""
    with engine.serving(items=12):
        code = engine.start().wait(240)

    assert (engine.expected, 0, "delivered\n") == (engine.result(), code, engine.log)
