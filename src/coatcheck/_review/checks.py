"""Checks: commands of the person who reviews, and what they found about a candidate.

A check is a command without a shell: words as a shell splits them, run in a clone at the candidate's base
(`docs/guides/checks.md`). Commands come from the person, never from the repository under review.
"""

from __future__ import annotations

import enum
from typing import ClassVar, Literal, TypeAlias

from .._values.value import JsonFields, Value

SandboxKind: TypeAlias = Literal["auto", "bubblewrap", "sandbox-exec", "none"]


class Verdict(enum.StrEnum):
    """What a check has found.

    "passed" and "failed" are the exit status; "error" means that the check could not be run or was ended at a limit;
    "skipped" that a required check before it had failed; "unchecked" that it was not run on purpose (`reason` says why).
    """

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"
    UNCHECKED = "unchecked"


class Check(Value, frozen=True, kw_only=True):
    """A command that must succeed (`required`), or that counts with its `weight`. `timeout` is in seconds."""

    name: str
    run: str
    required: bool = True
    weight: float = 1.0
    timeout: float | None = None

    _json: ClassVar[JsonFields] = {
        "name": "its name",
        "run": "the command, split into words as a shell does, run without a shell",
        "required": "whether a candidate that fails it is never chosen",
        "weight": "how much it counts where it is not required",
        "timeout": "seconds after which it is ended",
    }


class Limits(Value, frozen=True, kw_only=True):
    """What one command may use: seconds of CPU and wall time, bytes, numbers of processes and files.

    `output` is how much of a command's output is kept (bytes), `disk` how much it may write altogether.
    """

    cpu: float = 600.0
    wall: float = 1200.0
    memory: int = 2 * 1024**3
    file: int = 256 * 1024**2
    disk: int = 2 * 1024**3
    processes: int = 256
    output: int = 1024**2

    _json: ClassVar[JsonFields] = {
        "cpu": "seconds of CPU",
        "wall": "seconds",
        "memory": "bytes of memory",
        "file": "bytes of one file",
        "disk": "bytes written altogether",
        "processes": "processes at once",
        "output": "bytes of output that are kept",
    }


class Verification(Value, frozen=True, kw_only=True):
    """How candidates are checked.

    `setup` is run on the base only, once for each state of `setup_inputs` (lock files), with network. `protected` are
    patterns of paths (tests, configuration of checks): they are restored from the base before the checks.
    `network` permits the network to checks. `readable` are further files and folders that a sandbox shows to commands,
    read-only.
    """

    checks: tuple[Check, ...] = ()
    setup: str | None = None
    setup_inputs: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    sandbox: SandboxKind = "auto"
    network: bool = False
    readable: tuple[str, ...] = ()
    limits: Limits = Limits()

    _json: ClassVar[JsonFields] = {
        "checks": "check objects, in the order of their cost",
        "setup": "a command that is run on the base before the checks",
        "setup_inputs": "patterns of the files that the setup depends on",
        "protected": "patterns of paths that are restored from the base",
        "sandbox": "auto, bubblewrap, sandbox-exec or none",
        "network": "whether checks may use the network",
        "readable": "further paths that commands can read",
        "limits": "limits object",
    }


class CheckResult(Value, frozen=True, kw_only=True):
    """What a check has found about a candidate, beside what it found on the unpatched base.

    `base_verdict` is None where the check was not run on the base. `log` is the end of the output; `log_digest` is the
    SHA-256 by which the store keeps all of it that was captured. `is_cached` says that the result is an earlier one of
    the same patch, base, command and setup.
    """

    check: str
    verdict: Verdict
    base_verdict: Verdict | None = None
    exit_code: int | None = None
    seconds: float = 0.0
    reason: str | None = None
    log: str = ""
    log_digest: str | None = None
    is_cached: bool = False

    _json: ClassVar[JsonFields] = {
        "check": "name of the check",
        "verdict": "passed, failed, error, skipped or unchecked",
        "base_verdict": "the same of the unpatched base",
        "exit_code": "exit status of the command, negative for a signal",
        "seconds": "how long it took",
        "reason": "why it was not run, or what ended it",
        "log": "the end of its output",
        "log_digest": "SHA-256 of the output in the store",
        "is_cached": "whether it is an earlier result of the same patch, base, command and setup",
    }

    @property
    def distinguishes(self) -> bool:
        """Whether it says something about the candidate: it passes, or it passed on the base."""
        return self.verdict is Verdict.PASSED or self.base_verdict is Verdict.PASSED
