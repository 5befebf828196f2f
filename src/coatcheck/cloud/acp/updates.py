"""The updates of a session as events of its task, and their sum: the message, the record, the usage.

Guarantees:
- text is passed on paragraph by paragraph, also where it arrives word by word, and in order with the other events;
- an update that is not known, or cannot be read, is an `UnknownEvent`;
- whatever an agent sends, what is kept of it is bounded.
"""

from __future__ import annotations

import difflib
import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..._model.events import TaskEvent, TaskNotice, TaskPlan, TaskProgress, TaskTool, TaskUsage, UnknownEvent
from ..._model.gates import GateOption
from ..._model.outcome import Artifact, Notice, Plan, PlanStep
from ..attempts import Job
from ..long_messages import MAX_MESSAGE, end_of_message
from ..task_events import message_event, ref_of
from .wire import Change, ToolCall, UsageCount, block_text, fields, items, one_line, text

# So much of a tool's output and of a change is kept (characters).
MAX_OUTPUT, MAX_CHANGE = 20_000, 100_000
# So many tool calls are remembered, and so much of the record of a session (characters).
MAX_CALLS, MAX_RECORD = 1000, 512 * 1024
# Updates that do not concern the reader of a task.
SILENT = frozenset(
    [
        "available_commands_update",
        "config_option_update",
        "current_mode_update",
        "session_info_update",
        "user_message_chunk",
    ]
)
MARKS = {"completed": "done", "in_progress": "now", "pending": "open"}
DIFF_TYPE = "text/x-diff"


