"""The entry point: what starts quickly, and ends quickly.

``coatcheck --version`` answers from here, before anything that takes time is imported. When a command is done the
process ends at once: taking the interpreter apart, module by module, took 13 of the 77 ms of ``coatcheck list``.
"""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing would be half of what --version takes
    from typing import NoReturn


# Objects between two collections. Importing makes some 20,000, which all stay; looking through them again and again, as
# Python's own 700 has it, took 4 of the 59 ms of ``coatcheck list``.
FEW_COLLECTIONS = 50_000


def main() -> NoReturn:
    """Run the command line of this process, and end it."""
    arguments = sys.argv[1:]
    if arguments in (["--version"], ["-V"]):
        leave(_print_version())
    gc.set_threshold(FEW_COLLECTIONS)
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
    """End the process: commands have closed what they opened, so only what is buffered is left to do."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except Exception:  # noqa: BLE001, S112 - a closed or full stream; the exit code says it already
            continue
    os._exit(code)
