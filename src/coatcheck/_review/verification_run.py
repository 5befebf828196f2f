"""One verification: apply the patches, check the base, then the candidates.

Invariants:
- a check has ended on the base before it begins on a candidate;
- equal trees are checked once, whatever patches they come from;
- after a required check has failed that the base passes, the later ones are skipped; one that the base fails as well
  does not tell candidates apart, so it stops nothing;
- what goes wrong with one candidate is its result.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from .._store.check_results import CheckKey
from .._workspaces.git import Git, WorkspaceError
from .._workspaces.mirror import Mirror
from ..errors import CoatcheckError
from .candidate_trees import CandidateTree, Clone, ConflictError, colliding
from .check_runs import CheckRuns, cheapest_first, command_digest
from .checks import Check, CheckResult, Verdict, Verification
from .protected_paths import with_scripts
from .sandbox import Sandbox, SandboxedCommand
from .setups import Setup, SetupError, Setups, changed_inputs, current_place
from .verification_folder import Run, VerificationFolder, discard
from .verification_results import CheckProgress, ProgressState, VerificationResult

if TYPE_CHECKING:
    from .._store.check_results import CheckResults
    from .._workspaces.cancellation import CancelScope
    from .._workspaces.command_process import ProcessResult
    from .candidates import Candidate


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """The commit that candidates are compared on, and its tree."""

    commit: str
    tree: str


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate whose patch applies: its clone has the tree, and no files yet.

    `patched` is the id of the tree before protected paths were restored.
    """

    name: str
    clone: Clone
    patched: str
    tree: CandidateTree


class Tools(msgspec.Struct, frozen=True, kw_only=True):
    """What a verification works with; *words* are the commands of the checks by name."""

    verification: Verification
    words: Mapping[str, tuple[str, ...]]
    sandbox: Sandbox
    folder: VerificationFolder
    repository: Path
    results: CheckResults | None
    environ: Mapping[str, str]
    workers: int

    def __repr__(self) -> str:
        return f"Tools(repository={self.repository!r})"


