"""One check of one tree: run it in the sandbox, judge its exit status, and keep the result."""

from __future__ import annotations

import hashlib
import json
import shlex
import signal
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .._store.check_results import CheckKey, CheckResults, StoredCheck
from .._workspaces.git import last_line
from ..errors import ConfigurationError, StoreError
from .checks import Check, CheckResult, Verdict, Verification
from .sandbox import NO_COPY, SandboxedCommand

if TYPE_CHECKING:
    from .._workspaces.command_process import ProcessResult

# So much of the end of the output is in a result; the store keeps all that was captured.
LOG_TAIL = 8_000
# The exit status of shells for a command that was not found, and for one that cannot be run (POSIX, 2.8.2).
NOT_FOUND, NOT_RUNNABLE = 127, 126
# Exit statuses of the signals of limits: setrlimit(2).
_LIMIT_SIGNALS = {-signal.SIGXCPU: "cpu", -signal.SIGXFSZ: "file"}
# How the messages of sandboxes begin; commands write their own to the output.
SANDBOX_MESSAGES = ("bwrap: ", "sandbox-exec: ", "setpriv: ")


def split_commands(verification: Verification) -> dict[str, tuple[str, ...]]:
    """Return the words of each check by its name. Raises `ConfigurationError` for what is no list of commands."""
    words: dict[str, tuple[str, ...]] = {}
    for name, run in [(check.name, check.run) for check in verification.checks]:
        if name in words:
            raise ConfigurationError(f"there are two checks with the name {name}", remedy="rename one of them")
        words[name] = _split(f"check {name}", run)
    if verification.setup is not None:
        _split("setup", verification.setup)
    return words


def _split(what: str, run: str) -> tuple[str, ...]:
    try:
        words = tuple(shlex.split(run))
    except ValueError as error:
        raise ConfigurationError(
            f"{what}: {run!r} cannot be split into words: {error}", remedy="fix its quotes"
        ) from None
    if not words or "\0" in run:
        raise ConfigurationError(f"{what} has no command", remedy="write the command to run")
    return words


def command_digest(check: Check, verification: Verification, sandbox: str) -> str:
    """Return the digest of a command and of everything that decides how it is run."""
    facts = [
        check.run,
        check.timeout,
        verification.limits.to_dict(),
        verification.network,
        verification.readable,
        sandbox,
    ]
    return hashlib.sha256(json.dumps(facts).encode("utf-8", "surrogateescape")).hexdigest()


def judge(result: ProcessResult, command: SandboxedCommand) -> tuple[Verdict, int | None, str | None]:
    """Return the verdict, the exit status (negative for a signal) and the reason of what is no plain failure."""
    if result.is_timeout:
        return Verdict.ERROR, None, f"it was ended after {command.timeout:g} s"
    # A shell, and bubblewrap, report a signal as 128 and its number.
    status = result.exit_code
    status = 128 - status if 128 < status <= 128 + signal.NSIG else status
    if status == 0:
        return Verdict.PASSED, status, None
    reason = _reason(status, result, command)
    return Verdict.ERROR if reason else Verdict.FAILED, status, reason


def _reason(status: int, result: ProcessResult, command: SandboxedCommand) -> str | None:
    """Return why a command could not be run, or was ended; None where it has ended by itself."""
    message = last_line(result.stderr)
    if status == NO_COPY and message:
        return f"the files could not be copied into the sandbox: {message}"
    if message.startswith(SANDBOX_MESSAGES):
        return f"the sandbox could not be started: {message}"
    if result.limit or status in _LIMIT_SIGNALS:
        return f"it was ended at the limit {result.limit or _LIMIT_SIGNALS[status]}"
    what = {NOT_FOUND: "was not found", NOT_RUNNABLE: "cannot be run"}.get(status)
    return what and f"{command.words[0]} {what}"


class CheckRuns:
    """Results of checks, from the cache in the store or from *run*; errors (limits, timeouts) are not cached.

    A store that cannot be used costs the cache and no result. After one error nothing more is stored: each try may wait
    for a locked database.
    """

    def __init__(
        self,
        results: CheckResults | None,
        run: Callable[[SandboxedCommand], ProcessResult],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._results, self._run, self._monotonic = results, run, monotonic
        self._can_store = results is not None

    def cached(self, check: str, key: CheckKey) -> CheckResult | None:
        """Return the result of an earlier run of the same, None where there is none."""
        try:
            stored = self._results and self._results.get(key)
        except StoreError:
            return None
        return _result(check, stored, is_cached=True) if stored else None

    def run(self, check: str, key: CheckKey, command: SandboxedCommand) -> CheckResult:
        """Run a check, and store its result."""
        start = self._monotonic()
        try:
            result = self._run(command)
        except (OSError, ValueError) as error:
            return CheckResult(check=check, verdict=Verdict.ERROR, reason=f"it could not be started: {error}")
        seconds = self._monotonic() - start
        verdict, exit_code, reason = judge(result, command)
        output = result.stdout.encode("utf-8", "surrogateescape")
        stored = StoredCheck(
            verdict=verdict,
            exit_code=exit_code,
            seconds=seconds,
            reason=reason,
            log=result.stdout[-LOG_TAIL:],
            log_digest=hashlib.sha256(output).hexdigest() if output else None,
        )
        if verdict in {Verdict.PASSED, Verdict.FAILED} and not result.is_cancelled:
            self._store(key, stored, output)
        return _result(check, stored)

    def _store(self, key: CheckKey, stored: StoredCheck, output: bytes) -> None:
        if self._results is not None and self._can_store:
            try:
                self._results.put(key, stored, output=output)
            except StoreError as error:
                import logging  # 5 ms to import, and mostly there is nothing to report

                self._can_store = False
                logging.getLogger("coatcheck.review").warning("results of checks are not stored: %s", error)

    def seconds(self, command: str) -> float | None:
        """Return how long a command took last, None where that is not known."""
        try:
            return self._results.seconds(command) if self._results else None
        except StoreError:
            return None


def _result(check: str, stored: StoredCheck, *, is_cached: bool = False) -> CheckResult:
    return CheckResult(
        check=check,
        verdict=Verdict(stored.verdict),
        exit_code=stored.exit_code,
        seconds=stored.seconds,
        reason=stored.reason,
        log=stored.log,
        log_digest=stored.log_digest,
        is_cached=is_cached,
    )


def cheapest_first(checks: Sequence[Check], seconds: Callable[[Check], float | None]) -> list[Check]:
    """Return the checks by how long they took; those that were never run keep their place in the given order.

    A check of unknown cost counts as much as the one before it in the given order.
    """
    costs: list[float] = []
    for check in checks:
        known = seconds(check)
        costs.append(known if known is not None else (costs[-1] if costs else 0.0))
    return [check for _, check in sorted(zip(costs, checks, strict=True), key=lambda each: each[0])]
