"""The clock for tests, which the scripted cloud uses too."""

from .._runtime.fake_clock import FakeClock

__all__ = ["FakeClock"]
