"""Fixtures of the tests of reviews."""

from tests.review.verification import repository, review, sandboxed

__all__ = ["repository", "review", "sandboxed"]
