"""An emulator of an agent-server of OpenHands: conversations, their events over HTTP and WebSockets, and its shell.

Invariants:

- an agent takes a step when its conversation is requested or its events are awaited; with *step_seconds*, by the clock;
- a create that repeats an id is answered with the conversation that exists;
- whatever starts an agent that waits for a decision allows what it waits for;
- WebSockets are for the transports of `coatcheck.testing`; a server of `serving` has none, and clients poll;
- the shell prints what the scripts of checkouts print, and runs nothing.

See docs/reference/protocols/openhands.md.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from ... import errors
from ..._protocol.effects import Clock, Request, Response
from ...cloud.faults import Fault
from ...cloud.responses import Refusal, json_reply
from ._service import HttpService, match_route
from .openhands_conversations import BASE, DIFF, LIFE, MODEL, REPLY, Conversation

KEY = "openhands-test-key"
PROFILE = "69b07655-40fd-4841-bfc6-faf544d79739"
_ID = r"/api/conversations/([^/]+)"
ROUTES: tuple[tuple[str, re.Pattern[str], str], ...] = tuple(
    (method, re.compile(path), name)
    for method, path, name in (
        ("GET", r"/api/agent-profiles", "list_agents"),
        ("GET", r"/api/profiles", "list_models"),
        ("GET", r"/api/workspaces", "list_environments"),
        ("POST", r"/api/bash/execute_bash_command", "run_command"),
        ("POST", r"/api/conversations", "create_task"),
        ("GET", r"/api/conversations/search", "list_tasks"),
        ("GET", _ID, "get_task"),
        ("PATCH", _ID, "update_task"),
        ("DELETE", _ID, "delete_task"),
        ("POST", _ID + "/run", "run"),
        ("POST", _ID + "/pause", "pause"),
        ("POST", _ID + "/interrupt", "cancel_task"),
        ("POST", _ID + "/switch_profile", "switch_model"),
        ("POST", _ID + "/events", "send_message"),
        ("GET", _ID + "/events/search", "list_events"),
        ("POST", _ID + "/events/respond_to_confirmation", "decide_permission"),
        ("GET", _ID + "/agent_final_response", "get_reply"),
        ("POST", _ID + "/bash/execute_bash_command", "read_change"),
        ("GET", r"/sockets/events/([^/]+)", "stream_task"),
    )
)


def refusal(status: int, detail: object) -> Refusal:
    """Return a refusal in the server's form."""
    return Refusal(json_reply({"detail": detail}, status=status))


