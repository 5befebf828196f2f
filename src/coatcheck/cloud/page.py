"""The page of a task of the local cloud, at the address that `submit` prints.

Guarantees:

- everything that a prompt or an agent wrote is escaped, and control, bidirectional and invisible characters are shown
  as JSON's escapes; the page has no script, loads nothing and cannot be framed;
- it is shown to the user who runs the server, and to a client that gives the approval key
  (``docs/project/decisions/0008-task-page.md``);
- opening it changes nothing.
"""

from __future__ import annotations

import base64
import hashlib
import html
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from .._protocol.effects import Request, Response
from .models import CloudAttempt, CloudFailure, CloudRound, CloudTask
from .oauth_server import read_form
from .responses import Refusal, page_headers
from .router import Backend

if TYPE_CHECKING:
    from starlette.requests import Request as StarletteRequest
    from starlette.responses import Response as StarletteResponse
    from starlette.routing import BaseRoute

PATH = "/codex/tasks/{task}"
# A browser can show more, and a person cannot read it; `coatcheck diff` prints all of it.
MAX_SHOWN = 200_000
REFRESH = 5  # seconds, while the task runs

STYLE = """
body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif; color-scheme: light dark; }
pre { padding: .7rem; overflow-x: auto; border: 1px solid #8886; border-radius: .3rem; unicode-bidi: plaintext; }
dt { font-weight: bold; }
h1, h2 { overflow-wrap: anywhere; }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class TaskPages:
    """The pages of the tasks of *backend*. *is_key* checks an approval key."""

    def __init__(self, backend: Backend, *, is_key: Callable[[str], bool]) -> None:
        self._backend, self._is_key = backend, is_key

    def routes(self) -> Sequence[BaseRoute]:
        """Return the route of the page; a key is given by POST, in a body that is read within limits."""
        from starlette.middleware import Middleware
        from starlette.routing import Route

        from .._server.middleware import LimitBody

        return [Route(PATH, self._answer, methods=["GET", "POST"], middleware=[Middleware(LimitBody)])]

    async def _answer(self, request: StarletteRequest) -> StarletteResponse:
        from starlette.concurrency import run_in_threadpool

        from .._server.asgi_requests import read_scope
        from .._server.routes import to_starlette
        from .._server.socket_owner import is_same_user

        scope, body = request.scope, await request.body()

        def page() -> Response:
            is_owner = is_same_user(scope.get("client"), scope.get("server"))
            asked = msgspec.structs.replace(read_scope(scope), body=body)
            return self.page(asked, task=request.path_params["task"], is_owner=is_owner)

        return to_starlette(await run_in_threadpool(page))

    def page(self, request: Request, *, task: str, is_owner: bool) -> Response:
        """Return the page of a task, or the form for the approval key.

        *is_owner* means that the request comes from the user who runs the server.
        """
        try:
            key = read_form(request).get("key", "") if request.method == "POST" else ""
        except Refusal as refusal:
            return refusal.response
        if not is_owner and not (key and self._is_key(key)):
            return _form(request.path, is_wrong=bool(key))
        known = self._backend.get_task(task)
        if known is None:
            return _document("No such task", ["<p>This server has no task with this id.</p>"], status=404)
        # a page that was opened with the key cannot be loaded again without it
        return _task_page(known, refreshes=request.method != "POST")


def visible(text: str) -> str:
    """Return *text* as HTML that shows what is in it: harmful characters as escapes."""
    return html.escape("".join(character if _is_shown(character) else _escape(character) for character in text))


def _is_shown(character: str) -> bool:
    # Cc: controls, Cf: bidirectional and invisible ones, Zl and Zp: line ends of Unicode, Cs and Co: no characters
    return character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Zl", "Zp", "Cs", "Co")


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _document(title: str, body: Iterable[str], *, status: int = 200, head: str = "") -> Response:
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width">{head}<style>{STYLE}</style></head>'
        f"<body><h1>{title}</h1>{''.join(body)}</body></html>\n"
    )
    return Response(status=status, headers=page_headers(POLICY), body=page.encode())


def _form(path: str, *, is_wrong: bool) -> Response:
    problem = "<p><strong>That is not the approval key.</strong></p>" if is_wrong else ""
    body = (
        "<p>This page is for the user who runs the server. Anybody else needs the approval key, which"
        " <code>coatcheck serve</code> prints when it starts.</p>"
        f'<form method="post" action="{html.escape(path)}"><p><label>Approval key'
        ' <input name="key" autocomplete="off" required autofocus></label> <button>Open</button></p></form>'
    )
    return _document("Task of a local cloud", [problem, body], status=403)


def _task_page(task: CloudTask, *, refreshes: bool) -> Response:
    is_over = all(attempt.is_over for attempt in task.last.attempts)
    head = f'<meta http-equiv="refresh" content="{REFRESH}">' if refreshes and not is_over else ""
    facts = _facts(
        {
            "Task": f"local:{task.id}",
            "State": task.last.state,
            "Environment": task.environment_label,
            "Branch": task.branch,
            "Submitted": _time(task.created_at),
        }
    )
    commands = _block(f"coatcheck show local:{task.id}\ncoatcheck apply local:{task.id}")
    rounds = (part for round_ in task.rounds for part in _round(round_))
    return _document(visible(task.title), [facts, commands, *rounds], head=head)


def _round(round_: CloudRound) -> Iterable[str]:
    yield f"<h2>Prompt</h2>{_block(round_.prompt)}"
    for attempt in round_.attempts:
        yield from _attempt(attempt)


def _activity(attempt: CloudAttempt) -> Iterable[str]:
    """Yield what an agent that reports it does now, what it waits for, and what it has used."""
    yield from _titled("Now", attempt.progress or "")
    for request in attempt.requests:
        words = (str(request.get("title")), str(request.get("detail") or ""), "coatcheck gates lists the permission")
        yield from _titled("Waits for a permission", "\n".join(filter(None, words)))
    yield from _titled("Usage", attempt.usage or "")


def _attempt(attempt: CloudAttempt) -> Iterable[str]:
    yield f"<h2>Attempt {attempt.placement + 1}: {visible(attempt.state)}</h2>"
    if attempt.error:
        yield _block(_reason(attempt.error))
    yield from _activity(attempt)
    if result := attempt.result:
        yield from map(_block, result.messages)
        yield from _titled("Pull request", "\n\n".join(filter(None, (result.title, result.body))))
        yield from _titled("Partial diff" if attempt.error else "Diff", result.diff)
        for log in result.logs:
            yield from _titled(f"Log: {log.name}", log.text)


def _reason(error: CloudFailure) -> str:
    return ": ".join(filter(None, (error.code, error.message))) or "failed without a reason"


def _titled(title: str, text: str) -> Iterable[str]:
    if text:
        yield f"<h3>{visible(title)}</h3>{_block(text)}"


def _block(text: str) -> str:
    more = len(text) - MAX_SHOWN
    note = f"<p>… and {more:,} more characters</p>" if more > 0 else ""
    return f"<pre>{visible(text[:MAX_SHOWN])}</pre>{note}"


def _facts(pairs: dict[str, str]) -> str:
    return f"<dl>{''.join(f'<dt>{name}</dt><dd>{visible(value)}</dd>' for name, value in pairs.items())}</dl>"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
