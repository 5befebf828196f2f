"""The tasks of the emulated coding agent: create, get and list.

See docs/reference/protocols/services.md, "2 GitHub Copilot cloud agent".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from ..._protocol.effects import Clock, Request, Response
from ..._values.value import Value
from .github_rest import NOT_FOUND, moment, refusal, reply

FIELDS = frozenset({"prompt", "model", "custom_agent", "create_pull_request", "base_ref", "head_ref"})
STATES = ("queued", "in_progress", "completed")
# Artifacts appear with the last state.
ENDS = frozenset({"completed", "idle", "waiting_for_user"})


class AgentLife(Value, frozen=True, kw_only=True):
    """The states of new tasks, and their result: a *pull* request by its node, or only a branch."""

    states: tuple[str, ...] = STATES
    pull: str | None = None
    has_global_id: bool = True
    error: str | None = None
    usage: Mapping[str, object] | None = None


class AgentTask:
    """A task of the agent, and the states that are still to come."""

    def __init__(self, id: str, arguments: Mapping[str, Any], repository: str, life: AgentLife, *, now: float) -> None:
        self.id, self.arguments, self.repository, self.life = id, arguments, repository, life
        self.created = self.updated = now
        self.is_archived = False
        self._states = deque(life.states)
        self.state = self._states.popleft()

    def advance(self, now: float) -> None:
        """Take the next state."""
        if self._states:
            self.state, self.updated = self._states.popleft(), now

    def document(self, *, is_whole: bool) -> dict[str, object]:
        """Return the document of the task; lists have no sessions."""
        where = f"repos/{self.repository}/tasks/{self.id}"
        shown: dict[str, object] = {
            "id": self.id,
            "url": f"https://api.github.com/agents/{where}",
            "html_url": f"https://github.com/{self.repository}/copilot/tasks/{self.id}",
            "name": self.arguments["prompt"].partition("\n")[0],
            "creator": {"id": 1},
            "creator_type": "user",
            "owner": {"id": 1},
            "repository": {"id": 1296269},
            "state": self.state,
            "session_count": 1,
            "artifacts": self._artifacts() if self.state in ENDS else [],
            "archived_at": moment(self.updated) if self.is_archived else None,
            "created_at": moment(self.created),
            "updated_at": moment(self.updated),
        }
        return {**shown, "sessions": [self._session()]} if is_whole else shown

    def _artifacts(self) -> list[dict[str, object]]:
        branch = {"head_ref": self._branch, "base_ref": self.arguments.get("base_ref") or "main"}
        found: list[dict[str, object]] = [{"provider": "github", "type": "branch", "data": branch}]
        if self.life.pull:
            data: dict[str, object] = {"id": 42}
            if self.life.has_global_id:
                data["global_id"] = self.life.pull
            found.insert(0, {"provider": "github", "type": "pull", "data": data})
        return found

    @property
    def _branch(self) -> str:
        return self.arguments.get("head_ref") or f"copilot/{self.id[:8]}"

    def _session(self) -> dict[str, object]:
        session: dict[str, object] = {
            "id": f"s-{self.id}",
            "name": self.arguments["prompt"].partition("\n")[0],
            "user": {"id": 1},
            "owner": {"id": 1},
            "repository": {"id": 1296269},
            "task_id": self.id,
            "state": self.state,
            "created_at": moment(self.created),
            "updated_at": moment(self.updated),
            "prompt": self.arguments["prompt"],
            "head_ref": self._branch,
            "base_ref": self.arguments.get("base_ref") or "main",
            "model": self.arguments.get("model") or "claude-sonnet-4.6",
        }
        if self.state == "completed":
            session["completed_at"] = moment(self.updated)
        if self.life.error and self.state == "failed":
            session["error"] = {"message": self.life.error}
        if self.life.usage:
            session["usage"] = dict(self.life.usage)
        return session


class Agents:
    """The tasks of the agent; `life` describes new ones."""

    def __init__(self, clock: Clock) -> None:
        self.life = AgentLife()
        self._clock = clock
        self._tasks: dict[str, AgentTask] = {}

    @property
    def tasks(self) -> tuple[AgentTask, ...]:
        """Return every task, oldest first."""
        return tuple(self._tasks.values())

    def create(self, arguments: Mapping[str, Any], repository: str) -> Response:
        """Create a task, or refuse it for its first error."""
        if unknown := sorted(set(arguments) - FIELDS):
            raise refusal(422, f'Invalid request.\n\n"{unknown[0]}" is not a permitted key.')
        if not isinstance(arguments.get("prompt"), str) or not arguments["prompt"]:
            raise refusal(422, 'Invalid request.\n\n"prompt" wasn\'t supplied.')
        id = f"a1b2c3d4-e5f6-7890-abcd-{len(self._tasks) + 1:012x}"
        task = AgentTask(id, arguments, repository, self.life, now=self._clock.time() + len(self._tasks))
        self._tasks[id] = task
        return reply(task.document(is_whole=True), status=201)

    def listed(self, request: Request, repository: str | None) -> list[dict[str, object]]:
        """Return the listed tasks, the last changed first."""
        query = dict(request.query)
        is_archived = query.get("is_archived", "false") == "true"
        found: Iterable[AgentTask] = (
            task
            for task in self._tasks.values()
            if repository in (None, task.repository) and task.is_archived == is_archived
        )
        key = "created" if query.get("sort") == "created_at" else "updated"
        newest = sorted(found, key=lambda task: (getattr(task, key), task.created), reverse=True)
        return [task.document(is_whole=False) for task in newest]

    def show(self, id: str) -> Response:
        """Take the next state of a task and return it."""
        if id not in self._tasks:
            raise NOT_FOUND
        task = self._tasks[id]
        task.advance(self._clock.time())
        return reply(task.document(is_whole=True))
