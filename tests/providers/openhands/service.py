"""OpenHands' agent-servers, and OpenHands Cloud."""

from __future__ import annotations

from tests.providers import service

from coatcheck.providers.openhands.cloud_endpoints import CloudService
from coatcheck.providers.openhands.cloud_provider import OpenHandsCloudProvider
from coatcheck.providers.openhands.endpoints import Service
from coatcheck.providers.openhands.provider import OpenHandsProvider
from coatcheck.testing import OpenHandsCloudEmulator, OpenHandsEmulator


def attach_sandboxes(emulator: OpenHandsCloudEmulator, url: str) -> None:
    """Serve the sandboxes where the emulator is served."""
    emulator.base_url = url


SERVICES = {
    "openhands": service.Service(lambda url: OpenHandsProvider(Service(base_url=url)), OpenHandsEmulator),
    "openhands_cloud": service.Service(
        lambda url: OpenHandsCloudProvider(CloudService(url)), OpenHandsCloudEmulator, attach=attach_sandboxes
    ),
}
