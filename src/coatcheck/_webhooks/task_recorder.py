"""Poll a task with the user's settings and logins, and record it in the user's store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import errors
from .._app.task_lookup import local_server_url
from .._engine.backoff import RetryPolicy
from .._protocol.provider import Verb
from .._runtime.client import Client
from .._store.history import History

if TYPE_CHECKING:
    from .._app.workspace import Workspace
    from .._model.tasks import TaskRef
    from .._protocol.effects import Clock
    from .._store.documents import Level

# A delivery that follows polls again; a service that does not answer must not stop the others for long.
RETRY = RetryPolicy(attempts=2, initial=0.5, maximum=2.0, patience=5.0)


class TaskRecorder:
    """Polls tasks of every provider, each with one client."""

    def __init__(self, workspace: Workspace, location: str, *, clock: Clock) -> None:
        self._workspace = workspace
        level: Level = workspace.config.get("history") or "full"  # type: ignore[assignment] # `History` checks it
        self._history = History(location, level=level, clock=clock)
        self._is_off = level == "off"
        self._clients: dict[tuple[str, str | None], Client] = {}

    def poll(self, ref: TaskRef) -> None:
        """Poll *ref* and record what is new; a task that cannot be polled is recorded as changed."""
        if self._is_off:
            return
        try:
            client = self._client(ref)
            if Verb.GET_TASK in client.capabilities.verbs:
                self._history.record(client.get_task(ref))
        except errors.CoatcheckError:
            self._history.invalidate(ref)
            raise

    def close(self) -> None:
        """Close the clients and the store."""
        for client in self._clients.values():
            client.close()
        self._history.close()

    def _client(self, ref: TaskRef) -> Client:
        base_url = local_server_url(ref.provider, self._workspace, refs=[ref])
        key = (ref.provider, base_url)
        if key not in self._clients:
            self._clients[key] = Client(
                ref.provider,
                base_url=base_url,
                config=self._workspace.config,
                environ=self._workspace.environ,
                retry=RETRY,
            )
        return self._clients[key]
