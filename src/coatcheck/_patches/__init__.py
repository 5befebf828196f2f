"""Patches: read, judged, compared and applied. Imports nothing of the library but its errors."""
