"""The conversations of the emulated agent-server: their states, and the log of their events."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from ..._values.rfc3339 import format_time

LIFE = ("idle", "running", "finished")
ENDS = frozenset({"finished", "error", "stuck", "paused"})
WAITING = "waiting_for_confirmation"
MODEL = "openai/gpt-test"
REPLY = "Wrote hello.txt."
COMMAND = "echo hello >hello.txt"
BASE = "425cedbf6d95f522673de1a1e6449d7f25f83895"
DIFF = b"""\
diff --git a/hello.txt b/hello.txt
new file mode 100644
index 0000000..ce01362
--- /dev/null
+++ b/hello.txt
@@ -0,0 +1 @@
+hello
"""
NEVER = {"kind": "NeverConfirm"}


class Conversation:
    """A conversation, its states to come, and its events."""

    def __init__(self, asked: Mapping[str, Any], life: Sequence[str], *, now: float) -> None:
        self.id = str(uuid.UUID(asked["conversation_id"]))
        self.asked, self.life, self.step = asked, tuple(life), 0
        self.status, self.title = self.life[0], None if asked.get("autotitle") is False else "Say hello"
        self.tags: dict[str, str] = dict(asked.get("tags") or {})
        self.created = self.updated = now
        self.events: list[dict[str, Any]] = []
        self.last_message: str | None = None
        self.pending: str | None = None
        self._log({"kind": "SystemPromptEvent", "source": "agent", "tools": []})
        if asked.get("initial_message"):
            self.say(asked["initial_message"])

    @property
    def has_ended(self) -> bool:
        """Whether the agent has stopped."""
        return self.status in ENDS

    @property
    def is_confirming(self) -> bool:
        """Whether the actions of the agent wait for a decision."""
        return bool(self.asked.get("confirmation_policy", NEVER)["kind"] != "NeverConfirm")

    def advance(self, now: float) -> None:
        """Take the next step of the agent's life; one that waits, has stopped or has no message takes none."""
        if self.has_ended or self.status == WAITING or self.last_message is None:
            return
        self.updated = now
        self.step = min(self.step + 1, len(self.life) - 1)
        following = self.life[self.step]
        if following in ("interrupted", "paused"):
            self.interrupt() if following == "interrupted" else self.pause()
        elif following == "running":
            self._enter("running")
            self._act()
        else:
            self._end(following)

    def _act(self) -> None:
        """Run a command, which waits for a decision where the policy requires one."""
        action = {"kind": "TerminalAction", "command": COMMAND, "is_input": False, "reset": False}
        self.pending = self._log(
            {
                "kind": "ActionEvent",
                "source": "agent",
                "thought": [{"type": "text", "text": "A file is missing."}],
                "action": action,
                "tool_name": "terminal",
                "tool_call_id": f"call_{len(self.events)}",
                "security_risk": "LOW",
                "summary": "write a file",
            }
        )
        if self.is_confirming:
            self._enter(WAITING)
        else:
            self._observe()

    def _observe(self) -> None:
        observation = {
            "kind": "TerminalObservation",
            "content": [{"type": "text", "text": "ok\n"}],
            "is_error": False,
            "exit_code": 0,
        }
        answer = {"action_id": self.pending, "tool_name": "terminal", "tool_call_id": "call"}
        self._log({"kind": "ObservationEvent", "source": "environment", "observation": observation, **answer})
        self.pending = None

    def _end(self, status: str) -> None:
        if status == "finished":
            finish = {"kind": "FinishAction", "message": REPLY}
            shown = {"thought": [], "action": finish, "tool_name": "finish", "tool_call_id": "call_end"}
            id = self._log({"kind": "ActionEvent", "source": "agent", **shown})
            done = {"action_id": id, "tool_name": "finish", "tool_call_id": "call_end"}
            content = {"kind": "FinishObservation", "content": [{"type": "text", "text": REPLY}], "is_error": False}
            self._log({"kind": "ObservationEvent", "source": "environment", "observation": content, **done})
        elif status == "error":
            error = {"code": "LLMAuthenticationError", "detail": "the key of the model was refused"}
            self._log({"kind": "ConversationErrorEvent", "source": "environment", **error})
        self._enter(status)

    # -- what a client does ------------------------------------------------------------------------------------------

    def say(self, message: Mapping[str, Any]) -> None:
        """Take a message; with ``run`` it starts the agent, whatever waits."""
        content = {"role": message["role"], "content": message["content"]}
        self.last_message = self._log({"kind": "MessageEvent", "source": "user", "llm_message": content})
        self._log_update("last_user_message_id", self.last_message)
        if message.get("run") and len(self.events) > 3:
            self.run()

    def run(self) -> bool:
        """Start the agent, which allows what waits; False where it runs."""
        if self.status == "running":
            return False
        if self.status == WAITING:
            self._observe()
            self.step = max(self.step, 1)
        else:
            self.step = 1
        self._enter("running")
        return True

    def reject(self, reason: str) -> None:
        """Reject what waits; the agent is idle then."""
        if self.status != WAITING:
            return
        self._enter("idle")
        answer = {"action_id": self.pending, "tool_name": "terminal", "tool_call_id": "call"}
        shown = {"rejection_reason": reason, "rejection_source": "user"}
        self._log({"kind": "UserRejectObservation", "source": "environment", **shown, **answer})
        self.pending = None

    def interrupt(self) -> None:
        """Stop an agent that runs, or pause one that is idle; one that waits goes on waiting."""
        if self.status == "running":
            self._enter("paused")
            self._log({"kind": "InterruptEvent", "source": "user"})
        elif self.status == "idle":
            self.pause()

    def pause(self) -> None:
        """Pause an agent that runs or is idle."""
        if self.status in ("running", "idle"):
            self._enter("paused")
            self._log({"kind": "PauseEvent", "source": "user"})

    # -- documents ---------------------------------------------------------------------------------------------------

    def _enter(self, status: str) -> None:
        self.status = status
        self._log_update("execution_status", status)

    def _log_update(self, key: str, value: object) -> None:
        self._log({"kind": "ConversationStateUpdateEvent", "source": "environment", "key": key, "value": value})

    def _log(self, event: Mapping[str, Any]) -> str:
        id = str(uuid.uuid5(uuid.UUID(self.id), str(len(self.events))))
        # The server's local time, without its zone.
        moment = datetime.fromtimestamp(self.updated, UTC).replace(tzinfo=None).isoformat()
        self.events.append({"id": id, "timestamp": moment, **event})
        return id

    def document(self) -> dict[str, Any]:
        """Return the document of the conversation."""
        tokens = {"model": MODEL, "prompt_tokens": 300, "completion_tokens": 15}
        used = {"model_name": MODEL, "accumulated_cost": 0.01, "accumulated_token_usage": tokens}
        return {
            "id": self.id,
            "workspace": {"working_dir": self.asked["workspace"]["working_dir"], "kind": "LocalWorkspace"},
            "execution_status": self.status,
            "confirmation_policy": self.asked.get("confirmation_policy", NEVER),
            "last_user_message_id": self.last_message,
            "stats": {"usage_to_metrics": {"agent": used} if self.step else {}},
            "title": self.title,
            "created_at": format_time(self.created, timespec="microseconds"),
            "updated_at": format_time(self.updated, timespec="microseconds"),
            "tags": self.tags,
            "agent": {"llm": {"model": MODEL, "api_key": None}, "kind": "Agent"},
        }
