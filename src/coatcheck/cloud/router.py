"""The routes of WHAM and of its login service over a `Backend`.

Guarantees:

- `WHAM` and `OAUTH` are all its routes: another path is a 404, another method of a known path a 405;
- routes of tasks demand a bearer token that this cloud issued;
- an answer depends on method, path, query, headers and body, never on a host.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias
from urllib.parse import unquote

import msgspec

from .._protocol.effects import Request, Response
from .._server.asgi_requests import bearer_token
from .._server.handler import SMALL_BODY
from . import documents, responses
from .issued_tokens import TokenBook
from .models import CloudEnvironment, CloudLog, CloudTask, Filter, TaskOrder, TaskPage, TaskQuery
from .oauth_server import OAuthServer
from .requests import FollowUp, PullRequestRequest, read_body, read_order
from .responses import Refusal, json_reply
from .turn_stream import EventSource, Stream, replay

MAX_PAGE = 20  # docs/reference/protocols/codex-wham.md, 2.1: the server caps a page at 20
MAX_SUBMISSION = 64 * 1024 * 1024  # bytes: a prompt and a starting diff


class Backend(Protocol):
    """The tasks of a cloud. Unknown ids are None or False; what is impossible raises `Refusal`."""

    def list_environments(self) -> Sequence[CloudEnvironment]:
        """Return every environment."""
        ...

    def list_tasks(self, query: TaskQuery) -> TaskPage:
        """Return a page of tasks."""
        ...

    def get_task(self, id: str) -> CloudTask | None:
        """Return a task with its last round's results."""
        ...

    def create_task(self, order: TaskOrder) -> CloudTask:
        """Create a task."""
        ...

    def follow_up(self, follow_up: FollowUp) -> CloudTask | None:
        """Add a round."""
        ...

    def cancel_task(self, id: str) -> bool:
        """Cancel the attempts that have not ended."""
        ...

    def mark_task(self, id: str, *, is_archived: bool | None = None, is_unread: bool | None = None) -> bool:
        """Change the marks; None leaves a mark as it is."""
        ...

    def delete_task(self, id: str) -> bool:
        """Delete it."""
        ...

    def create_pull_request(self, id: str, turn_id: str, *, draft: bool) -> None:
        """Make one."""
        ...

    def get_logs(self, id: str, turn_id: str) -> Sequence[CloudLog]:
        """Return what the programs of a turn wrote."""
        ...

    def follow(self, id: str, turn_id: str) -> EventSource | None:
        """Return the running turn's events, None when it does not run."""
        ...

    def get_usage(self) -> Mapping[str, object]:
        """Return the usage document."""
        ...

    def get_rate_limit(self) -> Mapping[str, object] | None:
        """Return the rate-limit block."""
        ...


