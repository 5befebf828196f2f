"""Emulators of the services other than Codex, in memory. A test gives the states that each new task passes through."""
