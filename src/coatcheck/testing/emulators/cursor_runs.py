"""The agents of the emulated Cursor, their runs, and the events of a run."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..._values.rfc3339 import format_time
from .live_chunks import sent

LIFE = ("CREATING", "RUNNING", "FINISHED")
ENDS = frozenset({"FINISHED", "ERROR", "CANCELLED", "EXPIRED"})
DIFF = b"""\
diff --git a/hello.txt b/hello.txt
new file mode 100644
index 0000000..ce01362
--- /dev/null
+++ b/hello.txt
@@ -0,0 +1 @@
+hello
"""
# The events of a run, without those of its states: (kind, data).
EVENTS: tuple[tuple[str, Mapping[str, object]], ...] = (
    ("thinking", {"text": "A file is "}),
    ("thinking", {"text": "missing."}),
    ("interaction_update", {"type": "thinking-delta", "text": "missing."}),
    ("tool_call", {"callId": "c1", "name": "shell", "status": "running", "args": {"command": "ls"}}),
    (
        "tool_call",
        {
            "callId": "c1",
            "name": "shell",
            "status": "completed",
            "args": {"command": "ls"},
            "result": {"output": "a\n"},
        },
    ),
    ("heartbeat", {}),
    ("assistant", {"text": "Wrote "}),
    ("assistant", {"text": "hello.txt."}),
)


class Run:
    """A run, its states to come and its events."""

    def __init__(self, life: Sequence[str], *, number: int, now: float) -> None:
        self.id = f"run-{uuid.uuid5(uuid.NAMESPACE_URL, f'run {number}')}"
        self.life, self.step = tuple(life), 0
        self.created = self.updated = now
        self.cancelled = False

    @property
    def status(self) -> str:
        """The state."""
        return "CANCELLED" if self.cancelled else self.life[self.step]

    @property
    def has_ended(self) -> bool:
        """Whether it has ended."""
        return self.status in ENDS

    def advance(self, now: float, *, steps: int = 1) -> None:
        """Take some of the steps that are left."""
        step = self.step if self.cancelled else min(self.step + steps, len(self.life) - 1)
        if step != self.step:
            self.step, self.updated = step, now


class Agent:
    """An agent and its runs."""

    def __init__(self, id: str, asked: Mapping[str, Any], *, now: float) -> None:
        self.id, self.asked, self.created = id, asked, now
        self.runs: list[Run] = []
        self.archived = False

    def document(self) -> dict[str, object]:
        """Return the document of the agent."""
        kept = {name: self.asked[name] for name in ("name", "repos", "autoCreatePR", "metadata") if name in self.asked}
        return {
            "id": self.id,
            "name": "Say hello",
            **kept,
            "status": "ARCHIVED" if self.archived else "ACTIVE",
            "env": {"type": "cloud"},
            "url": f"https://cursor.com/agents?id={self.id}",
            "createdAt": format_time(self.created, timespec="milliseconds"),
            "updatedAt": format_time(self.runs[-1].updated, timespec="milliseconds"),
            "latestRunId": self.runs[-1].id,
        }

    def run_document(self, run: Run) -> dict[str, object]:
        """Return the document of a run; ``git`` is missing before something was pushed."""
        document: dict[str, object] = {
            "id": run.id,
            "agentId": self.id,
            "status": run.status,
            "createdAt": format_time(run.created, timespec="milliseconds"),
            "updatedAt": format_time(run.updated, timespec="milliseconds"),
        }
        if run.has_ended:
            document["durationMs"] = round((run.updated - run.created) * 1000)
        if run.status == "FINISHED":
            document["result"] = "Wrote hello.txt."
        if run.status == "ERROR":
            document["error"] = {"code": "agent_failed", "message": "the agent failed"}
        if run.status == "FINISHED" and self.asked.get("repos"):
            document["git"] = {"branches": [self._branch()]}
        return document

    def _branch(self) -> dict[str, str]:
        url = str(self.asked["repos"][0]["url"]).removeprefix("https://")
        pushed = {"repoUrl": url, "branch": "cursor/say-hello"}
        return pushed | ({"prUrl": f"https://{url}/pull/7"} if self.asked.get("autoCreatePR") else {})


def end_of(
    agent: Agent, run: Run, events: Sequence[tuple[str, Mapping[str, object]]], *, after: int
) -> Iterator[bytes]:
    """Yield the events of an ended run that follow the one with the number *after*."""
    document = agent.run_document(run)
    ended = {"runId": run.id, "text": document.get("result")}
    ended |= {name: document[name] for name in ("status", "git", "durationMs") if name in document}
    for number, (kind, data) in enumerate((*events, ("result", ended), ("done", {})), 1):
        if number > after:
            yield sent(kind, data, id=str(number))