class Router:
    """WHAM over a backend, and the login service beside it."""

    def __init__(self, backend: Backend, *, book: TokenBook, oauth: OAuthServer) -> None:
        self._backend = backend
        self._book = book
        self.oauth = oauth

    def handle(self, request: Request) -> Response:
        """Answer *request*."""
        route, names = find_route(request)
        try:
            return self._admitted(request, route).answer(self, request, **names)
        except Refusal as refusal:
            return refusal.response

    def admit(self, request: Request) -> int | Response:
        """Return how many bytes the body of *request* may have, or the response that refuses it without its body."""
        try:
            return self._admitted(request, find_route(request)[0]).max_body
        except Refusal as refusal:
            return refusal.response

    def _admitted(self, request: Request, route: Route | None) -> Route:
        if route is None:
            allowed = ", ".join(allowed_methods(request))
            raise Refusal(responses.wrong_method(allowed) if allowed else responses.UNKNOWN_ROUTE)
        if route.is_guarded and not self._book.accepts(bearer_token(dict(request.headers).get("authorization", ""))):
            raise Refusal(responses.UNAUTHENTICATED)
        return route

    def _environments(self) -> documents.Environments:
        return {environment.id: environment for environment in self._backend.list_environments()}

    def _task(self, id: str) -> CloudTask:
        task = self._backend.get_task(id)
        if task is None:
            raise Refusal(responses.UNKNOWN_TASK)
        return task

    def list_tasks(self, request: Request) -> Response:
        """Answer a page of tasks, newest first."""
        return self._page(request, text=None)

    def search_tasks(self, request: Request) -> Response:
        """Answer a page of tasks whose title holds the text."""
        return self._page(request, text=dict(request.query).get("query", ""))

    def _page(self, request: Request, *, text: str | None) -> Response:
        query = read_query(request, text=text)
        page = self._backend.list_tasks(query)
        cursor = write_cursor(page.tasks[-1]) if page.has_more else None
        return json_reply({"items": [documents.list_item(task) for task in page.tasks], "cursor": cursor})

    def create_task(self, request: Request) -> Response:
        """Create a task, or a further round of one."""
        follow_up = read_order(request.body)
        task = (
            self._backend.follow_up(follow_up)
            if isinstance(follow_up, FollowUp)
            else self._backend.create_task(follow_up)
        )
        if task is None:
            raise Refusal(responses.UNKNOWN_TASK)
        return json_reply(documents.created(task, self._environments(), self._backend.get_rate_limit()))

    def get_task(self, _request: Request, task: str) -> Response:
        """Answer everything about a task."""
        return json_reply(documents.details(self._task(task), self._environments()))

    def sibling_turns(self, _request: Request, task: str, turn: str) -> Response:
        """Answer the other attempts of a turn."""
        found = self._task(task)
        if found.find_turn(turn) is None:
            raise Refusal(responses.UNKNOWN_TURN)
        return json_reply(documents.sibling_turns(found, turn, self._environments()))

    def list_turns(self, _request: Request, task: str) -> Response:
        """Answer the tree of turns."""
        return json_reply(documents.turns(self._task(task), self._environments()))

    def get_turn(self, _request: Request, task: str, turn: str) -> Response:
        """Answer one turn."""
        shown = documents.turn(self._task(task), turn, self._environments())
        return json_reply(shown) if shown else responses.UNKNOWN_TURN

    def get_logs(self, _request: Request, task: str, turn: str) -> Response:
        """Answer what a turn's programs wrote."""
        self._known_turn(task, turn)
        logs = self._backend.get_logs(task, turn)
        return json_reply({"logs": [{"key": documents.log_key(log), "value": log.text} for log in logs]})

    def stream_turn(self, request: Request, task: str, turn: str) -> Response:
        """Stream a turn's events."""
        found = self._known_turn(task, turn)
        kinds = frozenset(value for name, value in request.query if name == "item_type")
        source = self._backend.follow(task, turn) or replay(found, turn, self._backend.get_logs(task, turn))
        return Response(
            status=200,
            headers={"content-type": "text/event-stream", "cache-control": "no-cache"},
            stream=Stream(source, kinds=kinds),
        )

    def _known_turn(self, task_id: str, turn_id: str) -> CloudTask:
        task = self._task(task_id)
        if task.find_turn(turn_id) is None:
            raise Refusal(responses.UNKNOWN_TURN)
        return task

    def create_pull_request(self, request: Request, task: str, turn: str) -> Response:
        """Make a turn's pull request."""
        self._known_turn(task, turn)
        follow_up = read_body(request.body, PullRequestRequest)
        self._backend.create_pull_request(task, turn, draft=follow_up.mode == "draft")
        return responses.SUCCESS

    def cancel_task(self, _request: Request, task: str) -> Response:
        """Cancel the attempts that have not ended."""
        return _done(self._backend.cancel_task(task))

    def archive_task(self, _request: Request, task: str) -> Response:
        """Archive a task."""
        return _done(self._backend.mark_task(task, is_archived=True))

    def recover_task(self, _request: Request, task: str) -> Response:
        """Take a task out of the archive."""
        return _done(self._backend.mark_task(task, is_archived=False))

    def mark_read(self, _request: Request, task: str) -> Response:
        """Mark a task as read."""
        return _done(self._backend.mark_task(task, is_unread=False))

    def delete_task(self, _request: Request, task: str) -> Response:
        """Delete a task."""
        return _done(self._backend.delete_task(task))

    def environments(self, _request: Request) -> Response:
        """Answer every environment."""
        return json_reply(documents.environment_list(self._backend.list_environments()))

    def environments_of(self, _request: Request, owner: str, repository: str) -> Response:
        """Answer the environments of a repository."""
        name = f"{owner}/{repository}".casefold()
        found = [each for each in self._backend.list_environments() if (each.repository or "").casefold() == name]
        return json_reply(documents.environment_list(found))

    def usage(self, _request: Request) -> Response:
        """Answer the usage."""
        return json_reply(self._backend.get_usage())

    def rate_limit(self, _request: Request) -> Response:
        """Answer the rate limit of tasks."""
        return json_reply(self._backend.get_rate_limit())

    def account(self, _request: Request) -> Response:
        """Answer whose account it is."""
        account = self._book.account
        return json_reply({"accounts": [{"id": account.account_id, "name": account.email, "structure": "personal"}]})


