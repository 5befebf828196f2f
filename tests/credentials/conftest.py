from __future__ import annotations

from pathlib import Path

import pytest
from tests.credentials.household import VARIANTS, Household


@pytest.fixture(params=VARIANTS)
def household(request: pytest.FixtureRequest, tmp_path: Path) -> Household:
    """A home, in both colours."""
    return Household(tmp_path, colour=request.param)


@pytest.fixture
def house(tmp_path: Path) -> Household:
    """A home, where the colour does not matter."""
    return Household(tmp_path)
