"""A service for the tests of fleets: it has no idempotency keys, and counts what it was sent."""

from __future__ import annotations