class OpenHandsEmulator(HttpService):
    """The emulator. Give `handle` to a transport of `coatcheck.testing`, or to `coatcheck.testing.serving`.

    *life* is the states of a run, where "paused" and "interrupted" are what a person does; *change* is what its workspace differs by. *workspaces* are the folders that are saved on
    the server, by name. *step_seconds* is how long a step takes; without it, each request of a conversation is a step.
    `requests` are all received requests, with those of faults, `commands` what the shell was given.
    """

    def __init__(
        self,
        life: Sequence[str] = LIFE,
        *,
        clock: Clock | None = None,
        faults: Iterable[Fault] = (),
        change: bytes = DIFF,
        workspaces: Mapping[str, str] | None = None,
        step_seconds: float | None = None,
    ) -> None:
        super().__init__(clock=clock, faults=faults)
        self.life, self.change = tuple(life), change
        self.workspaces = dict(workspaces or {})
        self.step_seconds, self.token = step_seconds, KEY
        self.commands: list[str] = []
        self._conversations: dict[str, Conversation] = {}
        self._answers: Mapping[str, Callable[..., Response]] = {
            name: getattr(self, f"_{name}") for _, _, name in ROUTES
        }

    @property
    def tasks(self) -> tuple[str, ...]:
        """Return the id of every conversation, oldest first."""
        return tuple(self._conversations)

    def conversation(self, id: str) -> Conversation:
        """Return a conversation."""
        return self._conversations[id]

    def _route_of(self, request: Request) -> str:
        return find_route(request)[0]

    def _answer(self, request: Request) -> Response:
        name, parts = find_route(request)
        try:
            if not name:
                raise refusal(404, "Not Found")
            if dict(request.headers).get("x-session-api-key") != self.token:
                raise refusal(401, "Unauthorized")
            return self._answers[name](request, *map(self._known, parts))
        except Refusal as refused:
            return refused.response

    def _known(self, id: str) -> Conversation:
        if id not in self._conversations:
            raise refusal(404, "Not Found")
        known = self._conversations[id]
        if self.step_seconds is not None:
            self._advance_by_clock(known)
        return known

    def _advance_by_clock(self, known: Conversation) -> None:
        while not known.has_ended and self.clock.time() - known.updated >= (self.step_seconds or 0.0):
            before = known.updated
            known.advance(before + (self.step_seconds or 0.0))
            if known.updated == before:  # it waits
                return

    # -- the server --------------------------------------------------------------------------------------------------

    def _list_agents(self, request: Request) -> Response:  # noqa: ARG002 - every answer is given the request
        listed = {"id": PROFILE, "name": "default", "agent_kind": "openhands", "llm_profile_ref": "default"}
        return json_reply({"profiles": [listed], "active_agent_profile_id": PROFILE})

    def _list_models(self, request: Request) -> Response:  # noqa: ARG002 - every answer is given the request
        listed = {"name": "default", "model": MODEL, "base_url": None, "api_key_set": True}
        return json_reply({"profiles": [listed], "active_profile": "default"})

    def _list_environments(self, request: Request) -> Response:  # noqa: ARG002 - every answer is given the request
        listed = [{"id": name, "name": name, "path": path} for name, path in self.workspaces.items()]
        return json_reply({"workspaces": listed, "workspaceParents": []})

    def _run_command(self, request: Request) -> Response:
        asked = body_of(request, "command")
        self.commands.append(asked["command"])
        if asked.get("cwd"):
            return self._printed_change()
        return printed(f"/srv/checkouts/{len(self.commands)}\n")

    def _read_change(self, request: Request, known: Conversation) -> Response:  # noqa: ARG002 - every answer is given the conversation
        self.commands.append(body_of(request, "command")["command"])
        return self._printed_change()

    def _printed_change(self) -> Response:
        return printed(f"{BASE} {len(self.change)}\n{b64encode(self.change).decode()}\n")

    # -- conversations -----------------------------------------------------------------------------------------------

    def _create_task(self, request: Request) -> Response:
        asked = body_of(request, "workspace")
        if asked.get("agent_profile_id") != PROFILE:
            raise refusal(404, f"Agent profile with id '{asked.get('agent_profile_id')}' not found")
        model = asked.get("agent_launch_additions", {}).get("llm_profile_ref", "default")
        if model != "default":
            raise refusal(422, {"code": "unresolved_profile_references", "message": f"LLM profile '{model}' not found"})
        known = self._conversations.get(asked["conversation_id"])
        if known is not None:
            return json_reply(known.document())
        return json_reply(self.start(asked).document(), status=201)

    def start(self, asked: Mapping[str, Any]) -> Conversation:
        """Create a conversation from the body of a create."""
        created = Conversation(asked, self.life, now=self.clock.time())
        self._conversations[created.id] = created
        return created

    def _get_task(self, request: Request, known: Conversation) -> Response:  # noqa: ARG002 - every answer is given the request
        document = known.document()
        if self.step_seconds is None:
            known.advance(self.clock.time())
        return json_reply(document)

    def _list_tasks(self, request: Request) -> Response:
        newest = [self._known(id) for id in reversed(self._conversations)]
        return page([each.document() for each in newest], request)

    def _update_task(self, request: Request, known: Conversation) -> Response:
        asked = body_of(request)
        known.title = asked.get("title", known.title)
        known.tags = asked.get("tags", known.tags)
        return json_reply({"success": True})

    def _delete_task(self, request: Request, known: Conversation) -> Response:  # noqa: ARG002 - every answer is given the request
        del self._conversations[known.id]
        return json_reply({"success": True})

    def _run(self, request: Request, known: Conversation) -> Response:  # noqa: ARG002 - every answer is given the request
        if not known.run():
            raise refusal(409, "Conversation already running. Wait for completion or pause first.")
        return json_reply({"success": True})

    def _pause(self, request: Request, known: Conversation) -> Response:  # noqa: ARG002 - every answer is given the request
        known.pause()
        return json_reply({"success": True})

    def _cancel_task(self, request: Request, known: Conversation) -> Response:  # noqa: ARG002 - every answer is given the request
        known.interrupt()
        return json_reply({"success": True})

    def _switch_model(self, request: Request, known: Conversation) -> Response:  # noqa: ARG002 - every answer is given the conversation
        name = body_of(request, "profile_name")["profile_name"]
        if name != "default":
            raise refusal(404, f"Profile '{name}' not found")
        return json_reply({"success": True})

    def _send_message(self, request: Request, known: Conversation) -> Response:
        known.updated = self.clock.time()
        known.say(body_of(request, "role", "content"))
        return json_reply({"success": True})

    def _decide_permission(self, request: Request, known: Conversation) -> Response:
        asked = body_of(request, "accept")
        known.updated = self.clock.time()
        if asked["accept"]:
            known.run()
        else:
            known.reject(asked.get("reason", "User rejected the action."))
        return json_reply({"success": True})

    def _get_reply(self, request: Request, known: Conversation) -> Response:  # noqa: ARG002 - every answer is given the request
        return json_reply({"response": REPLY if known.status == "finished" else ""})

    def _list_events(self, request: Request, known: Conversation) -> Response:
        query = dict(request.query)
        events = [event for event in known.events if query.get("kind") in (None, event["kind"])]
        return page(events[::-1] if query.get("sort_order") == "TIMESTAMP_DESC" else events, request)

    def _stream_task(self, request: Request, known: Conversation) -> Response:
        if request.channel is None:  # over HTTP alone, as where a proxy knows no WebSockets
            raise refusal(426, "Upgrade Required")
        return Response(101, stream=EventSocket(self, known))

    def wait(self, known: Conversation, timeout: float) -> None:
        """Let a conversation take a step, or let the time of a wait pass."""
        with self._lock:
            if self.step_seconds is None:
                known.advance(self.clock.time())
                return
        self.clock.sleep(min(self.step_seconds, timeout))
        with self._lock:
            self._advance_by_clock(known)


