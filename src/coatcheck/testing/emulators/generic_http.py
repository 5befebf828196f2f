"""An emulator of a service that responds 202, in three variants.

* ``/jobs``: Microsoft's guidelines. 202 with ``Operation-Location`` and ``Retry-After``; the operation has a `status`
  and at its end a `resourceLocation`.
* ``/plain``: 202 with ``Location``; that address responds 202, then 303 to the result, which may be an error.
* ``/v1``: Google's AIP-151. An operation with `done`, and then `response` or `error`.

Invariants:

- a task takes its next state each time it is requested;
- every request needs the header *authorization*, by default a bearer token.

See docs/reference/protocols/services.md, "6 Standards".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import urlsplit

import msgspec

from ..._protocol.effects import Clock, Request, Response
from ..._values.rfc3339 import format_time
from ...cloud.faults import Fault
from ...cloud.responses import json_reply
from ._service import HttpService

TOKEN = "http202-test-token"  # noqa: S105 - of nobody
LIFE = ("NotStarted", "Running", "Succeeded")
ENDS = frozenset({"Succeeded", "Failed", "Canceled"})
PAGE_SIZE = 2
PATCH = """\
diff --git a/hello.txt b/hello.txt
new file mode 100644
index 0000000..ce01362
--- /dev/null
+++ b/hello.txt
@@ -0,0 +1 @@
+hello
"""

# Method, path, verb, and the method of `Http202Emulator` that handles it.
ROUTES: tuple[tuple[str, re.Pattern[str], str, str], ...] = tuple(
    (method, re.compile(path), verb, answer)
    for method, path, verb, answer in (
        ("POST", r"/(jobs|plain|v1/jobs)", "create_task", "_create"),
        ("PUT", r"/(jobs)/[^/]+", "create_task", "_create"),
        ("GET", r"/operations/([^/]+)", "get_task", "_operation"),
        ("GET", r"/plain/([^/]+)", "get_task", "_plain"),
        ("GET", r"/v1/projects/demo/operations/([^/:]+)", "get_task", "_google"),
        ("GET", r"/results/([^/]+)", "get_result", "_result"),
        ("GET", r"/operations", "list_tasks", "_operations"),
        ("GET", r"/v1/projects/demo/operations", "list_tasks", "_google_operations"),
        ("DELETE", r"/operations/([^/]+)", "cancel_task", "_cancel"),
        ("POST", r"/v1/projects/demo/operations/([^/]+):cancel", "cancel_task", "_cancel"),
        ("DELETE", r"/v1/projects/demo/operations/([^/:]+)", "delete_task", "_delete"),
    )
)


class Job(msgspec.Struct):
    """A task of the service with its input, the states that follow, and its creation time."""

    id: str
    arguments: Mapping[str, object]
    life: list[str]
    created: float
    state: str = ""

    def advance(self) -> str:
        """Take the next state and return it."""
        if self.life and self.state not in ENDS:
            self.state = self.life.pop(0)
        return self.state


class Http202Emulator(HttpService):
    """The emulator. *life* are the states of new tasks; *pause* is every ``Retry-After``, in seconds.

    With *at_once*, a submission returns the result. *unlisted* is for how many seconds a new task is 404.
    """

    def __init__(
        self,
        life: Iterable[str] = LIFE,
        *,
        clock: Clock | None = None,
        faults: Iterable[Fault] = (),
        pause: float | None = None,
        at_once: bool = False,
        unlisted: float = 0.0,
        authorization: str = f"Bearer {TOKEN}",
    ) -> None:
        super().__init__(clock=clock, faults=faults)
        self.life, self.pause = tuple(life), pause
        self.at_once, self.unlisted, self.authorization = at_once, unlisted, authorization
        self.token = TOKEN
        self._jobs: dict[str, Job] = {}

    @property
    def tasks(self) -> tuple[Job, ...]:
        """Every task, oldest first."""
        return tuple(self._jobs.values())

    def _route_of(self, request: Request) -> str:
        return _route(request)[0]

    def _answer(self, request: Request) -> Response:
        verb, answer, parts = _route(request)
        if not verb:
            return problem(404, "No such route")
        if dict(request.headers).get("authorization") != self.authorization:
            return problem(401, "Who are you?")
        if verb == "create_task" or not parts:
            reply: Callable[..., Response] = getattr(self, answer)
            return reply(request, *parts)
        job = self._jobs.get(parts[0])
        if job is None or self.clock.time() < job.created + self.unlisted:
            return problem(404, "No such task", "It may not be there yet.")
        return getattr(self, answer)(request, job)  # type: ignore[no-any-return]

    # -- submitting --------------------------------------------------------------------------------------------------

    def _create(self, request: Request, kind: str) -> Response:
        arguments = msgspec.json.decode(request.body or b"{}")
        if not arguments.get("prompt"):
            return problem(422, "The task is not valid", "A prompt is needed.")
        job = Job(id=f"job{len(self._jobs) + 1}", arguments=arguments, life=list(self.life), created=self.clock.time())
        self._jobs[job.id] = job
        if self.at_once:
            job.life, job.state = [], "Succeeded"
            return json_reply(_made(job))
        job.state = job.life.pop(0)
        return {"jobs": self._created_job, "plain": self._created_plain, "v1/jobs": self._google}[kind](request, job)

    def _created_job(self, request: Request, job: Job) -> Response:
        where = f"{_origin(request)}/operations/{job.id}?api-version=1"
        headers = {"operation-location": where, "location": f"{_origin(request)}/results/{job.id}"}
        return json_reply(self._document(request, job), status=202, headers=headers | self._after())

    def _created_plain(self, request: Request, job: Job) -> Response:
        return Response(202, {"location": f"{_origin(request)}/plain/{job.id}", **self._after()})

    # -- looking -----------------------------------------------------------------------------------------------------

    def _operation(self, request: Request, job: Job) -> Response:
        job.advance()
        return json_reply(self._document(request, job), headers=self._after())

    def _document(self, request: Request, job: Job) -> dict[str, object]:
        document: dict[str, object] = {"id": job.id, "status": job.state, "createdDateTime": format_time(job.created)}
        document["input"] = job.arguments
        if job.state == "Succeeded":
            document["resourceLocation"] = f"{_origin(request)}/results/{job.id}"
        if job.state == "Failed":
            document["error"] = {"code": "AgentGaveUp", "message": "The tests never passed."}
        return document

    def _operations(self, request: Request) -> Response:
        jobs, following = self._page(request, "after")
        documents = [self._document(request, job) for job in jobs]
        return json_reply({"value": documents, "next": following})

    def _plain(self, request: Request, job: Job) -> Response:
        if job.advance() not in ENDS:
            return Response(202, self._after())
        return Response(303, {"location": f"{_origin(request)}/results/{job.id}"})

    def _result(self, request: Request, job: Job) -> Response:
        del request
        if job.state != "Succeeded":
            return problem(409, "The task failed", "The tests never passed.")
        return json_reply(_made(job))

    def _google(self, request: Request, job: Job) -> Response:
        if request.method == "GET":
            job.advance()
        return json_reply(_operation_of(job))

    def _google_operations(self, request: Request) -> Response:
        jobs, following = self._page(request, "pageToken")
        return json_reply(
            {"operations": list(map(_operation_of, jobs)), **({"nextPageToken": following} if following else {})}
        )

    def _page(self, request: Request, parameter: str) -> tuple[list[Job], str | None]:
        start = int(dict(request.query).get(parameter, "0"))
        jobs = list(reversed(self._jobs.values()))
        following = start + PAGE_SIZE
        return jobs[start:following], str(following) if following < len(jobs) else None

    # -- acting ------------------------------------------------------------------------------------------------------

    def _cancel(self, request: Request, job: Job) -> Response:
        del request
        if job.state not in ENDS:
            job.life, job.state = [], "Canceled"
        return json_reply({})

    def _delete(self, request: Request, job: Job) -> Response:
        del request
        del self._jobs[job.id]
        return json_reply({})

    def _after(self) -> dict[str, str]:
        return {} if self.pause is None else {"retry-after": f"{self.pause:g}"}


def _route(request: Request) -> tuple[str, str, tuple[str, ...]]:
    for method, path, verb, answer in ROUTES:
        if method == request.method and (found := path.fullmatch(request.path)):
            return verb, answer, found.groups()
    return "", "", ()


def problem(status: int, title: str, detail: str | None = None) -> Response:
    """Return a problem document (RFC 9457)."""
    body = {"type": "about:blank", "title": title, "status": status, **({"detail": detail} if detail else {})}
    return json_reply(body, status=status, headers={"content-type": "application/problem+json"})


def _origin(request: Request) -> str:
    """Return the origin to which *request* was sent."""
    if request.url:
        parts = urlsplit(request.url)
        return f"{parts.scheme}://{parts.netloc}"
    return f"http://{dict(request.headers)['host']}"


def _made(job: Job) -> dict[str, object]:
    return {
        "message": f"Done: {job.arguments['prompt']}",
        "patch": PATCH,
        "pull_request": {"url": f"https://git.example/pull/{job.id}", "title": "Say hello"},
    }


def _operation_of(job: Job) -> dict[str, object]:
    """Return an AIP-151 operation: proto3 JSON leaves out a `done` that is false."""
    metadata = {"prompt": job.arguments["prompt"], "createTime": format_time(job.created)}
    operation: dict[str, object] = {"name": f"projects/demo/operations/{job.id}", "metadata": _any(metadata)}
    if job.state in ENDS:
        operation["done"] = True
        ends: Mapping[str, Mapping[str, object]] = {
            "Succeeded": {"response": _any(_made(job))},
            "Failed": {"error": {"code": 9, "message": "The tests never passed."}},
            "Canceled": {"error": {"code": 1, "message": "The operation was cancelled."}},
        }
        operation |= ends[job.state]
    return operation


def _any(value: Mapping[str, object]) -> dict[str, object]:
    """Return what a `google.protobuf.Any` of a struct is in JSON."""
    return {"@type": "type.googleapis.com/google.protobuf.Struct", "value": value}
