"""Descriptions that many services share: what a user writes is laid over them, key by key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

Table: TypeAlias = Mapping[str, object]

# Microsoft's REST guidelines and azure-core's LROPoller: the first header there is has the status address; without a
# state in the answer 202 is "not yet" and 200 the result (docs/reference/protocols/services.md, "6 Standards").
AZURE: Table = {
    "submit": {"location": ["header:operation-location", "header:azure-asyncoperation", "header:location"]},
    "status": {"answers_with_result": True},
    "task": {
        "state": ["status", "properties.provisioningState"],
        "error": ["error.message"],
        "error_code": ["error.code"],
        "created_at": ["createdDateTime", "startTime"],
        "updated_at": ["lastActionDateTime"],
    },
    "states": {
        "notstarted": "queued",
        "accepted": "queued",
        "inprogress": "running",
        "creating": "running",
        "updating": "running",
        "deleting": "running",
        "validating": "running",
        "canceling": "running",
    },
    "result": {"location": ["resourceLocation"]},
}

# google.aip.dev/151: only `done` reports the end, and proto3 JSON leaves out what is false; code 1 is CANCELLED
# (google/rpc/code.proto). A name holds slashes.
GOOGLE_OPERATIONS: Table = {
    "submit": {"id": "name"},
    "status": {"path": "/v1/{+id}"},
    "task": {"id": "name", "done": "done", "error": ["error.message"], "error_code": ["error.code"]},
    "states": {"1": "cancelled"},
    "result": {"message": "response"},
    "cancel": {"path": "/v1/{+id}:cancel", "body": {}},
    "delete": {"method": "DELETE", "path": "/v1/{+id}"},
    "list": {
        "path": "/v1/operations",
        "items": "operations",
        "cursor": "nextPageToken",
        "cursor_parameter": "pageToken",
        "limit_parameter": "pageSize",
    },
}

PRESETS: Mapping[str, Table] = {"azure": AZURE, "google-operations": GOOGLE_OPERATIONS}


def laid_over(preset: Table, own: Table) -> dict[str, object]:
    """Return *preset* with *own* over it, table by table."""
    merged = dict(preset)
    for name, value in own.items():
        below = merged.get(name)
        merged[name] = laid_over(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged
