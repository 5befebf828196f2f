"""Delivers the approved items of a fleet: what `test_fleet_deliveries` kills. Arguments: folder, URL of GitHub, token."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from coatcheck._fleet.session import FleetSession, FleetSettings


def main(folder: str, origin: str, token: str) -> None:
    """Deliver."""
    environ = {
        "COATCHECK_STATE_HOME": str(Path(folder, "state")),
        "COATCHECK_LEARN": "off",
        "GITHUB_TOKEN": token,
        "GITHUB_API_URL": origin,
        "HOME": folder,
    }
    session = FleetSession(FleetSettings(environ=environ, folder=Path(folder)))
    status = asyncio.run(session.deliver("typing", on_notice=sys.stderr.write))
    sys.stdout.write(f"{status.outcome}\n")
    session.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
