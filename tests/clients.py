"""Both clients behind one blocking face; the test kit's own."""

from __future__ import annotations

from coatcheck.testing.both_clients import VARIANTS, Both

__all__ = ["VARIANTS", "Both"]