class VerificationRun:
    """One call of `Verifier.verify`."""

    def __init__(
        self, tools: Tools, run: Run, *, scope: CancelScope, on_progress: Callable[[CheckProgress], None]
    ) -> None:
        self._tools, self._run, self._scope, self._on_progress = tools, run, scope, on_progress
        self._git = Git(tools.environ, scope=scope)
        self._mirror = Mirror(tools.folder.mirrors, tools.repository, self._git, scope=scope)
        self._runs = CheckRuns(tools.results, self._run_command)
        self._numbers = count(1)
        self._setup: Setup | None = None
        self._on_base: dict[str, CheckResult] = {}
        self._reporting = threading.Lock()
        checks = tools.verification.checks
        self._protected = with_scripts(tools.verification.protected, (check.run for check in checks))

    def verify(self, candidates: Sequence[Candidate], base: str) -> Sequence[VerificationResult]:
        """Return one result for each candidate, in their order."""
        try:
            known = self._find_base(base)
        except (WorkspaceError, OSError) as error:
            return [
                VerificationResult(candidate=each.name, unchecked=each.error or _reason(error)) for each in candidates
            ]
        with self._pool() as pool:
            prepared = list(pool.map(lambda each: self._prepare(each, known), candidates))
            applied = [each for each in prepared if isinstance(each, Applied)]
            checked = self._check_all(pool, applied, known) if applied else {}
        return [checked[id(each)] if isinstance(each, Applied) else each for each in prepared]

    @contextmanager
    def _pool(self) -> Iterator[Executor]:
        """Return the threads of the workers; they are stopped as soon as the block is left by an error or Ctrl-C."""
        pool = ThreadPoolExecutor(max(1, self._tools.workers), thread_name_prefix="coatcheck-check")
        try:
            yield pool
        except BaseException:
            self._scope.cancel()
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    # --- patches ------------------------------------------------------------------------------------------------------

    def _find_base(self, base: str) -> Base:
        commit = self._mirror.resolve(base)
        if commit is None:
            raise WorkspaceError("no_base", f"the base {base} is not in {self._tools.repository}")
        self._fetch(commit)
        return Base(commit=commit, tree=self._clone().tree_of(commit))

    def _fetch(self, commit: str) -> None:
        self._mirror.fetch(commit)
        self._tools.folder.make_readable(self._mirror.path)

    def _clone(self) -> Clone:
        return Clone(self._run.path / f"clone-{next(self._numbers)}", self._mirror, self._git)

    def _prepare(self, candidate: Candidate, base: Base) -> Applied | VerificationResult:
        """Apply a candidate's patch; return its result where it cannot be checked."""
        if candidate.patch is None:
            return VerificationResult(candidate=candidate.name, unchecked=candidate.error or "there is no patch")
        try:
            return self._apply(candidate, base)
        except ConflictError as error:
            why = f"the patch does not apply: {error}"
            return VerificationResult(candidate=candidate.name, applies=False, conflicts=error.paths, unchecked=why)
        except (WorkspaceError, CoatcheckError, OSError, ValueError) as error:
            return VerificationResult(
                candidate=candidate.name, unchecked=f"the patch cannot be applied: {_reason(error)}"
            )

    def _apply(self, candidate: Candidate, base: Base) -> Applied | VerificationResult:
        assert candidate.patch is not None  # noqa: S101 - the caller has checked it
        own = self._mirror.resolve(candidate.base) if candidate.base else base.commit
        if own is not None and own != base.commit:
            self._fetch(own)
        clone = self._clone()
        try:
            tree = clone.apply(candidate.patch, start=own or base.commit, base=base.commit)
        except ConflictError as error:
            if own is None:
                raise ConflictError(
                    error.paths, f"{error}; its base {candidate.base} is not in the repository"
                ) from None
            raise
        protected = clone.protect(tree, base=base.commit, patterns=self._protected)
        applied = Applied(name=candidate.name, clone=clone, patched=tree, tree=protected)
        if inputs := changed_inputs(self._tools.verification, protected.changed):
            return _result(applied, unchecked=f"it changes {', '.join(inputs)}, which the setup depends on")
        return applied

    # --- checks -------------------------------------------------------------------------------------------------------

    def _check_all(self, pool: Executor, applied: Sequence[Applied], base: Base) -> dict[int, VerificationResult]:
        """Return the results by the identity of what was applied."""
        if not self._tools.verification.checks:
            return {id(each): _result(each) for each in applied}
        try:
            clone = self._clone()
            self._prepare_setup(clone, base)
            self._check_base(pool, clone, base)
        except (SetupError, WorkspaceError, OSError) as error:
            return {id(each): _result(each, unchecked=_reason(error)) for each in applied}
        groups: dict[str, list[Applied]] = {}
        for each in applied:
            groups.setdefault(each.tree.tree, []).append(each)
        checks = cheapest_first(self._tools.verification.checks, self._seconds)
        checked: dict[int, VerificationResult] = {}
        for results in pool.map(lambda group: self._check_group(group, checks, base), groups.values()):
            checked |= results
        return checked

    def _prepare_setup(self, clone: Clone, base: Base) -> None:
        verification = self._tools.verification
        if verification.setup is not None:
            setups = Setups(self._tools.folder.setups, self._tools.sandbox, self._git)
            self._setup = setups.prepare(verification, clone, mirror=self._mirror, base=base.commit, scope=self._scope)

    def _check_base(self, pool: Executor, clone: Clone, base: Base) -> None:
        """Run every check on the base."""
        checks = self._tools.verification.checks
        lazily = _Files(clone, base.tree, base, self._share_with_commands)
        results = pool.map(lambda check: self._check(check, lazily, [None]), checks)
        self._on_base = {check.name: result for check, result in zip(checks, results, strict=True)}

    def _seconds(self, check: Check) -> float | None:
        result = self._on_base[check.name]
        return result.seconds if result.verdict is not Verdict.ERROR else self._runs.seconds(self._digest(check))

    def _check_group(
        self, group: Sequence[Applied], checks: Sequence[Check], base: Base
    ) -> dict[int, VerificationResult]:
        """Check one tree, and return the results of all the candidates that have it."""
        first, names = group[0], [each.name for each in group]
        try:
            if unchecked := self._collision(first):
                return {id(each): _result(each, unchecked=unchecked) for each in group}
            results = self._check_tree(first, names, checks, base)
        except (WorkspaceError, OSError) as error:
            return {id(each): _result(each, unchecked=_reason(error)) for each in group}
        finally:
            discard(first.clone.folder)
        order = [check.name for check in self._tools.verification.checks]
        results.sort(key=lambda result: order.index(result.check))
        return {id(each): _result(each, checks=tuple(results)) for each in group}

    def _collision(self, applied: Applied) -> str | None:
        if self._setup is None:
            return None
        paths = [*colliding(applied.clone.paths(applied.tree.tree), self._setup.outputs)]
        return f"it adds {paths[0]}, where the setup has its files" if paths else None

    def _check_tree(
        self, applied: Applied, names: Sequence[str], checks: Sequence[Check], base: Base
    ) -> list[CheckResult]:
        files = _Files(applied.clone, applied.tree.tree, base, self._share_with_commands)
        results: list[CheckResult] = []
        failed: str | None = None
        for check in checks:
            if failed is None:
                result = self._check(check, files, names)
            else:
                result = CheckResult(check=check.name, verdict=Verdict.SKIPPED, reason=f"{failed} did not pass")
                self._report(names, check.name, result)
            on_base = self._on_base[check.name].verdict
            results.append(msgspec.structs.replace(result, base_verdict=on_base))
            if check.required and result.verdict is not Verdict.PASSED and on_base is Verdict.PASSED:
                failed = failed or check.name
        return results

    def _check(self, check: Check, files: _Files, names: Sequence[str | None]) -> CheckResult:
        self._scope.check()
        key = CheckKey(
            patch=files.tree,
            base=files.base.commit,
            command=self._digest(check),
            setup=self._setup.digest if self._setup else "",
        )
        result = self._runs.cached(check.name, key) or self._same_as_base(check, files)
        if result is None:
            self._report(names, check.name, None)
            result = self._runs.run(check.name, key, self._command(check, files.source()))
            self._scope.check()
        self._report(names, check.name, result)
        return result

    def _same_as_base(self, check: Check, files: _Files) -> CheckResult | None:
        """Return the result of the base for a candidate that has its files: all that it changes is protected."""
        return self._on_base.get(check.name) if files.tree == files.base.tree else None

    def _digest(self, check: Check) -> str:
        return command_digest(check, self._tools.verification, self._tools.sandbox.name)

    def _report(self, names: Sequence[str | None], check: str, result: CheckResult | None) -> None:
        state: ProgressState = "running" if result is None else result.verdict.value
        with self._reporting:
            for name in names:
                self._on_progress(
                    CheckProgress(candidate=name, check=check, state=state, seconds=result.seconds if result else 0.0)
                )

    # --- commands -----------------------------------------------------------------------------------------------------

    def _command(self, check: Check, source: Path) -> SandboxedCommand:
        verification, setup = self._tools.verification, self._setup
        return SandboxedCommand(
            words=self._tools.words[check.name],
            source=source,
            repository=self._mirror.path,
            limits=verification.limits,
            timeout=check.timeout if check.timeout is not None else verification.limits.wall,
            setup=setup.folder if setup else None,
            outputs=setup.outputs if setup else (),
            network=verification.network,
        )

    def _run_command(self, command: SandboxedCommand) -> ProcessResult:
        """Run a command in a folder that is removed afterwards; no longer than the verification may take."""
        remaining = self._scope.remaining()
        if remaining is not None and remaining < command.timeout:
            command = msgspec.structs.replace(command, timeout=remaining)
        with self._place(command) as folder:
            try:
                return self._tools.sandbox.run(command, folder=folder, scope=self._scope)
            finally:
                discard(folder)

    @contextmanager
    def _place(self, command: SandboxedCommand) -> Iterator[Path]:
        """Return the command's folder: where paths are the system's, that of the setup, by one command at a time."""
        if command.setup is None or self._tools.sandbox.has_fixed_path:
            folder = self._run.path / f"command-{next(self._numbers)}"
            folder.mkdir()
            folder.chmod(0o755)  # our umask may be stricter
            yield folder
            return
        with current_place(self._tools.folder.setups, self._scope) as folder:
            folder.mkdir(mode=0o755)
            yield folder

    def _share_with_commands(self, clone: Clone) -> None:
        sandbox = self._tools.sandbox
        clone.share_with_commands(sandbox.alternates(self._mirror.path), sandbox.user)


class _Files:
    """The files of a tree, written when a check needs them first."""

    def __init__(self, clone: Clone, tree: str, base: Base, share_with_commands: Callable[[Clone], None]) -> None:
        self._clone, self.tree, self.base, self._share_with_commands = clone, tree, base, share_with_commands
        self._lock = threading.Lock()
        self._is_written = False

    def source(self) -> Path:
        """Return the folder with the files."""
        with self._lock:
            if not self._is_written:
                self._clone.check_out(self.tree, self.base.commit)
                self._share_with_commands(self._clone)
                self._is_written = True
        return self._clone.work


def _reason(error: Exception) -> str:
    """Return why something could not be done, with the file where the system names one."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'the folder of checks'}: {error.strerror}"
    return str(error)


def _result(
    applied: Applied, *, checks: tuple[CheckResult, ...] = (), unchecked: str | None = None
) -> VerificationResult:
    return VerificationResult(
        candidate=applied.name,
        applies=True,
        checks=checks,
        protected_changes=applied.tree.protected,
        unchecked=unchecked,
        tree=applied.patched,
    )
