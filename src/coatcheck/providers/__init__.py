"""The built-in providers: one folder each. The index of their names is generated from the folders (docs/guides/providers.md)."""
