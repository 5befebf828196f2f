"""Codex Cloud, as the scripted cloud."""

from __future__ import annotations

from typing import Any

from tests.providers import service

from coatcheck.cloud.models import CloudEnvironment
from coatcheck.cloud.scripted_cloud import ScriptedCloud
from coatcheck.providers._chatgpt.credentials import LOGIN
from coatcheck.providers.codex.endpoints import Service
from coatcheck.providers.codex.provider import CodexProvider


def cloud(**options: Any) -> ScriptedCloud:
    """Return a cloud with two environments."""
    environments = [
        CloudEnvironment(id=letter * 32, label=f"Label {letter}", repository=f"owner/{letter}") for letter in "ab"
    ]
    return ScriptedCloud(environments=environments, **options)


SERVICES = {
    "codex": service.Service(
        lambda url: CodexProvider(Service.at(f"{url}/backend-api", name="codex"), LOGIN),
        ScriptedCloud,
        token=lambda emulator: emulator.tokens.access_token,
        environments=service.TwoEnvironments(
            cloud, ("a" * 32, "label A", "owner/a", "https://github.com/owner/a.git"), "Label b"
        ),
    )
}
