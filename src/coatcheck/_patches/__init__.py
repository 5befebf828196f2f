"""Patches: read, verified, compared and applied. Imports only `errors` and `_values` of the library."""
