from __future__ import annotations

from pathlib import Path

import pytest
from tests.credentials.login_environment import LoginEnvironment


@pytest.fixture
def variant() -> str:
    """The kind of driver; `both_variants` runs a test with each."""
    return "blocking"


@pytest.fixture
def logins(tmp_path: Path, variant: str) -> LoginEnvironment:
    """An environment without any login."""
    return LoginEnvironment(tmp_path, variant=variant)
