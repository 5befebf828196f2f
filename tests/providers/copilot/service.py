"""GitHub's coding agent."""

from __future__ import annotations

from tests.providers import service
from tests.providers.copilot.agent_support import provider
from tests.providers.github.origins import set_download_origin

from coatcheck.testing import GithubEmulator

SERVICES = {
    "copilot": service.Service(lambda url: provider(base_url=url), GithubEmulator, further_origin=set_download_origin)
}