class EventSocket:
    """A WebSocket that sends the events of a conversation from now on, after its whole state."""

    def __init__(self, emulator: OpenHandsEmulator, known: Conversation) -> None:
        self._emulator, self._known, self._read = emulator, known, len(known.events)
        state = {"kind": "ConversationStateUpdateEvent", "source": "environment", "key": "full_state", "id": "state"}
        self._queued = deque([state | {"value": known.document()}])
        self._is_closed = False

    def send(self, message: bytes) -> None:
        """Take no message."""
        del message
        raise errors.TransportError("the emulator takes no messages")

    def receive(self, timeout: float) -> bytes | None:
        """Return the next event, None where the socket is closed. Raises `TransportTimeoutError` where there is none."""
        if self._is_closed:
            return None
        if not self._queued:
            self._emulator.wait(self._known, timeout)
            self._queued += self._known.events[self._read :]
            self._read = len(self._known.events)
        if not self._queued:
            raise errors.TransportTimeoutError("no event")
        return msgspec.json.encode(self._queued.popleft())

    def close(self) -> None:
        """Send nothing more."""
        self._is_closed = True


def find_route(request: Request) -> tuple[str, tuple[str, ...]]:
    """Return the verb of a request and the parts of its path; "" for an unknown route."""
    return match_route(ROUTES, request.method, request.path)


def body_of(request: Request, *required: str) -> dict[str, Any]:
    """Return the body of a request. Raises the server's refusal where a field is missing."""
    try:
        asked = msgspec.json.decode(request.body, type=dict[str, Any])
    except msgspec.MsgspecError:
        raise refusal(422, [{"type": "json_invalid", "loc": ["body"], "msg": "JSON decode error"}]) from None
    for name in required:
        if name not in asked:
            raise refusal(422, [{"type": "missing", "loc": ["body", name], "msg": "Field required"}])
    return asked


def page(documents: Sequence[Mapping[str, Any]], request: Request) -> Response:
    """Return a page; it begins at the document whose id the query has, else at the first."""
    query = dict(request.query)
    ids = [document["id"] for document in documents]
    start = ids.index(query["page_id"]) if query.get("page_id") in ids else 0
    end = start + int(query.get("limit", 100))
    return json_reply({"items": documents[start:end], "next_page_id": ids[end] if end < len(ids) else None})


def printed(stdout: str) -> Response:
    """Return the output of a command that has succeeded."""
    return json_reply({"kind": "BashOutput", "order": 0, "exit_code": 0, "stdout": stdout, "stderr": None})
