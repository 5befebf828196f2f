"""OpenAI's batches."""

from __future__ import annotations

from tests.providers import service

from coatcheck.providers.openai_batch.provider import OpenAIBatchProvider, Service
from coatcheck.testing import OpenAIBatchEmulator

SERVICES = {
    "openai_batch": service.Service(
        lambda url: OpenAIBatchProvider(Service(f"{url}/v1", "gpt-test")), OpenAIBatchEmulator, service.BATCH
    )
}
