"""Private files, lock files and process liveness: the one place that writes state to the disk."""
