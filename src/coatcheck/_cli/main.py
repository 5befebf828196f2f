"""The entry point, which starts and ends quickly.

``coatcheck --version`` answers from here, before anything that takes time is imported. After a command the
process ends at once: finalizing the interpreter took 13 of the 77 ms of ``coatcheck list``.
"""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing would be half of what --version takes
    from typing import NoReturn


# Objects between two garbage collections. Importing creates some 20,000, which are never freed; with Python's default
# of 700, collections took 4 of the 59 ms of ``coatcheck list``.
GC_THRESHOLD = 50_000


def main() -> NoReturn:
    """Run the command line of this process, and end it."""
    arguments = sys.argv[1:]
    if arguments in (["--version"], ["-V"], ["version"]):
        leave(_print_version())
    gc.set_threshold(GC_THRESHOLD)
    from .interruption import Interruption, UserInterrupt

    interruption = Interruption()
    try:
        interruption.install()
        from .app import run
        from .process_env import ProcessEnv

        code = run(arguments, ProcessEnv.of_process(interruption))
    except (KeyboardInterrupt, UserInterrupt):  # while importing, or while another error was reported
        print(interruption.line, file=sys.stderr)  # noqa: T201 - as above
        code = 128 + (interruption.number or 2)
    leave(code)


def _print_version() -> int:
    from .._version import __version__

    try:
        # Without the module that prints, which costs imports. Python has None for a descriptor that was closed.
        os.write(-1 if sys.stdout is None else 1, f"coatcheck {__version__}\n".encode())
    except OSError as error:
        from .console import OutputClosedError, output_error
        from .exit_codes import exit_code_of

        unwritten = output_error(error)
        if sys.stderr is not None and not isinstance(unwritten, OutputClosedError):
            sys.stderr.write(f"coatcheck: {unwritten}\n")
        return int(exit_code_of(unwritten))
    return 0


def leave(code: int) -> NoReturn:
    """Flush the streams and end the process; commands have closed everything else."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except Exception:  # noqa: BLE001, S112 - a closed or full stream; the exit code reports it
            continue
    os._exit(code)
