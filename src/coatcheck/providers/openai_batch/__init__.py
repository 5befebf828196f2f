"""OpenAI's Batch API.

Nothing is imported until the factory runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...provider import Settings
    from .provider import OpenAIBatchProvider


def openai_batch(settings: Settings) -> OpenAIBatchProvider:
    """Return the provider of OpenAI's batches.

    ``model`` is used where a task names none; ``base_url`` (``OPENAI_BASE_URL``) is where the service is.
    """
    from .provider import OpenAIBatchProvider, Service

    return OpenAIBatchProvider(Service.of(settings))
