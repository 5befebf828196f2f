"""An ACP agent that does what the lines of its prompt say: a program without libraries, or a thread of a test."""

from __future__ import annotations

import itertools
import json
import os
import sys
from pathlib import Path
from typing import Any, TextIO

OPTIONS = [("always", "Always", "allow_always"), ("yes", "Allow", "allow_once"), ("no", "Reject", "reject_once")]


class FakeAgent:
    """One agent over two text files. *flags* are "load" (sessions can be loaded) and "login" (a login is needed)."""

    def __init__(self, input: TextIO, output: TextIO, folder: str, flags: tuple[str, ...] = ()) -> None:
        self.input, self.output, self.folder, self.flags = input, output, folder, flags
        self.session, self.is_cancelled, self.ids = "", False, itertools.count(1000)

    def run(self) -> None:
        """Answer requests until there are no more."""
        while (message := self.read()) is not None:
            self.answer(message)

    def read(self) -> dict[str, Any] | None:
        """Return the next message; a cancellation is noted."""
        line = self.input.readline()
        message = json.loads(line) if line else None
        self.is_cancelled |= bool(message) and message.get("method") == "session/cancel"
        return message

    def write(self, line: str) -> None:
        """Write a line, whatever it is."""
        self.output.write(f"{line}\n")
        self.output.flush()

    def send(self, **message: object) -> None:
        """Write a message."""
        self.write(json.dumps({"jsonrpc": "2.0", **message}))

    def update(self, kind_: str, **members: object) -> None:
        """Write an update of the session."""
        update = {"sessionUpdate": kind_, **members}
        self.send(method="session/update", params={"sessionId": self.session, "update": update})

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """Send a request to the client, and return its response."""
        id = next(self.ids)
        self.send(id=id, method=method, params=parameters)
        while (message := self.read()) is not None and message.get("id") != id:
            pass
        return message or {}

    # --- the methods of an agent --------------------------------------------------------------------------------------

    def answer(self, message: dict[str, Any]) -> None:
        """Answer a request, as far as it is one."""
        method, parameters = message.get("method"), message.get("params") or {}
        if method in ("session/new", "session/load") and "login" in self.flags:
            self.send(id=message["id"], error={"code": -32000, "message": "Authentication required"})
            return
        results = {
            "initialize": self.initialize,
            "session/new": self.open_session,
            "session/load": self.open_session,
            "session/prompt": self.prompt,
        }
        result = results[method](parameters) if method in results else {}
        if "id" in message:
            self.send(id=message["id"], result=result)

    def initialize(self, _parameters: dict[str, Any]) -> dict[str, Any]:
        """Say what the agent offers."""
        logins = [{"id": "browser", "name": "Log in with a browser"}]
        return {
            "protocolVersion": 1,
            "agentCapabilities": {"loadSession": "load" in self.flags},
            "authMethods": logins,
        }

    def open_session(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Begin a session, or load one and repeat its history."""
        self.session = parameters.get("sessionId") or "session-1"
        if "sessionId" in parameters:
            self.say("what was said before")
        options = [{"value": "small", "name": "Small"}, {"value": "large", "name": "Large"}]
        model = {"id": "model", "category": "model", "type": "select", "options": options}
        return {"sessionId": self.session, "configOptions": [model]}

    def prompt(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Do what the lines of the prompt say, until one ends the turn."""
        self.session = parameters["sessionId"]
        for line in parameters["prompt"][0]["text"].splitlines():
            word, _, rest = line.partition(" ")
            if reason := getattr(self, word)(*([rest] if rest else [])):
                return {"stopReason": reason}
        return {"stopReason": "end_turn", "usage": {"totalTokens": 1234}}

    # --- what a line of a prompt can say ------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """Say something, word by word."""
        for word in text.replace("\\n", "\n").split(" "):
            self.update("agent_message_chunk", content={"type": "text", "text": f"{word} "})

    def think(self, text: str) -> None:
        """Think."""
        self.update("agent_thought_chunk", content={"type": "text", "text": text})

    def edit(self, name: str) -> None:
        """Write a file."""
        path = os.path.join(self.folder, name)
        call = {"toolCallId": f"edit {name}", "title": f"Write {path}", "kind": "edit", "locations": [{"path": path}]}
        self.update("tool_call", **call, status="pending")
        Path(path).write_text("hello\n")
        change = {"type": "diff", "path": path, "oldText": None, "newText": "hello\n"}
        self.update("tool_call_update", toolCallId=f"edit {name}", status="completed", content=[change])

    def ask(self, words: str) -> None:
        """Request a permission (its kind and its target), and say how it was decided."""
        kind, target = words.split(" ", 1)
        named = {"rawInput": {"command": target}} if kind == "execute" else {"locations": [{"path": target}]}
        call = {"toolCallId": f"call {next(self.ids)}", "title": f"{kind} {target}", "kind": kind, **named}
        options = [{"optionId": id, "name": name, "kind": effect} for id, name, effect in OPTIONS]
        outcome = self.call("session/request_permission", toolCall=call, options=options)["result"]["outcome"]
        self.say(f"{target}: {outcome.get('optionId') or outcome['outcome']}")

    def request(self, method: str) -> None:
        """Send a request that a client need not know, and say the code of the error."""
        self.say(f"{method}: {self.call(method, path='/etc/passwd').get('error', {}).get('code')}")

    def plan(self, steps: str) -> None:
        """Show a plan, the first step of which is done."""
        states = itertools.chain(["completed", "in_progress"], itertools.repeat("pending"))
        self.update("plan", entries=[{"content": step, "status": next(states)} for step in steps.split(",")])

    def usage(self) -> None:
        """Report the usage."""
        self.update("usage_update", used=1200, size=200_000, cost={"amount": 0.0123, "currency": "USD"})

    def unknown(self, words: str) -> None:
        """Send an update that no version of the protocol has."""
        self.update("weather", words=words)

    def flood(self, count: str) -> None:
        """Say many paragraphs."""
        for number in range(int(count)):
            self.update("agent_message_chunk", content={"type": "text", "text": f"word {number}\n\n"})

    def long(self, size: str) -> None:
        """Write a line of so many characters."""
        self.write("x" * int(size))

    def warn(self, words: str) -> None:
        """Write to standard error."""
        sys.stderr.write(f"{words}\n")

    def hang(self, _words: str = "") -> str:
        """Wait until the turn is cancelled."""
        while not self.is_cancelled and self.read() is not None:
            pass
        return "cancelled"

    def ignore(self, _words: str = "") -> None:
        """Answer nothing any more."""
        while self.read() is not None:
            pass

    def leave(self, code: str) -> None:
        """End the program."""
        sys.exit(int(code))

    def stop(self, reason: str) -> str:
        """End the turn with a reason."""
        return reason


if __name__ == "__main__":
    FakeAgent(sys.stdin, sys.stdout, os.getcwd(), tuple(sys.argv[1:])).run()
