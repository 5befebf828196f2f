"""OpenAI's webhooks about a batch (OpenAI's SDK 3.52, ``types/webhooks``)."""

from __future__ import annotations

from ...provider import STANDARD_WEBHOOKS_OR_TEXT, Webhooks, data_id

WEBHOOKS = Webhooks(
    sender="openai",
    title="OpenAI",
    about="batches",
    signature=STANDARD_WEBHOOKS_OR_TEXT,
    fields=("type", "data.id"),
    read=data_id("batch."),
)
