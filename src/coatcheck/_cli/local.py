"""Find the local cloud that runs on this machine, through the record it keeps of itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .._runtime.config import state_dir

if TYPE_CHECKING:
    from ..cloud.server import ServerRecord

RECORD = "server.json"


def record_path(environ: Mapping[str, str]) -> Path:
    """Return where a server keeps the record of itself."""
    return Path(state_dir(environ)) / RECORD


def running_server(environ: Mapping[str, str]) -> ServerRecord | None:
    """Return the record of the server that runs, None where none does."""
    from ..cloud.server import read_record

    return read_record(record_path(environ))
