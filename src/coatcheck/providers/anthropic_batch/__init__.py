"""Anthropic's Message Batches.

Nothing is imported until the factory runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...provider import Settings
    from .provider import AnthropicBatchProvider


def anthropic_batch(settings: Settings) -> AnthropicBatchProvider:
    """Return the provider of Anthropic's batches; raises `ConfigurationError` for a setting that is none.

    ``model`` is the model of tasks that name none, ``max_tokens`` the length of an answer, and ``base_url``
    (``ANTHROPIC_BASE_URL``) is where the service is.
    """
    from .provider import AnthropicBatchProvider, Service

    return AnthropicBatchProvider(Service.of(settings))
