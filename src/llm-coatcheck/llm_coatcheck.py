"""A plug-in for llm: tools that hand coding tasks to agents elsewhere, and fragments with their results.

Guarantees:

- the tools, their answers and their settings are those of `coatcheck mcp` in the same folder;
- a submission that is repeated by a model that has lost the answer sends nothing, also in another process;
- nothing here applies, approves, cancels or deletes anything.

The hooks are those of https://llm.datasette.io/en/stable/plugins/plugin-hooks.html.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import llm

from coatcheck._mcp.tool_calls import ToolCalls

if TYPE_CHECKING:
    from coatcheck import Outcome

# A chain of `llm` ends after five rounds of tools, so that a wait takes as long as it may (seconds).
DEFAULT_WAIT = 600.0


class Coatcheck(llm.Toolbox):  # type: ignore[misc]  # llm has no types for it
    """Hand coding tasks to cloud agents and read what they changed."""

    def __init__(self, provider: str | None = None) -> None:
        """*provider* is the service; None is the configured one."""
        self._provider = provider

    def submit_task(
        self,
        prompt: str,
        repository: str | None = None,
        environment: str | None = None,
        branch: str | None = None,
        attempts: int | None = None,
        key: str | None = None,
    ) -> Mapping[str, Any]:
        """Submit a coding task to an agent that works elsewhere, and return its ref at once.

        The agent sees the repository (owner/repo) and the prompt, and nothing of this conversation. Call wait_for_task
        with the ref afterwards. A repeated call (the same key, or the same prompt and place within ten minutes) returns
        the same ref and sends nothing.
        """
        with self._calls() as calls:
            return calls.call(
                "submit_task",
                prompt=prompt,
                repository=repository,
                environment=environment,
                branch=branch,
                attempts=attempts,
                key=key,
            )

    def wait_for_task(self, ref: str, max_seconds: float = DEFAULT_WAIT) -> Mapping[str, Any]:
        """Wait until a task has ended or needs a person, at most max_seconds, and return its state."""
        with self._calls() as calls:
            return calls.wait(ref, max_seconds)

    def get_task(self, ref: str) -> Mapping[str, Any]:
        """Return the state of a task now."""
        with self._calls() as calls:
            return calls.call("get_task", ref=ref)

    def get_result(
        self, ref: str, what: Literal["message", "files", "diff", "log"] = "message", offset: int = 0
    ) -> Mapping[str, Any]:
        """Return the message of a task's agent, the files that it changed, its change as a git diff, or the log.

        A long text is returned in parts: continue at next_offset.
        """
        with self._calls() as calls:
            return calls.call("get_result", ref=ref, what=what, offset=offset)

    def list_tasks(self, limit: int = 10) -> Mapping[str, Any]:
        """Return the latest tasks of the service."""
        with self._calls() as calls:
            return calls.call("list_tasks", limit=limit)

    def _calls(self) -> ToolCalls:
        return ToolCalls(os.getcwd(), os.environ, provider=self._provider)


def diff_of(outcome: Outcome) -> str:
    """Return the change as a git diff, with bytes that are not UTF-8 as escapes."""
    return bytes(outcome.patch or b"").decode("utf-8", "backslashreplace")


def load_fragment(ref: str) -> llm.Fragment:
    """Return the message and the diff of a task."""
    with ToolCalls(os.getcwd(), os.environ) as calls:
        task = calls.task(ref)
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
