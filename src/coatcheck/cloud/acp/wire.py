"""What agents send, read leniently: the differences between versions and agents are handled here.

Guarantees:
- unknown members and unknown words are accepted, and a member of a wrong type is one that is missing;
- only what is used is read: the rest of a message may be anything.

See https://agentclientprotocol.com/protocol/v1/schema.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

# The methods of an agent, and those of a client that are answered.
INITIALIZE, NEW_SESSION, RESUME_SESSION, LOAD_SESSION = "initialize", "session/new", "session/resume", "session/load"
PROMPT, CANCEL = "session/prompt", "session/cancel"
SET_OPTION, SET_MODE = "session/set_config_option", "session/set_mode"
UPDATE, REQUEST_PERMISSION = "session/update", "session/request_permission"

AUTH_REQUIRED = -32000  # the error code of an agent that needs a login
CANCELLED = {"outcome": {"outcome": "cancelled"}}


def fields(value: object) -> Mapping[str, Any]:
    """Return *value* where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> Iterable[Mapping[str, Any]]:
    """Return the objects in *value* where it is an array."""
    return (each for each in value if isinstance(each, dict)) if isinstance(value, list) else ()


def text(value: object) -> str | None:
    """Return *value* where it is a text that is not blank."""
    return value if isinstance(value, str) and value.strip() else None


def number(value: object) -> float | None:
    """Return *value* where it is a number."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def block_text(block: object) -> str:
    """Return the text of a content block; of one that is no text, what it is."""
    content = fields(block)
    if content.get("type", "text") == "text":
        return content.get("text") if isinstance(content.get("text"), str) else ""  # type: ignore[return-value] # checked
    name = text(content.get("name")) or text(content.get("uri")) or text(fields(content.get("resource")).get("uri"))
    return f"[{content.get('type')}{f': {name}' if name else ''}]"


class Capabilities(msgspec.Struct, frozen=True):
    """What an agent offers beside new sessions, and the names of its ways to log in."""

    can_load: bool = False
    can_resume: bool = False
    logins: tuple[str, ...] = ()


def read_capabilities(answer: object) -> Capabilities:
    """Read the response to ``initialize``."""
    offered = fields(fields(answer).get("agentCapabilities"))
    logins = (text(each.get("name")) or text(each.get("id")) for each in items(fields(answer).get("authMethods")))
    return Capabilities(
        can_load=offered.get("loadSession") is True,
        can_resume=fields(offered.get("sessionCapabilities")).get("resume") not in (None, False),
        logins=tuple(filter(None, logins)),
    )


class Choice(msgspec.Struct, frozen=True):
    """Something that a client chooses in a session: the id of the option (None: the older modes), and its values."""

    option: str | None = None
    values: tuple[str, ...] = ()
    current: str | None = None


class Session(msgspec.Struct, frozen=True):
    """A session: its id, and what is chosen in it."""

    id: str
    model: Choice = Choice()
    mode: Choice = Choice()


def read_session(answer: object, id: str | None = None) -> Session | None:
    """Read the response to ``session/new``, or to a request that continues the session *id*; None without an id."""
    known = id or text(fields(answer).get("sessionId"))
    if known is None:
        return None
    choices = {each.get("category"): _choice(each) for each in items(fields(answer).get("configOptions"))}
    modes = fields(fields(answer).get("modes"))
    ids = (text(each.get("id")) for each in items(modes.get("availableModes")))
    older = Choice(None, tuple(filter(None, ids)), text(modes.get("currentModeId")))
    return Session(known, model=choices.get("model", Choice()), mode=choices.get("mode", older))


def _choice(option: Mapping[str, Any]) -> Choice:
    values = (text(each.get("value")) for each in _flat(option.get("options")))
    return Choice(text(option.get("id")), tuple(filter(None, values)), text(option.get("currentValue")))


def _flat(options: object) -> Iterable[Mapping[str, Any]]:
    """Yield the options of a list, also those in groups."""
    for each in items(options):
        yield from items(each["options"]) if isinstance(each.get("options"), list) else (each,)


class ToolCall(msgspec.Struct):
    """A tool call as its updates have described it so far."""

    id: str
    title: str = ""
    kind: str | None = None
    status: str | None = None
    paths: tuple[str, ...] = ()
    command: str | None = None
    output: str = ""
    exit_code: int | None = None
    changes: tuple[Change, ...] = ()

    @property
    def has_ended(self) -> bool:
        """Whether it has succeeded or failed."""
        return self.status in ("completed", "failed")

    def update(self, document: Mapping[str, Any]) -> None:
        """Add the members of an update, or of a permission request; what it leaves out stays."""
        self.title = one_line(text(document.get("title"))) or self.title
        self.kind = text(document.get("kind")) or self.kind
        self.status = text(document.get("status")) or self.status
        self.paths = _paths(document) or self.paths
        self.command = _command(document.get("rawInput")) or self.command
        content = list(items(document.get("content")))
        output = "\n".join(block_text(each.get("content")) for each in content if each.get("type") == "content")
        result = fields(document.get("rawOutput"))
        self.output = output or _printed(result) or self.output
        code = number(result.get("exit_code"))
        self.exit_code = self.exit_code if code is None else int(code)
        self.changes = tuple(filter(None, map(_change, content))) or self.changes


class Change(msgspec.Struct, frozen=True):
    """What a tool call changes in a file; `old` is None for a new file."""

    path: str
    old: str | None
    new: str


def _change(content: Mapping[str, Any]) -> Change | None:
    path, old, new = text(content.get("path")), content.get("oldText"), content.get("newText")
    if content.get("type") != "diff" or path is None or not isinstance(new, str):
        return None
    return Change(path, old if isinstance(old, str) else None, new)


# The members of a tool's input that name files, as Claude Code, Codex and Gemini CLI call them.
_PATH_MEMBERS = ("file_path", "path", "notebook_path", "abs_path", "absolute_path")


def _paths(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return every file that a tool call names: in its locations, its changes and its input."""
    named = [each.get("path") for name in ("locations", "content") for each in items(document.get(name))]
    given = fields(document.get("rawInput"))
    named += [given.get(name) for name in _PATH_MEMBERS]
    named += list(fields(given.get("changes")))  # Codex: the changes by their paths
    return tuple(dict.fromkeys(filter(None, map(text, named))))


