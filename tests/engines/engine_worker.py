"""Works on fleets against the service at a URL: a process of the tests of this folder, which they kill or stop.

Arguments: the engine, the store, a folder, the URL and a token of the service, how many items, seconds of a heartbeat.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from coatcheck._fleet.context import FleetOptions
from coatcheck._fleet.delivery import Delivered, Delivery, slug
from coatcheck._fleet.file import convert
from coatcheck._fleet.reviewing import ItemReview
from coatcheck._fleet.services import ServiceClient
from coatcheck._fleet.session import FleetSession, FleetSettings
from coatcheck._fleet.spec import FleetSpec, build_spec
from coatcheck._fleet.worker import FleetWorker
from coatcheck._model.fleets import FleetItem, FleetStatus
from coatcheck._protocol.effects import Clock
from coatcheck._protocol.provider import Capabilities
from coatcheck._review.candidates import Candidate
from coatcheck._store.fleet_journal import FleetJournal
from coatcheck._workspaces.cancellation import CancelScope

NAME = "engines"


def spec_of(count: int, **sections: object) -> FleetSpec:
    """Return a fleet of so many items."""
    document = {
        "name": NAME,
        "task": {"prompt": "Add types to {package}.", "base": "main"},
        "items": {"package": [f"p{number}" for number in range(count)]},
        "candidates": [{"provider": "codex", "environment": "env_1"}],
        "approve": {"auto": {"required": True}},
        **sections,
    }
    return build_spec(convert(document), folder=None)


class MarkFiles:
    """A target that makes a file for each key, and adds a line to a log."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)

    def __call__(self, delivery: Delivery) -> Delivered:
        path = self._folder / slug(delivery.item.key)
        path.touch()
        return Delivered(url=str(path))


class PacedClient(ServiceClient):
    """A client of a service that accepts so many submissions a second as COATCHECK_TEST_RATE names."""

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities of the service, with the rate."""
        rate = os.environ.get("COATCHECK_TEST_RATE")
        return msgspec.structs.replace(super().capabilities, rate=float(rate) if rate else None)


def review(item: FleetItem, candidates: Sequence[Candidate], scope: CancelScope) -> ItemReview:
    """Choose the first candidate."""
    return ItemReview(choice=candidates[0].name, is_automatic=True, why="it passes tests")


def session_of(
    store: str, folder: Path, url: str, token: str, *, heartbeat: float = 2.0, clock: Clock | None = None
) -> FleetSession:
    """Return the session of a worker."""
    home = folder / f"home-{os.getpid()}" if "://" in store else folder
    environ = {"COATCHECK_LEARN": "off", "COATCHECK_STATE_HOME": str(home), "HOME": str(folder)}
    options = FleetOptions(deliveries=4, quiet=1.0, sweep=(0.1, 0.4), redrive=1.0, tick=0.1, heartbeat=heartbeat)

    def connect(provider: str, account: str) -> ServiceClient:
        journal = FleetJournal(session.database)
        return PacedClient(provider, base_url=url, token=token, journal=journal, environ=environ)

    session = FleetSession(
        FleetSettings(
            environ=environ,
            store=store,
            clock=clock,
            options=options,
            review=review,
            connect=connect,
            targets={"patch": MarkFiles(folder / "delivered")},
        )
    )
    return session


async def work(engine: str, session: FleetSession, spec: FleetSpec) -> FleetStatus | None:
    """Work until the fleet is done; return its status."""
    if engine == "loop":
        return (await session.run(spec, waits=True, on_notice=notice))[1]
    (status,) = await FleetWorker(session, [spec], on_notice=notice).work()
    return status


def notice(text: str) -> None:
    """Print a notice."""
    sys.stderr.write(f"{os.getpid()}: {text}\n")


def main(*arguments: str) -> None:
    """Work until nothing is left to do."""
    engine, store, folder, url, token, count, heartbeat = arguments
    session = session_of(store, Path(folder), url, token, heartbeat=float(heartbeat))
    status = asyncio.run(work(engine, session, spec_of(int(count))))
    sys.stdout.write(f"{status.outcome if status else None}\n")
    session.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
