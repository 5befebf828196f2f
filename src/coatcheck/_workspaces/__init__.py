"""Temporary clones of a repository, and commands in them that end with everything that they started."""
