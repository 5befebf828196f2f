"""What goes wrong with a request is told to whoever made it."""

from __future__ import annotations

import pytest
from tests.clients import COLOURS, Both
from tests.toy import ToyProvider, ToyService

from coatcheck import Task, TaskRef, errors
from coatcheck._protocol.effects import Exchange, Request

LOST = errors.TransportError("the connection was reset")


class Cautious(ToyProvider):
    """Asks another place where the first cannot be reached."""

    def get_task(self, ref: TaskRef) -> Exchange[Task]:
        try:
            yield Request("POST", "/elsewhere")
        except errors.TransportError:
            return (yield from super().get_task(ref))
        raise AssertionError


@pytest.mark.parametrize("colour", COLOURS)
def test_a_provider_hears_what_went_wrong_and_may_go_on(colour: str) -> None:
    """An error is thrown into the exchange at the request that had it; one that is caught is over."""
    service = ToyService(LOST)
    service.create({"prompt": "p", "attempts": 1})

    assert "t1" == Both(colour, Cautious(), service).get_task("t1").ref.id


@pytest.mark.parametrize("colour", COLOURS)
def test_what_nobody_catches_is_raised(colour: str) -> None:
    """As it was."""
    with pytest.raises(errors.TransportError, match="reset"):
        Both(colour, ToyProvider(), ToyService(LOST)).cancel_task("t1")