class SessionUpdates:
    """Reads the updates of one session. *emit* gets the events; *folder* is the agent's clone."""

    def __init__(self, job: Job, folder: Path, emit: Callable[[TaskEvent], None], *, now: Callable[[], float]) -> None:
        self._ref, self._attempt, self._folder, self._emit, self._now = (
            ref_of(job.task_id),
            job.number,
            folder,
            emit,
            now,
        )
        self._calls: dict[str, ToolCall] = {}
        self._message, self._thought = _Paragraphs(self._emit_message), _Paragraphs(self._emit_progress)
        self._last_message = ""
        self._message_id: str | None = None
        self._record = _Record()
        self.notes: list[str] = []
        self._usage, self._shown_usage = UsageCount(), ""
        self._readers: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
            "agent_message_chunk": self._read_message,
            "agent_thought_chunk": self._read_thought,
            "tool_call": self._read_call,
            "tool_call_update": self._read_call,
            "plan": self._read_plan,
            "usage_update": self._read_usage,
        }
        self.is_silent = False  # while a session is loaded, its history arrives as updates

    # --- the session as a whole -----------------------------------------------------------------------------------

    @property
    def message(self) -> str:
        """The last message of the agent."""
        return self._message.whole.strip() or self._last_message

    @property
    def record(self) -> str:
        """What has happened, line by line; the middle of a long record is left out."""
        return str(self._record)

    @property
    def usage(self) -> str:
        """What the session has used, as the agent reports it, "" where it does not."""
        return str(self._usage)

    # --- reading ------------------------------------------------------------------------------------------------------

    def read(self, parameters: object) -> None:
        """Read the parameters of a ``session/update``."""
        if self.is_silent:
            return
        update = fields(fields(parameters).get("update"))
        kind = update.get("sessionUpdate")
        read = self._readers.get(kind) if isinstance(kind, str) else None
        if read is not None:
            read(update)
        elif kind not in SILENT:
            self.flush()
            self._emit(UnknownEvent(**self._common(), kind=str(kind), data=_bounded(update), text=str(kind)[:100]))

    def end_turn(self, usage: object) -> None:
        """Emit what is left, with the usage in the response that ends a turn."""
        self.flush()
        self._usage.add_turn(fields(usage))
        self._show_usage()

    def flush(self) -> None:
        """Emit the text that has arrived, and begin another message with the next."""
        self._last_message = self._message.whole.strip() or self._last_message
        self._message.end()
        self._thought.end()

    def call(self, document: Mapping[str, Any]) -> ToolCall:
        """Return the tool call that an update or a permission request describes, with what it adds."""
        id = str(document.get("toolCallId"))[:200]
        call = self._calls.get(id)
        if call is None:
            if len(self._calls) >= MAX_CALLS:
                del self._calls[next(iter(self._calls))]
            call = self._calls[id] = ToolCall(id)
        call.update(document)
        return call

    def title_of(self, call: ToolCall) -> str:
        """Return what a tool call does, in one line."""
        title = call.title.replace(f"{self._folder}{os.sep}", "")
        return (title or call.command or " ".join((call.kind or "tool", *map(self.shown_path, call.paths))))[:500]

    def shown_path(self, path: str) -> str:
        """Return a path as one in the clone, where it is there."""
        return path.removeprefix(f"{self._folder}{os.sep}")

    def change_of(self, call: ToolCall) -> str:
        """Return what a tool call changes, as diffs."""
        return "\n".join(map(self._diff, call.changes))

    def note(self, words: str) -> None:
        """Emit something that the reader of the task should know."""
        self.notes.append(words)
        self._record.add(f"Note: {words}")
        self._emit(TaskNotice(**self._common(), notice=Notice(kind="agent", text=words), text=words))

    def note_decision(self, call: ToolCall, chosen: GateOption | None) -> None:
        """Emit how a permission request was decided."""
        decision = chosen.label if chosen is not None else "withdrawn"
        words = f"permission for {self.title_of(call)}: {decision}"
        self._record.add(words)
        self._emit(TaskProgress(**self._common(), text=words))

    # --- each kind of update ------------------------------------------------------------------------------------------

    def _read_message(self, update: Mapping[str, Any]) -> None:
        self._thought.end()
        id = text(update.get("messageId"))
        if id != self._message_id:
            self.flush()
            self._message_id = id
        self._message.add(block_text(update.get("content")))

    def _read_thought(self, update: Mapping[str, Any]) -> None:
        self._thought.add(block_text(update.get("content")))

    def _read_call(self, update: Mapping[str, Any]) -> None:
        self.flush()
        known = self._calls.get(str(update.get("toolCallId"))[:200])
        had_ended = known is not None and known.has_ended
        before = self.title_of(known) if known is not None else None
        call = self.call(update)
        if call.has_ended and not had_ended:
            self._emit_call(call)
        elif not call.has_ended and self.title_of(call) != before:
            self._record.add(f"> {self.title_of(call)}")
            self._emit(TaskProgress(**self._common(), text=self.title_of(call)))

    def _emit_call(self, call: ToolCall) -> None:
        title = self.title_of(call) + (": failed" if call.status == "failed" else "")
        self._record.add(f"> {title}\n{call.output[:MAX_OUTPUT]}".rstrip())
        self._emit(TaskTool(**self._common(), text=title, artifacts=tuple(self._artifacts(call))))
        call.output, call.changes = "", ()  # shown, and not needed any more

    def _artifacts(self, call: ToolCall) -> Iterable[Artifact]:
        output = call.output[:MAX_OUTPUT]
        if call.command is not None or (output and not call.changes):
            command = call.command or self.title_of(call)
            yield Artifact(kind="command", command=command, output=output, exit_code=call.exit_code)
        for change in call.changes:
            yield Artifact(kind="change", media_type=DIFF_TYPE, content=self._diff(change).encode("utf-8", "replace"))

    def _diff(self, change: Change) -> str:
        name, sides = self.shown_path(change.path), (change.old or "", change.new)
        if sum(map(len, sides)) > MAX_CHANGE:
            return f"--- a/{name}\n+++ b/{name}\n"
        old, new = (side.splitlines(keepends=True) for side in sides)
        before = "/dev/null" if change.old is None else f"a/{name}"
        lines = (
            line if line.endswith("\n") else f"{line}\n" for line in difflib.unified_diff(old, new, before, f"b/{name}")
        )
        return "".join(lines)

    def _read_plan(self, update: Mapping[str, Any]) -> None:
        self.flush()
        entries = [*items(update.get("entries"))][:100]
        named = [(one_line(text(entry.get("content")))[:500], text(entry.get("status"))) for entry in entries]
        steps = tuple(
            PlanStep(title=title, description=MARKS.get(status or "", status)) for title, status in named if title
        )
        if not steps:
            return
        done = sum(step.description == "done" for step in steps)
        current = next((step.title for step in steps if step.description == "now"), None)
        words = f"{done} of {len(steps)} steps done{f', now: {current}' if current else ''}"
        self._record.add(f"Plan: {words}")
        plan = Plan(id="agent", steps=steps, is_approved=True)
        self._emit(TaskPlan(**self._common(), plan=plan, text=words))

    def _read_usage(self, update: Mapping[str, Any]) -> None:
        self._usage.update(update)
        self._show_usage()

    # --- emitting -----------------------------------------------------------------------------------------------------

    def _emit_message(self, paragraph: str) -> None:
        self._record.add(paragraph)
        self._emit(message_event(self._ref, paragraph, at=self._at(), attempt=self._attempt))

    def _emit_progress(self, paragraph: str) -> None:
        self._emit(TaskProgress(**self._common(), text=one_line(paragraph)[:1000]))

    def _show_usage(self) -> None:
        if self.usage and self.usage != self._shown_usage:
            self._shown_usage = self.usage
            self._emit(TaskUsage(**self._common(), text=self.usage))

    def _common(self) -> dict[str, Any]:
        return {"ref": self._ref, "at": self._at(), "attempt": self._attempt}

    def _at(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC)


