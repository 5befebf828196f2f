"""Anthropic's batches."""

from __future__ import annotations

from tests.providers import service

from coatcheck.providers.anthropic_batch.provider import AnthropicBatchProvider, Service
from coatcheck.testing import AnthropicBatchEmulator

SERVICES = {
    "anthropic_batch": service.Service(
        lambda url: AnthropicBatchProvider(Service(url, "claude-test")), AnthropicBatchEmulator, service.BATCH
    )
}
