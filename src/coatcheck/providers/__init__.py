"""The built-in providers: one folder each, found by entry points as plug-ins are."""
