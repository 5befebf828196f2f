"""A plug-in for llm: tools that hand coding tasks to agents elsewhere, and fragments with their results.

Guarantees:

- a tool answers with plain values, and fails with one sentence that has the remedy;
- a submission that is repeated with the same key, by a model that lost the answer, sends nothing;
- nothing here applies, approves, cancels or deletes anything.

The hooks are those of https://llm.datasette.io/en/stable/plugins/plugin-hooks.html.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import llm

from coatcheck import Client, TaskRef, TaskSpec, errors

if TYPE_CHECKING:
    from coatcheck import Outcome, Task

# A chain of `llm` ends after five rounds of tools, so that a wait takes as long as it may (seconds).
DEFAULT_WAIT = 600.0
# The longest text of one answer, in characters.
MAX_TEXT = 20_000

OpenClient = Callable[[str], Client]


class Coatcheck(llm.Toolbox):  # type: ignore[misc]  # llm has no types for it
    """Hand coding tasks to cloud agents and read what they changed."""

    def __init__(self, provider: str = "codex") -> None:
        self._provider = provider
        self._submitted: dict[str, str] = {}

    def submit_task(
        self,
        prompt: str,
        repository: str | None = None,
        environment: str | None = None,
        branch: str | None = None,
        attempts: int = 1,
        key: str | None = None,
    ) -> Mapping[str, Any]:
        """Submit a coding task to an agent that works elsewhere, and return its ref at once.

        The agent sees the repository (owner/repo) and the prompt, and nothing of this conversation. Call wait_for_task
        with the ref afterwards. A call with the same key, or the same arguments, returns the same task.
        """
        spec = TaskSpec(prompt=prompt, repository=repository, environment=environment, branch=branch, attempts=attempts)
        name = key or hashlib.sha256(repr(spec).encode()).hexdigest()
        if name not in self._submitted:
            with Client(self._provider) as client:
                self._submitted[name] = str(client.create_task(spec).ref)
        return {"ref": self._submitted[name], "next": "wait_for_task"}

    def wait_for_task(self, ref: str, max_seconds: float = DEFAULT_WAIT) -> Mapping[str, Any]:
        """Wait until a task has ended or needs a person, at most max_seconds, and return its state."""
        with self._client(ref) as client:
            try:
                task = client.poll_task(ref, timeout=max_seconds)
            except errors.WaitTimeoutError:
                return {
                    **described(client.get_task(ref)),
                    "next": "the task is still running: call wait_for_task again",
                }
        return described(task)

    def get_task(self, ref: str) -> Mapping[str, Any]:
        """Return the state of a task now."""
        with self._client(ref) as client:
            return described(client.get_task(ref))

    def get_result(
        self, ref: str, what: Literal["message", "files", "diff"] = "message", offset: int = 0
    ) -> Mapping[str, Any]:
        """Return the message of a task's agent, the files that it changed, or its change as a git diff.

        A long text is returned in parts: continue at next_offset.
        """
        with self._client(ref) as client:
            outcome = client.get_task(ref).outcome
        text = text_of(outcome, what) if outcome else ""
        end = offset + MAX_TEXT
        part = {"from_agent": text[offset:end], "total": len(text)}
        return {**part, "next_offset": end} if end < len(text) else part

    def list_tasks(self, limit: int = 10) -> list[Mapping[str, Any]]:
        """Return the latest tasks of the service."""
        with Client(self._provider) as client:
            return [described(task) for task in client.list_tasks(limit=limit)]

    def _client(self, ref: str) -> Client:
        return Client(TaskRef.parse(ref, provider=self._provider).provider)


def described(task: Task) -> Mapping[str, Any]:
    """Return a task as the tools return it."""
    sizes = {"files": task.stats.files, "added": task.stats.added, "removed": task.stats.removed} if task.stats else {}
    return {
        "ref": str(task.ref),
        "state": task.state.value,
        "is_terminal": task.state.is_terminal,
        "url": task.url,
        **sizes,
        "from_agent": {"title": task.title, "error": str(task.error) if task.error else None},
    }


def text_of(outcome: Outcome, what: str) -> str:
    """Return a part of a result."""
    match what:
        case "diff":
            return diff_of(outcome)
        case "files":
            return "\n".join(file.path for file in outcome.patch.files) if outcome.patch else ""
        case "message":
            return outcome.text or ""
    raise ValueError(f"there is no {what!r}; use message, files or diff")


def diff_of(outcome: Outcome) -> str:
    """Return the change as a git diff, with bytes that are not UTF-8 as escapes."""
    return bytes(outcome.patch or b"").decode("utf-8", "backslashreplace")


def load_fragment(ref: str) -> llm.Fragment:
    """Return the message and the diff of a task."""
    with Client(TaskRef.parse(ref).provider) as client:
        task = client.get_task(ref)
    outcome = task.outcome
    parts = [outcome.text, diff_of(outcome)] if outcome else []
    text = "\n\n".join(part for part in parts if part)
    if not text:
        raise ValueError(
            f"{task.ref} is {task.state.value} and has no result; wait for it with: coatcheck wait {task.ref}"
        )
    return llm.Fragment(text, source=f"coatcheck:{task.ref}")


@llm.hookimpl
def register_tools(register: Callable[[Any], None]) -> None:
    """Register the toolbox."""
    register(Coatcheck)


@llm.hookimpl
def register_fragment_loaders(register: Callable[[str, Any], None]) -> None:
    """Register ``-f coatcheck:REF``."""
    register("coatcheck", load_fragment)
