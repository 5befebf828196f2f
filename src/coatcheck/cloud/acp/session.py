"""One prompt in a session of an agent: start or continue the session, send the prompt, answer what the agent requests.

Guarantees:
- files and terminals of this machine are not offered: the agent uses the tools that it has, in its clone, and a request for
  one is answered with JSON-RPC's error "Method not found";
- every permission request is answered: by the permissions that were chosen, by a person, or, when the turn is cancelled,
  with ``cancelled`` (https://agentclientprotocol.com/protocol/v1/prompt-turn);
- every end of a turn is a state with a reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..._values.value import Value
from ..._version import __version__
from ..attempts import Job
from ..models import AgentSession, CloudFailure
from . import wire
from .permissions import Permissions, decided_option, permission_request, read_options
from .updates import SessionUpdates

if TYPE_CHECKING:
    from acp.connection import Connection

    from ..._model.gates import GateOption, PermissionRequest
    from .lines import LineTransport

# How long an agent may take to answer `initialize` (seconds): `npx` may have to download it first.
HANDSHAKE_TIMEOUT = 120.0
# The ids of the modes in which agents request permissions: those of Claude and Gemini, and of Codex.
PERMISSION_MODES = ("default", "read-only")
# So much of the text of an agent's error is shown.
MAX_ERROR = 1000

STOP_REASONS: Mapping[str, str] = {
    "max_tokens": "the agent stopped: the model's limit of tokens was reached",
    "max_turn_requests": "the agent stopped: its limit of requests to the model was reached",
    "refusal": "the agent refused the prompt",
    "cancelled": "the agent cancelled its turn, which nobody had requested",
}


class SessionError(Exception):
    """The session cannot be used; `code` and the text are the failure of the attempt."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)

    @property
    def failure(self) -> CloudFailure:
        """The same as the failure of an attempt."""
        return CloudFailure(code=self.code, message=str(self)[:MAX_ERROR])


class PromptOptions(Value, frozen=True, kw_only=True):
    """What is prompted and where. `request` adds a permission request to those that wait for a person.

    It is called with a function that receives the id of the chosen option, and returns the id of the request.
    """

    job: Job
    folder: Path
    permissions: Permissions
    request: Callable[[PermissionRequest, Callable[[str | None], None]], str | None]
    withdraw: Callable[[str], None]
    note: Callable[[str], None]