def _bounded(update: Mapping[str, Any]) -> object:
    """Return an update that is not known, without its values where they are large."""
    return dict(update) if len(repr(update)) <= MAX_OUTPUT else sorted(map(str, update))[:20]


class _Paragraphs:
    """Text that arrives in pieces, and is passed on in whole paragraphs; a code block is not divided."""

    def __init__(self, on_paragraph: Callable[[str], None]) -> None:
        self._on_paragraph = on_paragraph
        self._rest = self._end = ""

    @property
    def whole(self) -> str:
        """What has arrived since the last end."""
        return end_of_message(self._end)

    def add(self, piece: str) -> None:
        self._end += piece
        if len(self._end) > 2 * MAX_MESSAGE:
            self._end = self._end[-MAX_MESSAGE - 1 :]  # one character more: it was longer
        self._rest += piece
        if "\n" not in piece and len(self._rest) <= MAX_MESSAGE:
            return
        *whole, rest = self._rest.split("\n\n")
        block: list[str] = []  # paragraphs from the beginning of a code block that has not ended
        is_open = False
        for paragraph in whole:
            block.append(paragraph)
            is_open ^= bool(paragraph.count("```") % 2)
            if not is_open:
                self._pass_on("\n\n".join(block))
                block = []
        self._rest = "\n\n".join((*block, rest))
        if len(self._rest) > MAX_MESSAGE:
            self._pass_on(self._rest)
            self._rest = ""

    def end(self) -> None:
        """Pass on what has arrived, and begin again."""
        self._pass_on(self._rest)
        self._rest = self._end = ""

    def _pass_on(self, paragraph: str) -> None:
        if paragraph.strip():
            self._on_paragraph(paragraph.strip("\n").rstrip())


class _Record:
    """Lines, of which the first and the last ones are kept."""

    def __init__(self) -> None:
        self._first: list[str] = []
        self._last: deque[str] = deque()
        self._first_size = self._last_size = 0
        self._is_cut = False

    def add(self, line: str) -> None:
        if self._first_size < MAX_RECORD // 2 and not self._last:
            self._first.append(line)
            self._first_size += len(line) + 1
            return
        self._last.append(line)
        self._last_size += len(line) + 1
        while self._last_size > MAX_RECORD // 2 and len(self._last) > 1:
            self._last_size -= len(self._last.popleft()) + 1
            self._is_cut = True

    def __str__(self) -> str:
        lines = (*self._first, *(["[…]"] if self._is_cut else []), *self._last)
        return "".join(f"{line}\n" for line in lines)
