"""Workflows of GitHub Actions."""

from __future__ import annotations

from tests.providers import service
from tests.providers.github.origins import set_download_origin
from tests.providers.github_actions.actions_support import provider

from coatcheck.testing import GithubEmulator

SERVICES = {
    "github_actions": service.Service(
        lambda url: provider(base_url=url), GithubEmulator, further_origin=set_download_origin
    )
}
