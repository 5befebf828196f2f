"""Show long results on a terminal in a pager, as git does.

Invariants:

- the pager is ``COATCHECK_PAGER``, the setting ``pager``, ``GIT_PAGER``, ``PAGER`` or less; a repository's file cannot
  set it. It is started without a shell; an empty one and ``cat`` mean none, and so does ``NO_PAGER``;
- a pager that cannot be started, or that is closed early, is not an error;
- a pager gets links (OSC 8) only if it is less, of a version and with an option that pass them through;
- an interrupted command ends its pager, because two programs cannot read one terminal.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

DEFAULT = "less"
# How long a pager may take to restore the terminal (seconds); less takes milliseconds.
EXIT_SECONDS = 0.3
OWN = "COATCHECK_PAGER"
VARIABLES = ("GIT_PAGER", "PAGER")
# git's defaults for less and lv (git-config, core.pager): exit when the text fits, pass colours through, do not clear
# the screen.
ENVIRONMENT = {"LESS": "FRX", "LV": "-c"}
# How long less may take to print its version (seconds); it takes milliseconds.
VERSION_SECONDS = 5.0
# Links pass through from this version on (https://github.com/dandavison/delta/issues/615).
FIRST_LESS = 581


def command_of(setting: str | None, *, environ: Mapping[str, str]) -> list[str]:
    """Return the pager's program and arguments, an empty list where there is none or it cannot be parsed."""
    import shlex  # 4 ms, only needed on terminals

    if environ.get("NO_PAGER"):
        return []
    candidates = (environ.get(OWN), setting, *(environ.get(name) for name in VARIABLES))
    pager = next((each for each in candidates if each is not None), DEFAULT)
    try:
        command = shlex.split(pager)
    except ValueError:  # an unclosed quotation mark
        return []
    return [] if command == ["cat"] else command


def passes_links(command: Sequence[str], *, environ: Mapping[str, str]) -> bool:
    """Whether the pager *command* passes links through: others print their sequences."""
    import os

    if not command or os.path.basename(command[0]) != "less":
        return False
    options = " ".join([environ.get("LESS", ENVIRONMENT["LESS"]), *command[1:]]).split()
    if not any(map(_is_raw, options)):
        return False
    words = _version_of(command[0], environ).split()
    number = words[1].partition(".")[0] if len(words) > 1 else ""
    return number.isdecimal() and int(number) >= FIRST_LESS


def _is_raw(option: str) -> bool:
    """Whether an option of less is -R, alone or among others; LESS may have it without the hyphen."""
    return option == "--RAW-CONTROL-CHARS" if option.startswith("--") else "R" in option


def _version_of(program: str, environ: Mapping[str, str]) -> str:
    """Return what the program prints as its version, an empty text where it does not start."""
    import subprocess

    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, env=dict(environ), timeout=VERSION_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace")


def show(lines: Iterable[bytes], command: Sequence[str], *, environ: Mapping[str, str]) -> bool:
    """Show *lines* in a pager and wait until it exits; return False, before any line is read, without one."""
    import subprocess  # 8 ms, only needed on terminals

    if not command:
        return False
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, env={**ENVIRONMENT, **environ})
    except OSError:
        return False
    try:
        _write_lines(process.stdin, lines)
        process.wait()
    except BaseException:
        _end(process)
        raise
    return True


def _write_lines(stdin: IO[bytes] | None, lines: Iterable[bytes]) -> None:
    if stdin is None:
        return
    try:
        stdin.writelines(lines)
        stdin.close()
    except BrokenPipeError:  # it was closed early
        with contextlib.suppress(BrokenPipeError):
            stdin.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the pager: SIGTERM lets less restore the terminal, SIGKILL ends one that ignores it."""
    from subprocess import TimeoutExpired

    process.terminate()
    try:
        process.wait(timeout=EXIT_SECONDS)
    except TimeoutExpired:
        process.kill()
