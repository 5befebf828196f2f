"""The file of a fleet as it was stored, without its items: they are in the store."""

from __future__ import annotations

import json
from pathlib import Path

from .file import convert
from .spec import FleetSpec


def stored_spec(canonical: str, folder: Path | None = None) -> FleetSpec:
    """Return the file of a fleet from its canonical JSON; relative paths in it are relative to *folder*."""
    document = json.loads(canonical)
    document.pop("prompts", None)
    return FleetSpec(sections=convert(document), items=(), canonical=canonical, folder=folder)
