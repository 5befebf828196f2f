"""Use cases: what a person or a program wants done with tasks and a checkout, as functions that return values."""
