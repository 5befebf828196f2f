"""An A2A agent, by both bindings."""

from __future__ import annotations

from tests.providers.a2a.agent_support import provider
from tests.providers.service import Service

from coatcheck.testing import A2AEmulator

SERVICES = {
    "a2a": Service(lambda url: provider(f"{url}/a2a/v1", binding="http+json"), A2AEmulator),
    "a2a_json_rpc": Service(lambda url: provider(f"{url}/a2a/rpc", binding="jsonrpc"), A2AEmulator),
}
