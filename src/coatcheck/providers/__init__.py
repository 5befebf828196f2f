"""The services that we know how to speak to: one folder each, found by an entry point as anybody's are."""
