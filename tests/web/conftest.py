from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.web.web_support import Pages


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    """The page in front of a scripted cloud, without a checkout."""
    made = Pages(tmp_path)
    yield made
    made.site.close()