class PromptTurn:
    """One prompt. `run` returns why it failed, None where it did not; `session` is the one that can be continued."""

    def __init__(self, options: PromptOptions, updates: SessionUpdates) -> None:
        self._options, self._updates = options, updates
        self._connection: Connection | None = None
        self._transport: LineTransport | None = None
        self._capabilities = wire.Capabilities()
        self._is_cancelled = self._has_rejected = False
        self._waiting: set[asyncio.Future[str | None]] = set()
        self.session: AgentSession | None = None

    async def run(self, transport: LineTransport) -> CloudFailure | None:
        """Send the prompt to the agent behind *transport*, and return when its turn has ended."""
        from acp.connection import Connection

        self._transport, self._connection = transport, Connection(self._answer, transport)
        try:
            await self._initialize()
            session = await self._open()
            return await self._prompt(session)
        except SessionError as error:
            return error.failure
        finally:
            self._updates.flush()
            self._cancel_requests()
            await self._connection.close()

    async def cancel(self) -> None:
        """Cancel the turn: the agent answers the prompt soon, or is ended by the caller."""
        self._is_cancelled = True
        self._cancel_requests()
        if self._connection is not None and self.session is not None:
            with suppress(ConnectionError):
                await self._connection.send_notification(wire.CANCEL, {"sessionId": self.session.id})

    def _cancel_requests(self) -> None:
        for future in list(self._waiting):
            if not future.done():
                future.set_result(None)

    # --- the requests to the agent ------------------------------------------------------------------------------------

    async def _initialize(self) -> None:
        from acp.meta import PROTOCOL_VERSION

        parameters = {
            "protocolVersion": PROTOCOL_VERSION,
            "clientCapabilities": {"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False},
            "clientInfo": {"name": "coatcheck", "title": "coatcheck serve", "version": __version__},
        }
        try:
            async with asyncio.timeout(HANDSHAKE_TIMEOUT):
                answer = await self._call(wire.INITIALIZE, parameters)
        except TimeoutError:
            raise SessionError(
                "no_acp_agent",
                f"the agent did not answer `initialize` within {HANDSHAKE_TIMEOUT:g} s: does it support ACP?",
            ) from None
        version = wire.fields(answer).get("protocolVersion")
        if version != PROTOCOL_VERSION:
            raise SessionError(
                "protocol_version",
                f"the agent supports version {version!r} of ACP, and this server version {PROTOCOL_VERSION}",
            )
        self._capabilities = wire.read_capabilities(answer)

    async def _open(self) -> wire.Session:
        """Continue the session of the previous turn, else begin one."""
        place: dict[str, Any] = {"cwd": str(self._options.folder), "mcpServers": []}
        session = await self._continue(place) if self._options.job.session is not None else None
        if session is None:
            session = wire.read_session(await self._call(wire.NEW_SESSION, place))
        if session is None:
            raise SessionError("agent_error", "the agent answered `session/new` without a session")
        self.session = AgentSession(id=session.id, workspace=self._options.job.workspace)
        await self._choose_model(session)
        await self._choose_mode(session)
        return session

    async def _continue(self, place: Mapping[str, Any]) -> wire.Session | None:
        """Return the session of the previous turn, None where the agent cannot continue it."""
        known, method = self._options.job.session, wire.RESUME_SESSION
        if known is None or not (self._capabilities.can_resume or self._capabilities.can_load):
            self._options.note("the agent cannot continue a session: it starts without the earlier messages")
            return None
        if not self._capabilities.can_resume:
            method = wire.LOAD_SESSION
        self._updates.is_silent = True  # the history of the session
        try:
            return wire.read_session(await self._call(method, {**place, "sessionId": known.id}), id=known.id)
        except SessionError as error:
            if error.code != "agent_error":
                raise
            self._options.note(
                f"the session could not be continued, so the agent starts without the earlier messages: {error}"
            )
            return None
        finally:
            self._updates.is_silent = False

    async def _choose_model(self, session: wire.Session) -> None:
        model = self._options.job.model
        if model is None:
            return
        if session.model.option is None or model not in session.model.values:
            known = f"; its models: {', '.join(session.model.values[:20])}" if session.model.values else ""
            self._options.note(f"the model {model!r} was not chosen: the agent does not offer it{known}")
            return
        await self._choose(session, session.model, model)

    async def _choose_mode(self, session: wire.Session) -> None:
        """Choose the mode in which the agent requests permissions, so that the permissions decide."""
        mode = next((each for each in PERMISSION_MODES if each in session.mode.values), None)
        if self._options.permissions != "all" and mode not in (None, session.mode.current):
            await self._choose(session, session.mode, str(mode))

    async def _choose(self, session: wire.Session, choice: wire.Choice, value: str) -> None:
        if choice.option is None:
            await self._call(wire.SET_MODE, {"sessionId": session.id, "modeId": value})
        else:
            await self._call(wire.SET_OPTION, {"sessionId": session.id, "configId": choice.option, "value": value})

    async def _prompt(self, session: wire.Session) -> CloudFailure | None:
        blocks = [{"type": "text", "text": self._options.job.prompt}]
        answer = wire.fields(await self._call(wire.PROMPT, {"sessionId": session.id, "prompt": blocks}))
        self._updates.end_turn(answer.get("usage"))
        reason = str(answer.get("stopReason"))
        if reason == "end_turn":
            return None
        if reason == "cancelled" and self._has_rejected:
            return CloudFailure(code="permission_rejected", message="the agent stopped after a permission was rejected")
        message = STOP_REASONS.get(reason, f"the agent stopped for a reason that is not known here: {reason[:100]}")
        return CloudFailure(code=reason if reason in STOP_REASONS else "stopped", message=message)

    async def _call(self, method: str, parameters: Mapping[str, Any]) -> object:
        """Return the result of a request. Raises `SessionError`."""
        from acp.exceptions import RequestError

        assert self._connection is not None  # noqa: S101 - set by `run`
        try:
            return await self._connection.send_request(method, dict(parameters))
        except ConnectionError:
            raise SessionError("agent_ended", f"the agent ended before it answered `{method}`") from None
        except RequestError as error:
            raise SessionError(*self._error_of(method, error)) from None

    def _error_of(self, method: str, error: Any) -> tuple[str, str]:
        detail = wire.fields(error.data).get("details") or wire.fields(error.data).get("message")
        words = ": ".join(str(each) for each in (error, detail) if each)[:MAX_ERROR]
        if error.code != wire.AUTH_REQUIRED:
            hint = ": does it support ACP?" if method == wire.INITIALIZE else ""
            return "agent_error", f"the agent refused `{method}`: {words}{hint}"
        logins = f" ({', '.join(self._capabilities.logins)})" if self._capabilities.logins else ""
        return (
            "login_required",
            f"the agent needs a login{logins}: log in with the program of the agent, then submit again",
        )

    # --- the requests of the agent ------------------------------------------------------------------------------------

    async def _answer(self, method: str, parameters: object, is_notification: bool) -> object:  # noqa: FBT001 - as acp calls it
        from acp.exceptions import RequestError

        if method == wire.UPDATE:
            self._updates.read(parameters)
        elif method == wire.REQUEST_PERMISSION and not is_notification:
            return await self._decide(wire.fields(parameters))
        elif not is_notification:
            raise RequestError.method_not_found(method[:200])
        return None

    async def _decide(self, parameters: Mapping[str, Any]) -> object:
        """Return the outcome of a permission request."""
        options = read_options(parameters)
        if self._is_cancelled or not options:
            return wire.CANCELLED
        self._updates.flush()
        call = self._updates.call(wire.fields(parameters.get("toolCall")))
        chosen = decided_option(self._options.permissions, call, options, self._options.folder)
        if chosen is None:
            job = self._options.job
            request = permission_request(
                self._updates.title_of(call) + (f" (attempt {job.number})" if job.total > 1 else ""),
                call,
                options,
                attempt=job.number,
                folder=self._options.folder,
                change=self._updates.change_of(call),
            )
            chosen = await self._request_decision(request, options)
        self._has_rejected |= chosen is not None and chosen.effect == "reject"
        self._updates.note_decision(call, chosen)
        return wire.CANCELLED if chosen is None else {"outcome": {"outcome": "selected", "optionId": chosen.id}}

    async def _request_decision(self, request: PermissionRequest, options: tuple[GateOption, ...]) -> GateOption | None:
        """Return the option that a person chooses; at the deadline one that rejects, None where the turn is cancelled."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[str | None] = loop.create_future()

        def settle(option: str | None) -> None:
            if not future.done():
                future.set_result(option)

        def resolve(option: str | None) -> None:
            with suppress(RuntimeError):  # the loop of an attempt that has ended
                loop.call_soon_threadsafe(settle, option)

        self._waiting.add(future)
        id = await asyncio.to_thread(self._options.request, request, resolve)
        try:
            answer = None if id is None else await future
        finally:
            self._waiting.discard(future)
            if id is not None:
                self._options.withdraw(id)
        if self._is_cancelled:
            return None
        rejecting = (each for each in options if each.effect == "reject" and not each.is_lasting)
        return next((each for each in options if each.id == answer), next(rejecting, None))
