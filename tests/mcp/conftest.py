"""A server in front of a scripted cloud."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.mcp.mcp_support import Served


@pytest.fixture
def served(tmp_path: Path) -> Served:
    """A server with every toolset, whose folder is empty."""
    folder = tmp_path / "work"
    folder.mkdir()
    return Served(folder)
