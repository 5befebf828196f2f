"""The file of a fleet as it was stored, without its items: they are in the store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from .file import convert
from .spec import FleetSpec

if TYPE_CHECKING:
    from .._model.fleets import FleetRecord


def stored_spec(fleet: FleetRecord, folder: Path | None = None) -> FleetSpec:
    """Return the file of a fleet; relative paths in it are relative to *folder*."""
    document = json.loads(fleet.spec)
    document.pop("prompts", None)
    return FleetSpec(sections=convert(document), items=(), canonical=fleet.spec, folder=folder)