def _printed(result: Mapping[str, Any]) -> str:
    """Return what a command printed, as Codex reports it."""
    return next((value for name in ("formatted_output", "aggregated_output") if (value := text(result.get(name)))), "")


def _command(given: object) -> str | None:
    command = fields(given).get("command")
    if isinstance(command, list):
        return " ".join(map(str, command))
    return text(command)


def one_line(value: str | None) -> str:
    """Return a text as one line."""
    return " ".join(value.split()) if value else ""


class UsageCount(msgspec.Struct):
    """What a session has used: tokens of its turns, tokens in its context, and the cost, as the agent reports them."""

    tokens: int | None = None
    used: int | None = None
    size: int | None = None
    cost: float | None = None
    currency: str = ""

    def update(self, document: Mapping[str, Any]) -> None:
        """Add a ``usage_update``."""
        used, size, cost = (document.get(name) for name in ("used", "size", "cost"))
        self.used = _whole(used, self.used)
        self.size = _whole(size, self.size)
        amount = number(fields(cost).get("amount"))
        if amount is not None:
            self.cost, self.currency = amount, text(fields(cost).get("currency")) or ""

    def add_turn(self, document: Mapping[str, Any]) -> None:
        """Add the ``usage`` of a response to ``session/prompt``."""
        self.tokens = _whole(document.get("totalTokens"), self.tokens)

    def __str__(self) -> str:
        parts = []
        if self.tokens is not None:
            parts.append(f"{self.tokens:,} tokens")
        if self.used is not None:
            parts.append(
                f"context {self.used:,} of {self.size:,} tokens" if self.size else f"context {self.used:,} tokens"
            )
        if self.cost is not None:
            parts.append(f"{self.cost:.4f} {self.currency}".strip())
        return ", ".join(parts)


def _whole(value: object, default: int | None) -> int | None:
    read = number(value)
    return default if read is None or not 0 <= read < 1e15 else int(read)
