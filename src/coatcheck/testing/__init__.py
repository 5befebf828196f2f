"""Fakes for programs that use the library, and the laws that every provider must pass."""
