"""The threads and turns of the app-server emulator, and the steps that a turn takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from ..._protocol.effects import Clock

BASE = "425cedbf6d95f522673de1a1e6449d7f25f83895"
CHANGE = b"""diff --git a/hello.txt b/hello.txt
new file mode 100644
index 0000000000000000000000000000000000000000..ce013625030ba8dba906f756967f9e9ca394464a
--- /dev/null
+++ b/hello.txt
@@ -0,0 +1 @@
+hello
"""


class Connection(Protocol):
    """A connection of a client."""

    def queue(self, message: Mapping[str, Any]) -> None:
        """Send a message to the client."""
        ...


class Server(Protocol):
    """The part of a server that threads use."""

    clock: Clock
    step_seconds: float
    life: Life

    def send_request(self, thread: Thread, pause: Pause) -> None:
        """Send a request of the server to the connections of a thread."""
        ...


class Item:
    """A step that completes an item, and changes files of the checkout where *change* is given."""

    def __init__(self, kind: str, *, change: bytes | None = None, **members: Any) -> None:
        self.kind, self.change, self.members = kind, change, members


class Pause:
    """A step that waits for an answer to a request of the server; *item* completes afterwards, as `accepted` or declined."""

    id: int = -1
    item_id: str = ""

    def __init__(
        self, method: str, *, flag: str = "waitingOnApproval", item: Item | None = None, **params: Any
    ) -> None:
        self.method, self.flag, self.item, self.params = method, flag, item, params
        self.answer: Mapping[str, Any] | None = None

    def request(self, thread: Thread) -> Mapping[str, Any]:
        """Return the request."""
        turn = thread.turns[-1]
        self.item_id = self.item_id or f"p-{turn.number}-{self.id}"
        params = {"threadId": thread.id, "turnId": turn.id, "itemId": self.item_id, **self.params}
        return {"id": self.id, "method": self.method, "params": params}


class Failed:
    """A step that ends the turn with an error."""

    def __init__(self, message: str, info: object = "other") -> None:
        self.message, self.info = message, info


Step: TypeAlias = Item | Pause | Failed
Life: TypeAlias = "Callable[[str], Iterable[Step]]"


def ordinary_turn(prompt: str) -> Iterable[Step]:
    """Run a command, change a file and write a message."""
    del prompt
    command = "/bin/bash -lc 'make test'"
    yield Item("commandExecution", command=command, status="completed", exitCode=0, aggregatedOutput="ok\n")
    yield edit()
    yield Item("agentMessage", text="All done.", phase=None)


def edit(status: str = "completed", *, change: bytes | None = CHANGE) -> Item:
    """Return a change of a file."""
    changes = [{"path": "{cwd}/hello.txt", "kind": {"type": "add"}, "diff": "hello\n"}]
    return Item("fileChange", change=change if status == "completed" else None, changes=changes, status=status)


class Turn:
    """One turn of a thread."""

    def __init__(self, number: int, thread: Thread, steps: Iterable[Step], now: float) -> None:
        self.number, self.thread = number, thread
        self.id = f"{thread.id[:-6]}{number:06x}"
        self.status, self.error = "inProgress", None
        self.items: list[Mapping[str, Any]] = []
        self.started_at, self.completed_at = now, None
        self.steps = iter(steps)

    error: Mapping[str, Any] | None
    completed_at: float | None

    def document(self, view: str) -> Mapping[str, Any]:
        """Return the turn as it is sent."""
        shown = {"full": self.items, "summary": [each for each in self.items if "Message" in each["type"]]}
        return {
            "id": self.id,
            "rootTurnId": self.id,
            "items": shown.get(view, []),
            "itemsView": view,
            "status": self.status,
            "error": self.error,
            "startedAt": int(self.started_at),
            "completedAt": None if self.completed_at is None else math.ceil(self.completed_at),
            "durationMs": None,
        }

    def add_item(self, step: Item, now: float, **members: Any) -> Mapping[str, Any]:
        """Complete an item."""
        id = f"i-{self.number}-{len(self.items)}"
        item: dict[str, Any] = {"type": step.kind, "id": id, **self._defaults(step.kind), **step.members, **members}
        for change in item.get("changes", ()):
            change["path"] = change["path"].replace("{cwd}", self.thread.cwd)
        item |= {"startedAtMs": int(now * 1000), "completedAtMs": int(now * 1000)}
        self.items.append(item)
        if step.change is not None:
            self.thread.change = step.change
        return item

    def _defaults(self, kind: str) -> Mapping[str, Any]:
        """Return the members that the schema requires of a kind of item."""
        if kind != "commandExecution":
            return {}
        return {"commandActions": [], "cwd": self.thread.cwd, "processId": None, "source": "agent", "durationMs": None}

    def add_message(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Complete the message of a user."""
        step = Item("userMessage", clientId=params.get("clientUserMessageId"), content=params["input"])
        return self.add_item(step, self.started_at)


