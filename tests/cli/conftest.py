from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.cli_support import Cli


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command line in front of a scripted cloud, in an empty folder."""
    return Cli(tmp_path)
