"""Google's Jules."""

from __future__ import annotations

from typing import Any

from tests.providers import service

from coatcheck.providers.jules.endpoints import Service
from coatcheck.providers.jules.provider import JulesProvider
from coatcheck.testing import JulesEmulator
from coatcheck.testing.emulators import jules_rpc


def jules(**options: Any) -> JulesEmulator:
    """Return an emulator with two sources."""
    return JulesEmulator(sources=[jules_rpc.source("owner", name, branches=("main",)) for name in "ab"], **options)


SERVICES = {
    "jules": service.Service(
        lambda url: JulesProvider(Service(f"{url}/v1alpha")),
        JulesEmulator,
        environments=service.TwoEnvironments(
            jules, ("owner/a", "sources/github/owner/a", "https://github.com/owner/a.git"), "owner/b"
        ),
    )
}
