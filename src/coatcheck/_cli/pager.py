"""Long results on a terminal go through a pager, as git's do.

Law 1. The pager is the user's: ``COATCHECK_PAGER`` or the setting ``pager``, ``GIT_PAGER``, ``PAGER``, else less. A
       repository cannot name one. It is started without a shell; an empty one and ``cat`` mean none.
Law 2. A pager that cannot be started is no error, and one that is left early has shown enough.
Law 3. An interrupted command ends its pager: two programs that read one terminal would take each other's keys.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

DEFAULT = "less"
# How long a pager may take to restore the terminal (seconds): less takes milliseconds.
LEAVING = 0.3
OWN = "COATCHECK_PAGER"
VARIABLES = ("GIT_PAGER", "PAGER")
# What git gives a less and an lv that are not set otherwise (git-config, core.pager): leave when it fits, let colours
# through, do not clear the screen.
ENVIRONMENT = {"LESS": "FRX", "LV": "-c"}


def command_of(setting: str | None, *, environ: Mapping[str, str]) -> list[str]:
    """Return the pager's program and arguments, nothing where none is wanted or it cannot be read."""
    import shlex  # 4 ms, and only terminals page

    named = (environ.get(OWN), setting, *(environ.get(name) for name in VARIABLES))
    wanted = next((each for each in named if each is not None), DEFAULT)
    try:
        command = shlex.split(wanted)
    except ValueError:  # a quotation mark without its end
        return []
    return [] if command == ["cat"] else command


def show(lines: Iterable[bytes], command: Sequence[str], *, environ: Mapping[str, str]) -> bool:
    """Show *lines* in a pager and wait until it is left; False, before any line is taken, when there is none."""
    import subprocess  # 8 ms, and only terminals page

    if not command:
        return False
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, env={**ENVIRONMENT, **environ})
    except OSError:
        return False
    try:
        _feed(process.stdin, lines)
        process.wait()
    except BaseException:
        _end(process)
        raise
    return True


def _feed(stdin: IO[bytes] | None, lines: Iterable[bytes]) -> None:
    if stdin is None:
        return
    try:
        stdin.writelines(lines)
        stdin.close()
    except BrokenPipeError:  # it was left
        with contextlib.suppress(BrokenPipeError):
            stdin.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the pager: SIGTERM lets less restore the terminal, SIGKILL ends one that ignores it."""
    from subprocess import TimeoutExpired

    process.terminate()
    try:
        process.wait(timeout=LEAVING)
    except TimeoutExpired:
        process.kill()
