"""Works on a fleet against the service at a URL: what `test_fleet` kills. Arguments: folder, URL, token, items."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from coatcheck._fleet.branch_names import slug
from coatcheck._fleet.context import FleetOptions
from coatcheck._fleet.delivery import Delivered, Delivery
from coatcheck._fleet.file import convert
from coatcheck._fleet.reviewing import ItemReview
from coatcheck._fleet.services import ServiceClient
from coatcheck._fleet.session import FleetSession, FleetSettings
from coatcheck._fleet.spec import FleetSpec, build_spec
from coatcheck._model.fleets import FleetItem
from coatcheck._review.candidates import Candidate
from coatcheck._store.fleet_journal import FleetJournal
from coatcheck._workspaces.cancellation import CancelScope

OPTIONS = FleetOptions(quiet=1.0, sweep=(0.05, 0.2), redrive=1.0, tick=0.1)


def spec_of(count: int) -> FleetSpec:
    """Return a fleet of so many items."""
    document = {
        "name": "crash",
        "task": {"prompt": "Add types to {package}.", "base": "main"},
        "items": {"package": [f"p{number}" for number in range(count)]},
        "candidates": [{"provider": "codex", "environment": "env_1"}],
        "approve": {"auto": {"required": True}},
    }
    return build_spec(convert(document), folder=None)


class Marks:
    """A target that makes a file for each key; a key that is delivered again is found there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)

    def __call__(self, delivery: Delivery) -> Delivered:
        path = self._folder / slug(delivery.item.key)
        path.touch()
        return Delivered(url=str(path))


def review(item: FleetItem, candidates: Sequence[Candidate], scope: CancelScope) -> ItemReview:
    """Choose the first candidate."""
    return ItemReview(choice=candidates[0].name, is_automatic=True, why="it passes tests")


def session_of(folder: Path, url: str, token: str) -> FleetSession:
    """Return the session of a worker."""
    environ = {"COATCHECK_LEARN": "off", "COATCHECK_STATE_HOME": str(folder / "state"), "HOME": str(folder)}
    session = FleetSession(FleetSettings(environ=environ, options=OPTIONS, review=review))

    def connect(provider: str, account: str) -> ServiceClient:
        journal = FleetJournal(session.database)
        return ServiceClient(provider, base_url=url, token=token, journal=journal, environ=environ)

    targets = {"patch": Marks(folder / "delivered")}
    session.settings = FleetSettings(environ=environ, options=OPTIONS, review=review, connect=connect, targets=targets)
    return session


def main(folder: str, url: str, token: str, count: str) -> None:
    """Work until nothing is left to do."""
    session = session_of(Path(folder), url, token)
    _, status = asyncio.run(session.run(spec_of(int(count)), waits=True, on_notice=sys.stderr.write))
    sys.stdout.write(f"{status.outcome if status else None}\n")
    session.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
