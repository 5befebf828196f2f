"""An emulator of the whole API of Jules; a test gives the steps of each session.

Invariants:

- a session advances by one step when it or its list of activities is requested; an ended session only when it is
  requested itself; with *step_seconds*, sessions advance by the clock;
- unknown fields, enums, filters and parameters are refused as the service refuses them;
- responses are proto3 JSON: default values are left out, and activities differ in their milliseconds.

See docs/reference/protocols/jules.md, "1 Transport", "2 Resources and methods" and "7 Checklists".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

import msgspec

from ..._protocol.effects import Clock, Request, Response
from ...cloud.faults import Fault
from ..emulator_transport import Chunks
from . import jules_rpc as rpc
from ._service import HttpService, match_route
from .jules_scripts import Life, Order, ordinary
from .jules_sessions import Session

KEY = "jules-test-key"

# The default page of each list (docs/reference/protocols/jules.md, "1.5 Pagination, filters, order")
# and the parameters that it accepts.
PAGE_SIZES = {"list_environments": 30, "list_tasks": 30, "list_activities": 50}
SYSTEM_PARAMETERS = frozenset({"fields", "alt", "prettyPrint", "key", "$alt", "$fields"})
PARAMETERS = {name: SYSTEM_PARAMETERS | {"pageSize", "pageToken", "filter"} for name in PAGE_SIZES}

# Method, path, verb; all POST verbs have a colon (docs/reference/protocols/jules.md, "2 Resources and methods").
ROUTES: tuple[tuple[str, re.Pattern[str], str], ...] = tuple(
    (method, re.compile(path), name)
    for method, path, name in (
        ("GET", r"/sources", "list_environments"),
        ("GET", r"/(sources/.+)", "get_environment"),
        ("POST", r"/sessions", "create_task"),
        ("GET", r"/sessions", "list_tasks"),
        ("GET", r"/sessions/([^/:]+)", "get_task"),
        ("DELETE", r"/sessions/([^/:]+)", "delete_task"),
        ("POST", r"/sessions/([^/:]+):sendMessage", "send_message"),
        ("POST", r"/sessions/([^/:]+):approvePlan", "approve_plan"),
        ("POST", r"/sessions/([^/:]+):archive", "archive_task"),
        ("POST", r"/sessions/([^/:]+):unarchive", "unarchive_task"),
        ("GET", r"/sessions/([^/:]+)/activities", "list_activities"),
        ("GET", r"/sessions/([^/:]+)/activities/([^/:]+)", "get_activity"),
    )
)

DEFAULT_SOURCES: tuple[Mapping[str, object], ...] = (
    rpc.source("owner", "repo", branches=("main", "next")),
    rpc.source("owner", "empty"),
)


class JulesEmulator(HttpService):
    """The emulator. Give `handle` to a transport of `coatcheck.testing`, or to `coatcheck.testing.serving`.

    *life* returns the steps of a new session. *unlisted* is for how many seconds the activities of a new session are 404
    (docs/reference/protocols/jules.md, "1.4 What the official SDK retries"), *masks* whether field masks are accepted,
    *wakes* whether a message restarts a completed session or is refused
    (docs/reference/protocols/jules.md, "2.3 SessionState" and "6 Ten frequent requests and complaints"), *chunked*
    whether responses have no length. *step_seconds* is how long a step takes; without it, each poll advances the session.
    `requests` are all received requests, with those of faults.
    """

    def __init__(
        self,
        life: Life = ordinary,
        *,
        clock: Clock | None = None,
        faults: Iterable[Fault] = (),
        sources: Iterable[Mapping[str, object]] = DEFAULT_SOURCES,
        unlisted: float = 0.0,
        masks: bool = True,
        wakes: bool = False,
        chunked: bool = False,
        bash_output: bool = True,
        step_seconds: float | None = None,
    ) -> None:
        super().__init__(clock=clock, faults=faults)
        self.life = life
        self.sources = tuple(sources)
        self.unlisted, self.masks, self.wakes, self.chunked = unlisted, masks, wakes, chunked
        self.bash_output, self.step_seconds = bash_output, step_seconds
        self.token = KEY
        self._sessions: dict[str, Session] = {}
        self._answers: Mapping[str, Callable[..., Response]] = {
            name: getattr(self, f"_{name}") for _, _, name in ROUTES
        }

    @property
    def tasks(self) -> tuple[str, ...]:
        """Return the id of every session, oldest first."""
        return tuple(self._sessions)

    def advance(self, id: str, acts: int = 1) -> None:
        """Advance a session without a request."""
        for _ in range(acts):
            self._sessions[id].advance(self.clock.time())

    def _route_of(self, request: Request) -> str:
        return find_route(request)[0]

    def _worded(self, fault: Fault, response: Response) -> Response:
        return rpc.worded(fault, response)

    def _answer(self, request: Request) -> Response:
        try:
            reply = self._routed(request)
        except rpc.RefusalError as refusal:
            reply = refusal.response
        if not self.chunked:
            return reply
        return msgspec.structs.replace(reply, body=b"", stream=Chunks(reply.body))

    def _routed(self, request: Request) -> Response:
        rpc.check_key(request, self.token)
        name, parts = find_route(request)
        if not name:
            raise rpc.NOT_FOUND
        query = dict(request.query)
        if unknown := set(query) - PARAMETERS.get(name, SYSTEM_PARAMETERS):
            raise rpc.invalid(
                f'Invalid JSON payload received. Unknown name "{min(unknown)}": Cannot bind query parameter.'
            )
        if not self.masks and "fields" in query:
            raise rpc.invalid("Request contains an invalid argument.")
        reply = self._answers[name](request, *parts)
        return rpc.masked(reply, query.get("fields"))

    def _session(self, id: str, *, is_poll: bool = False) -> Session:
        """Return a session in its current state; without *step_seconds*, a poll advances it."""
        if id not in self._sessions:
            raise rpc.NOT_FOUND
        session, now = self._sessions[id], self.clock.time()
        if self.step_seconds is not None:
            session.advance_until(now, self.step_seconds)
        elif is_poll:
            session.advance(now)
        return session

    # -- sources -----------------------------------------------------------------------------------------------------

    def _list_environments(self, request: Request) -> Response:
        query = dict(request.query)
        names = rpc.names_filter(query.get("filter"))
        found = [source for source in self.sources if names is None or source["name"] in names]
        return rpc.page("sources", found, query, PAGE_SIZES["list_environments"])

    def _get_environment(self, request: Request, name: str) -> Response:  # noqa: ARG002 - every answer is given the request
        for source in self.sources:
            if source["name"] == name:
                return rpc.reply(source)
        raise rpc.NOT_FOUND

    # -- sessions ----------------------------------------------------------------------------------------------------

    def _create_task(self, request: Request) -> Response:
        asked = rpc.checked_session(rpc.read_body(request))
        context = asked.get("sourceContext")
        source = context.get("source") if isinstance(context, dict) else None
        if source is not None and source not in {known["name"] for known in self.sources}:
            raise rpc.NOT_FOUND
        order = Order(
            prompt=str(asked["prompt"]),
            needs_approval=bool(asked.get("requirePlanApproval")),
            open_pull_request=asked.get("automationMode") == "AUTO_CREATE_PR",
            has_source=source is not None,
            has_bash_output=self.bash_output,
        )
        number = (
            10** 18 + len(self.requests)
        )  # decimal, and larger than a float can represent exactly (docs/reference/protocols/jules.md, "1.1 Base, auth, versions")
        session = Session(str(number), asked, self.life(order), now=self.clock.time() + len(self._sessions) / 1000)
        self._sessions[session.id] = session
        return rpc.reply(session.document())

    def _list_tasks(self, request: Request) -> Response:
        query = dict(request.query)
        wanted = rpc.archived_filter(query.get("filter"))
        found = [session for session in map(self._session, self._sessions) if session.archived in wanted]
        newest = sorted(found, key=lambda session: session.created, reverse=True)
        return rpc.page("sessions", newest, query, PAGE_SIZES["list_tasks"], show=Session.document)

    def _get_task(self, request: Request, id: str) -> Response:  # noqa: ARG002 - every answer is given the request
        return rpc.reply(self._session(id, is_poll=True).document())

    def _delete_task(self, request: Request, id: str) -> Response:  # noqa: ARG002 - every answer is given the request
        self._session(id)
        del self._sessions[id]
        return rpc.EMPTY

    def _send_message(self, request: Request, id: str) -> Response:
        body = rpc.read_body(request)
        rpc.check_fields(body, {"prompt"}, at=None)
        session = self._session(id)
        if session.state == "FAILED" or (session.state == "COMPLETED" and not self.wakes):
            raise rpc.NOT_FOUND
        session.receive_message(str(body.get("prompt", "")), now=self.clock.time())
        return rpc.EMPTY

    def _approve_plan(self, request: Request, id: str) -> Response:
        rpc.check_fields(rpc.read_body(request), set(), at=None)
        session = self._session(id)
        if not session.has_plan:
            raise rpc.PRECONDITION
        session.approve(now=self.clock.time())
        return rpc.EMPTY

    def _archive_task(self, request: Request, id: str) -> Response:
        return self._marked(request, id, archived=True)

    def _unarchive_task(self, request: Request, id: str) -> Response:
        return self._marked(request, id, archived=False)

    def _marked(self, request: Request, id: str, *, archived: bool) -> Response:
        rpc.check_fields(rpc.read_body(request), set(), at=None)
        session = self._session(id)
        session.mark(archived=archived, now=self.clock.time())
        return rpc.reply(session.document())

    # -- activities --------------------------------------------------------------------------------------------------

    def _list_activities(self, request: Request, id: str) -> Response:
        session, query = self._session(id), dict(request.query)
        if self.clock.time() - session.created < self.unlisted:
            raise rpc.NOT_FOUND
        if not session.has_ended:
            self._session(id, is_poll=True)
        return rpc.activity_page(session.activities, query, PAGE_SIZES["list_activities"])

    def _get_activity(self, request: Request, id: str, activity: str) -> Response:  # noqa: ARG002 - every answer is given the request
        for known in self._session(id).activities:
            if known["id"] == activity:
                return rpc.reply(known)
        raise rpc.NOT_FOUND


def find_route(request: Request) -> tuple[str, tuple[str, ...]]:
    """Return the verb of a request and the parts of its path; "" for an unknown route."""
    at = re.search(r"/(?:sources|sessions)(?:[/:]|$)", request.path)
    path = request.path[at.start() :] if at else ""
    return match_route(ROUTES, request.method, path)