def _done(is_done: bool) -> Response:  # noqa: FBT001 - the backend's own answer
    return responses.SUCCESS if is_done else responses.UNKNOWN_TASK


# A positive number; more digits than int() accepts would raise in the server.
_NUMBER = re.compile(r"0{0,9}[1-9][0-9]{0,8}")
FILTERS: Mapping[str, Filter] = {"": "current", "current": "current", "archived": "archived", "all": "all"}


def read_query(request: Request, *, text: str | None) -> TaskQuery:
    """Return the query of a list; raises `Refusal`."""
    asked = dict(request.query)
    limit, filter = asked.get("limit", str(MAX_PAGE)), asked.get("task_filter", "")
    if not _NUMBER.fullmatch(limit):
        raise Refusal(responses.validation("limit", "Input should be greater than or equal to 1"))
    if filter not in FILTERS:
        raise Refusal(responses.validation("task_filter", "Input should be 'current', 'archived' or 'all'"))
    return TaskQuery(
        filter="all" if text is not None else FILTERS[filter],
        environment_id=asked.get("environment_id") or None,
        text=text,
        before=read_cursor(asked.get("cursor", "")),
        limit=min(int(limit), MAX_PAGE),
    )


# The live cursor's form, with characters that must be encoded (docs/reference/protocols/codex-wham.md, 2.1).
_CURSOR = re.compile(r"\+RID:~([^=#]+)==#RT:1#TRC:([0-9]{1,18})#RTD:")


def write_cursor(last: CloudTask) -> str:
    """Return the cursor of the page after *last*: a point in time, so it stays valid when tasks are added or deleted."""
    microseconds = round(last.created_at * 1e6)
    return f"+RID:~{last.id}==#RT:1#TRC:{microseconds}#RTD:"


def read_cursor(cursor: str) -> tuple[float, str] | None:
    """Return where a page begins; raises `Refusal` for what is not a cursor of ours."""
    if not cursor:
        return None
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise Refusal(responses.validation("cursor", "Invalid cursor"))
    return (int(match[2]) / 1e6, match[1])


Answer: TypeAlias = Callable[..., Response]


class Route(msgspec.Struct, frozen=True):
    """One line of the table; `pattern` holds ``{names}`` that the answer receives decoded."""

    name: str
    method: str
    pattern: str
    answer: Answer
    is_guarded: bool = True
    max_body: int = SMALL_BODY


