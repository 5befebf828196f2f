"""The diff of an attempt that is running: what `collect_changes` would return if the agent ended now.

Guarantees:

- the agent's clone is copied, and only the copy is read by git: nothing in the clone changes, and no hook, filter or
  configuration of it is executed (`coatcheck.cloud.collect_changes`);
- one diff of an attempt is made at a time, within `LIMIT` seconds; a clone that is too large is refused.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .._workspaces.cancellation import CancelScope, Stopped
from .._workspaces.command_process import log_error
from .._workspaces.git import WorkspaceError
from .._workspaces.workspace import Workspace
from .collect_changes import collect_changes
from .tree_copy import TreeTooLargeError, copy_tree

# How long making one diff may take (seconds).
LIMIT = 30.0


class NoDiffError(Exception):
    """The current diff cannot be made; the text says why."""


class _Running:
    """A workspace whose agent runs; `scope` is that of the diff that is being made, and `lock` is held meanwhile."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace, self.lock = workspace, threading.Lock()
        self.scope = CancelScope()
        self.has_ended = False

    def diff(self) -> str | None:
        """Return the current diff, None where the agent has ended meanwhile. Raises `NoDiffError`."""
        with self.lock:
            self.scope = CancelScope(LIMIT)
            if self.has_ended:
                return None
            try:
                return current_diff(self.workspace, self.scope)
            except NoDiffError:
                if self.has_ended:
                    return None
                raise

    def end(self) -> None:
        """Stop making a diff, and make no other."""
        self.has_ended = True
        self.scope.cancel()
        with self.lock:
            pass


class RunningWorkspaces:
    """The workspaces whose agents run, by the ids of their attempts."""

    def __init__(self) -> None:
        self._running: dict[str, _Running] = {}

    @contextmanager
    def showing(self, attempt_id: str, workspace: Workspace) -> Iterator[None]:
        """Make diffs of *workspace* available while the block runs."""
        running = self._running[attempt_id] = _Running(workspace)
        try:
            yield
        finally:
            del self._running[attempt_id]
            running.end()

    def diff_of(self, attempt_id: str) -> str | None:
        """Return the current diff of an attempt, None where its agent does not run. Raises `NoDiffError`."""
        running = self._running.get(attempt_id)
        return running.diff() if running else None


def current_diff(workspace: Workspace, scope: CancelScope) -> str:
    """Return the diff of a clone as it is now. Raises `NoDiffError`."""
    copy = workspace.copied(f"diff-{secrets.token_hex(4)}", scope)
    try:
        copy.folder.mkdir(mode=0o700)
        copy_tree(workspace.work, copy.work, copy.scope)
        return collect_changes(copy).diff
    except TreeTooLargeError as error:
        raise NoDiffError(f"the clone is too large for a diff while its agent runs: {error}") from None
    except Stopped:
        raise NoDiffError(f"the diff was not made within {LIMIT:g} seconds") from None
    except (OSError, WorkspaceError, RecursionError) as error:
        raise NoDiffError(f"the clone changed while it was read: {error}") from None
    finally:
        try:
            copy.discard_folder()
        except OSError as error:
            log_error(error, f"removing {copy.folder}")