class Thread:
    """A thread of the emulator."""

    def __init__(self, number: int, server: Server, params: Mapping[str, Any]) -> None:
        self.id = f"01a22287-{number:04x}-7a11-8a76-637ef3000000"
        self.server, self.params = server, params
        self.cwd: str = params.get("cwd") or "/srv"
        self.created_at = self.updated_at = server.clock.time()
        self.name: str | None = None
        self.turns: list[Turn] = []
        self.subscribers: set[Connection] = set()
        self.pending: Pause | None = None
        self.is_loaded, self.is_archived, self.is_broken = True, False, False
        self.next_at: float | None = None
        self.change = b""
        self.source: str | None = None

    def fork(self, number: int, params: Mapping[str, Any]) -> Thread:
        """Return a new thread with the name, the folder and the turns of this one, where *params* give no others."""
        forked = Thread(number, self.server, {"cwd": self.cwd, **self.params, **params})
        forked.source, forked.name, forked.turns = self.id, self.name, list(self.turns)
        return forked

    @property
    def running(self) -> Turn | None:
        """The turn that runs."""
        return self.turns[-1] if self.turns and self.turns[-1].status == "inProgress" else None

    @property
    def status(self) -> Mapping[str, Any]:
        """The status as it is sent."""
        if not self.is_loaded:
            return {"type": "notLoaded"}
        if self.running is not None:
            return {"type": "active", "activeFlags": [self.pending.flag] if self.pending else []}
        return {"type": "systemError"} if self.is_broken else {"type": "idle"}

    def document(self) -> Mapping[str, Any]:
        """Return the thread as it is sent."""
        preview = self.turns[0].items[0]["content"][0]["text"] if self.turns else ""
        return {
            "id": self.id,
            "sessionId": self.id,
            "forkedFromId": self.source,
            "parentThreadId": None,
            "preview": preview,
            "ephemeral": False,
            "historyMode": "paginated",
            "modelProvider": "openai",
            "model": self.params.get("model") or "gpt-test",
            "createdAt": int(self.created_at),
            "updatedAt": int(self.updated_at),
            "recencyAt": int(self.updated_at),
            "status": self.status,
            "path": f"/home/codex/.codex/sessions/{self.id}.jsonl",
            "cwd": self.cwd,
            "cliVersion": "0.171.0",
            "originator": "coatcheck",
            "source": "vscode",
            "projectId": None,
            "threadSource": None,
            "agentNickname": None,
            "agentRole": None,
            "gitInfo": {"sha": BASE, "branch": None, "originUrl": None} if self.turns else None,
            "name": self.name,
            "turns": [],
        }

    def started(self) -> Mapping[str, Any]:
        """Return the answer to a start or a resumption."""
        return {
            "thread": self.document(),
            "model": self.params.get("model") or "gpt-test",
            "modelProvider": "openai",
            "serviceTier": None,
            "cwd": self.cwd,
            "instructionSources": [],
            "approvalPolicy": self.params.get("approvalPolicy") or "never",
            "approvalsReviewer": "user",
            "sandbox": {"type": "readOnly", "networkAccess": False},
            "reasoningEffort": None,
        }

    def start_turn(self, params: Mapping[str, Any]) -> Turn:
        """Start a turn; a message to a turn that runs joins it."""
        if (running := self.running) is not None:
            running.add_message(params)
            return running
        now = self.server.clock.time()
        prompt = params["input"][0]["text"]
        turn = Turn(len(self.turns) + 1, self, self.server.life(prompt), now)
        self.turns.append(turn)
        self.is_broken = False
        message = turn.add_message(params)
        self.notify("turn/started", turn=turn.document("notLoaded"))
        self.notify_item(turn, message)
        self.next_at = now + self.server.step_seconds
        return turn

    def notify(self, method: str, **params: Any) -> None:
        """Send a notification to the connections of the thread."""
        self.send_to_subscribers({"method": method, "params": {"threadId": self.id, **params}, "emittedAtMs": 0})

    def notify_item(self, turn: Turn, item: Mapping[str, Any]) -> None:
        """Send the notification that *item* is complete."""
        self.notify("item/completed", item=item, turnId=turn.id, completedAtMs=item["completedAtMs"])

    def send_to_subscribers(self, message: Mapping[str, Any]) -> None:
        """Send a message to the connections of the thread."""
        for connection in self.subscribers:
            connection.queue(message)

    def advance(self, now: float) -> None:
        """Take the steps that are due."""
        while self.next_at is not None and self.next_at <= now and self.running is not None:
            self.next_at += self.server.step_seconds
            self.updated_at = now
            self._step(self.running, now)

    def _step(self, turn: Turn, now: float) -> None:
        step = next(turn.steps, None)
        if isinstance(step, Item):
            self.notify_item(turn, turn.add_item(step, now))
        elif isinstance(step, Pause):
            self.pending, self.next_at = step, None
            self.notify("thread/status/changed", status=self.status)
            self.server.send_request(self, step)
        elif isinstance(step, Failed):
            turn.error = {"message": step.message, "codexErrorInfo": step.info, "additionalDetails": None}
            self.is_broken = True
            self.end_turn("failed", now)
        else:
            self.end_turn("completed", now)

    def resolve(self, answer: Mapping[str, Any], next_at: float) -> None:
        """Take the answer to the request that waits; a turn whose request was cancelled is interrupted."""
        pending, turn = self.pending, self.running
        if pending is None or turn is None:
            return
        pending.answer, self.pending, self.next_at = answer, None, next_at
        self.notify("serverRequest/resolved", requestId=pending.id)
        self.notify("thread/status/changed", status=self.status)
        if answer.get("decision") == "cancel":
            self.end_turn("interrupted", self.server.clock.time())
        elif pending.item is not None:
            is_declined = answer.get("decision") == "decline"
            status = "declined" if is_declined else "completed"
            pending.item.change = None if is_declined else pending.item.change
            item = turn.add_item(pending.item, self.server.clock.time(), id=pending.item_id, status=status)
            self.notify_item(turn, item)

    def end_turn(self, status: str, now: float) -> None:
        """End the turn that runs."""
        turn = self.turns[-1]
        turn.status, turn.completed_at, self.next_at, self.pending = status, now, None, None
        self.notify("thread/status/changed", status=self.status)
        self.notify("turn/completed", turn=turn.document("summary"))

    def interrupt_by_restart(self) -> None:
        """Interrupt the turn as the end of the server does: without an end, and the thread is not loaded."""
        if (turn := self.running) is not None:
            turn.status = "interrupted"
        self.next_at, self.pending, self.is_loaded = None, None, False
        self.subscribers.clear()
