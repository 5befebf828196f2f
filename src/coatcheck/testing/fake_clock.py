"""A clock that tests advance, for both clients, so that no test sleeps."""

from .._runtime.fake_clock import FakeClock

__all__ = ["FakeClock"]
