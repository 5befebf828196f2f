"""Services that are described in settings, by two of the presets."""

from __future__ import annotations

from tests.providers.generic_http.descriptions import BY_ID, GOOGLE, provider
from tests.providers.service import PROMPT, Service, TwoEnvironments

from coatcheck import TaskSpec
from coatcheck.testing import Http202Emulator

SELECTING = BY_ID.replace('branch = "{branch}"', 'environment = "{environment}"').replace(
    'branch = "input.branch"', 'environment = "input.environment"'
)
SERVICES = {
    "described": Service(
        lambda url: provider(BY_ID, base_url=url),
        Http202Emulator,
        TaskSpec(prompt=PROMPT, repository="owner/repo", branch="main"),
        environments=TwoEnvironments(
            Http202Emulator, ("a",), "b", provider=lambda url: provider(SELECTING, base_url=url)
        ),
    ),
    "google": Service(lambda url: provider(GOOGLE, base_url=url), Http202Emulator, TaskSpec(prompt=PROMPT)),
}
