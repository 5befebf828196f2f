"""Both clients behind one blocking interface, from the test kit."""

from __future__ import annotations

from coatcheck.testing.both_clients import VARIANTS, Both

__all__ = ["VARIANTS", "Both"]
