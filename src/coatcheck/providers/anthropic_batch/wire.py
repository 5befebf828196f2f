"""The structures of Anthropic's batches: only the fields that are read.

Typed fields decide; fields of type ``object`` are only shown and are read by `loose`.

See docs/reference/protocols/services.md, "4 Other cloud coding agents and batch APIs"; Anthropic's SDK 2.11,
``types/messages``.
"""

from __future__ import annotations

import msgspec


class Wire(msgspec.Struct, frozen=True):
    """A shape of the service's."""


class Counts(Wire, frozen=True):
    """How many requests ended in which way; all but `processing` stay zero until the batch has ended."""

    processing: int | None = None
    succeeded: int | None = None
    errored: int | None = None
    canceled: int | None = None
    expired: int | None = None


class Batch(Wire, frozen=True):
    """A batch."""

    id: str
    processing_status: str | None = None
    request_counts: Counts | None = None
    created_at: object = None
    ended_at: object = None
    expires_at: object = None
    archived_at: object = None
    results_url: str | None = None


class BatchPage(Wire, frozen=True):
    """A page of batches, newest first."""

    data: list[Batch] | None = None
    has_more: bool | None = None
    last_id: str | None = None


class Result(Wire, frozen=True):
    """What became of one request: a message, or why there is none."""

    type: str | None = None
    message: object = None
    error: object = None


class Line(Wire, frozen=True):
    """A line of the results."""

    custom_id: str
    result: Result