# What `codex cloud` calls, then what others have seen (docs/reference/protocols/codex-wham.md, 2.1 to 2.8). First match
# wins.
WHAM = (
    Route("list_tasks", "GET", "/tasks/list", Router.list_tasks),
    Route("search_tasks", "GET", "/tasks/search", Router.search_tasks),
    Route("rate_limit", "GET", "/tasks/rate_limit", Router.rate_limit),
    Route("create_task", "POST", "/tasks", Router.create_task, max_body=MAX_SUBMISSION),
    Route("get_task", "GET", "/tasks/{task}", Router.get_task),
    Route("delete_task", "DELETE", "/tasks/{task}", Router.delete_task),
    Route("cancel_task", "POST", "/tasks/{task}/cancel", Router.cancel_task),
    Route("archive_task", "POST", "/tasks/{task}/archive", Router.archive_task),
    Route("recover_task", "POST", "/tasks/{task}/recover", Router.recover_task),
    Route("recover_task", "POST", "/tasks/{task}/unarchive", Router.recover_task),
    Route("mark_read", "POST", "/tasks/{task}/mark_read", Router.mark_read),
    Route("list_turns", "GET", "/tasks/{task}/turns", Router.list_turns),
    Route("get_turn", "GET", "/tasks/{task}/turns/{turn}", Router.get_turn),
    Route("sibling_turns", "GET", "/tasks/{task}/turns/{turn}/sibling_turns", Router.sibling_turns),
    Route("get_logs", "GET", "/tasks/{task}/turns/{turn}/logs", Router.get_logs),
    Route("stream_turn", "GET", "/tasks/{task}/turns/{turn}/stream", Router.stream_turn),
    Route("create_pull_request", "POST", "/tasks/{task}/turns/{turn}/pr", Router.create_pull_request),
    Route("environments", "GET", "/environments", Router.environments),
    Route("environments_of", "GET", "/environments/by-repo/github/{owner}/{repository}", Router.environments_of),
    Route("usage", "GET", "/usage", Router.usage),
    Route("account", "GET", "/accounts/check", Router.account),
)

# The login service (docs/reference/protocols/codex-wham.md, 6.4, 6.9); its clients have no token yet.
OAUTH = (
    Route("token", "POST", "/oauth/token", lambda router, request: router.oauth.token(request), is_guarded=False),
    Route("revoke", "POST", "/oauth/revoke", lambda router, request: router.oauth.revoke(request), is_guarded=False),
    Route(
        "authorize",
        "GET",
        "/oauth/authorize",
        lambda router, request: router.oauth.authorize(request),
        is_guarded=False,
    ),
    Route(
        "authorize",
        "POST",
        "/oauth/authorize",
        lambda router, request: router.oauth.approve_authorization(request),
        is_guarded=False,
    ),
    Route(
        "device_code",
        "POST",
        "/api/accounts/deviceauth/usercode",
        lambda router, request: router.oauth.start_device(request),
        is_guarded=False,
    ),
    Route(
        "device_token",
        "POST",
        "/api/accounts/deviceauth/token",
        lambda router, request: router.oauth.poll_device(request),
        is_guarded=False,
    ),
    Route(
        "device_page",
        "GET",
        "/codex/device",
        lambda router, _request: router.oauth.show_device_form(),
        is_guarded=False,
    ),
    Route(
        "device_page",
        "POST",
        "/codex/device",
        lambda router, request: router.oauth.approve_device(request),
        is_guarded=False,
    ),
)

# Both path styles, and the first without its base (docs/reference/protocols/codex-wham.md, 1.1).
PREFIXES = ("/backend-api/wham", "/api/codex", "/wham")


def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern))


_WHAM = tuple((route, _compile(route.pattern)) for route in WHAM)
_OAUTH = tuple((route, _compile(route.pattern)) for route in OAUTH)


def _table(request: Request) -> tuple[str, tuple[tuple[Route, re.Pattern[str]], ...]]:
    """Return the path without its prefix, and the routes that it may match."""
    prefix = next((prefix for prefix in PREFIXES if request.path.startswith(f"{prefix}/")), None)
    return (request.path, _OAUTH) if prefix is None else (request.path.removeprefix(prefix), _WHAM)


def find_route(request: Request) -> tuple[Route | None, dict[str, str]]:
    """Return the route that *request* takes and the names in its path, None where there is none."""
    rest, table = _table(request)
    # HEAD is GET without the body (RFC 9110 section 9.3.2), which the server in front leaves out
    method = "GET" if request.method == "HEAD" else request.method
    for route, pattern in table:
        if route.method == method and (match := pattern.fullmatch(rest)):
            return route, {name: unquote(value) for name, value in match.groupdict().items()}
    return None, {}


def allowed_methods(request: Request) -> list[str]:
    """Return the methods that the request's path knows, none for a path that is no route."""
    rest, table = _table(request)
    known = {route.method for route, pattern in table if pattern.fullmatch(rest)}
    return sorted(known | ({"HEAD"} if "GET" in known else set()))
