"""The structures of OpenAI's batches: only the fields that are read.

Typed fields decide; fields of type ``object`` are only shown and are read by `loose`.

See docs/reference/protocols/services.md, "4 Other cloud coding agents and batch APIs"; OpenAI's SDK 3.52,
``types/batch.py``.
"""

from __future__ import annotations

import msgspec


class Wire(msgspec.Struct, frozen=True):
    """A shape of the service's."""


class Counts(Wire, frozen=True):
    """How many requests ended in which way."""

    total: int | None = None
    completed: int | None = None
    failed: int | None = None


class BatchError(Wire, frozen=True):
    """Why a batch was rejected, or a request not sent."""

    code: object = None
    message: object = None


class BatchErrors(Wire, frozen=True):
    """The errors of a batch."""

    data: list[BatchError] | None = None


class Batch(Wire, frozen=True):
    """A batch; `metadata` is what its maker put there."""

    id: str
    status: str | None = None
    created_at: object = None
    in_progress_at: object = None
    completed_at: object = None
    failed_at: object = None
    expired_at: object = None
    cancelled_at: object = None
    expires_at: object = None
    request_counts: Counts | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    errors: BatchErrors | None = None
    metadata: object = None
    model: object = None


class BatchPage(Wire, frozen=True):
    """A page of batches, newest first."""

    data: list[Batch] | None = None
    has_more: bool | None = None


class File(Wire, frozen=True):
    """An uploaded file."""

    id: str


class LineResponse(Wire, frozen=True):
    """What was answered to one request."""

    status_code: int | None = None
    body: object = None


class Line(Wire, frozen=True):
    """A line of the output file or of the error file."""

    custom_id: str
    response: LineResponse | None = None
    error: BatchError | None = None
