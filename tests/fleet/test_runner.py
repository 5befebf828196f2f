from __future__ import annotations

from pathlib import Path

from tests.fleet.fixtures import FleetFixture, spec_of

from coatcheck._model.fleets import FleetOutcome


def test_each_item_is_submitted_once_and_delivered_once(tmp_path: Path) -> None:
    """A fleet without trouble sends each prompt once, delivers each item once, and says so."""
    fleet = FleetFixture(tmp_path, spec_of(20))
    status = fleet.run()

    assert (FleetOutcome.DELIVERED, {"delivered": 20}, {1}, {1}, []) == (
        status.outcome,
        dict(status.items),
        set(fleet.prompts.values()),
        set(fleet.deliveries.keys.values()),
        fleet.notices,
    )
