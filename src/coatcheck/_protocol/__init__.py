"""The contract between a provider, the engine and the world, with no I/O in it."""
