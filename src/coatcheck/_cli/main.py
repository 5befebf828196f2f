"""The entry point. ``coatcheck --version`` answers from here, before anything that takes time is imported."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line of this process and return its exit code."""
    arguments = sys.argv[1:]
    if arguments in (["--version"], ["-V"]):
        from .._version import __version__

        print(f"coatcheck {__version__}")  # noqa: T201 - render, the module that prints, costs imports
        return 0
    from .app import run
    from .surroundings import Surroundings

    return run(arguments, Surroundings.of_process())
