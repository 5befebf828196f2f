"""AWS Lambda in memory, with the queue in which plain functions tell their ends.

Law 1. Nothing happens by itself: a durable execution goes one state on each time it is looked at, a plain invocation
       each time its queue is read, and is done after the last.
Law 2. Every request needs a right signature; names, versions and payloads are refused as AWS refuses them.
Law 3. A durable execution's name is taken once: the same payload finds the execution that there is, another is refused.

See docs/reference/protocols/services.md, "3 AWS Lambda".
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import unquote

import msgspec

from ..._protocol.effects import Clock, Request, Response
from ...cloud.faults import Fault, Status, take
from ..fake_clock import FakeClock
from .aws_signature import refusal
from .sqs import Queue

ACCESS_KEY, SECRET_KEY = "AKIDEMULATOR", "emulated/secret+key"
REGION, ACCOUNT = "us-east-1", "123456789012"
QUEUE_URL = f"http://127.0.0.1:9/{ACCOUNT}/ends"
MAX_PAYLOAD = 1024 * 1024

LIFE = ("RUNNING", "RUNNING", "SUCCEEDED")
# A life may hold this: it stays RUNNING until somebody has answered its callback.
CALLBACK = "CALLBACK"
ENDS = frozenset({"SUCCEEDED", "FAILED", "TIMED_OUT", "STOPPED"})

PATCH = """\
diff --git a/hello.txt b/hello.txt
new file mode 100644
index 0000000..ce01362
--- /dev/null
+++ b/hello.txt
@@ -0,0 +1 @@
+hello
"""

# method, path -> the verb that it serves, and the method of `LambdaEmulator` that answers.
ROUTES: tuple[tuple[str, re.Pattern[str], str, str], ...] = tuple(
    (method, re.compile(path), verb, answer)
    for method, path, verb, answer in (
        ("POST", r"/2015-03-31/functions/([^/]+)/invocations", "create_task", "_invoke"),
        ("GET", r"/2025-12-01/functions/([^/]+)/durable-executions", "list_tasks", "_list"),
        ("GET", r"/2025-12-01/durable-executions/([^/]+)", "get_task", "_get"),
        ("DELETE", r"/2025-12-01/durable-executions/([^/]+)", "delete_task", "_delete"),
        ("POST", r"/2025-12-01/durable-executions/([^/]+)/stop", "cancel_task", "_stop"),
        ("GET", r"/2025-12-01/durable-executions/([^/]+)/history", "list_events", "_history"),
        ("POST", r"/2025-12-01/durable-execution-callbacks/([^/]+)/succeed", "send_message", "_succeed"),
    )
)
SQS_VERBS = {"ReceiveMessage": "get_status_page", "DeleteMessageBatch": "acknowledge", "SendMessage": "send_record"}

WORDS: Mapping[int, str] = {
    400: "InvalidParameterValueException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    409: "ResourceConflictException",
    413: "RequestTooLargeException",
    429: "TooManyRequestsException",
    500: "ServiceException",
}


class Execution(msgspec.Struct):
    """A durable execution, or a plain invocation (without a name): what was asked, and what it still lives through."""

    id: str
    function: str
    name: str
    payload: bytes
    life: list[str]
    created: float
    arn: str
    state: str = "RUNNING"
    ended: float | None = None
    answer: str | None = None
    events: list[dict[str, object]] = []

    @property
    def callback(self) -> str:
        """Return the id of its callback, which is base64."""
        return f"{self.id}+/="

    def happen(self, kind: str, now: float, **details: object) -> None:
        """Put an event into the history."""
        said = {"EventType": kind, "EventId": len(self.events) + 1, "EventTimestamp": now, "Id": f"op-{self.id}"}
        name = {"Name": "agent"} if kind.startswith(("Step", "Callback")) else {}
        self.events.append({**said, **name, f"{kind}Details": details})

    def advance(self, now: float) -> None:
        """Go one state on; a callback is waited for until it has been answered."""
        if not self.life or (self.state == CALLBACK and self.answer is None):
            return
        self.state = self.life.pop(0)
        if self.state == CALLBACK:
            self.happen("CallbackStarted", now, CallbackId=self.callback)
        elif self.state in ENDS:
            self.ended = now
            self.happen(f"Execution{self.state.title().replace('_', '')}", now)
        else:
            self.happen("StepStarted", now)


# The only version of every function.
VERSION = "1"


def function_arn(name: str) -> str:
    """Return the ARN of a function as it runs: versions are numbers, whatever the alias."""
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}:{VERSION}"


def execution_arn(function: str, name: str, id: str) -> str:
    """Return the ARN of a durable execution."""
    return f"{function_arn(function)}/durable-execution/{name}/{id}"


class LambdaEmulator:
    """All of it. *functions* are names of durable ones, *plain* of the others; *life* is what new tasks live through.

    *result* makes what a function gives back of what it was told, and *arn* an execution's ARN of function, name and
    id: those of AWS's local runner hold neither.
    """

    def __init__(
        self,
        life: Iterable[str] = LIFE,
        *,
        clock: Clock | None = None,
        faults: Iterable[Fault] = (),
        functions: Sequence[str] = ("agent",),
        plain: Sequence[str] = ("plain-agent",),
        queue_url: str = QUEUE_URL,
        result: Callable[[Mapping[str, object]], object] | None = None,
        arn: Callable[[str, str, str], str] = execution_arn,
    ) -> None:
        self.life, self.clock = tuple(life), clock or FakeClock()
        self.functions, self.plain = frozenset(functions), frozenset(plain)
        self.result, self.arn = result or _made, arn
        self.token = f"{ACCESS_KEY}:{SECRET_KEY}"
        self.faults, self.requests = list(faults), list[Request]()
        self.queue = Queue(queue_url)
        self._executions: dict[str, Execution] = {}
        self._lock = threading.RLock()

    @property
    def tasks(self) -> tuple[Execution, ...]:
        """Every execution and invocation, oldest first."""
        return tuple(self._executions.values())

    def seen(self, name: str) -> list[Request]:
        """Return the requests that came in for a verb, "list_events" and "acknowledge" among them."""
        return [request for request in self.requests if _route(request)[0] == name]

    def handle(self, request: Request) -> Response:
        """Answer *request*, or raise the `TransportError` that its fault stands for."""
        with self._lock:
            self.requests.append(request)
            fault = take(self.faults, _route(request)[0], "")
            if fault is None:
                return self._answer(request)
            return _worded(fault, fault.act(request, lambda: self._answer(request), self.clock))

    def _answer(self, request: Request) -> Response:
        verb, answer, parts = _route(request)
        if not verb:
            return problem(404, "UnknownOperationException")
        if word := refusal(request, access=ACCESS_KEY, secret=SECRET_KEY, now=self.clock.time()):
            return problem(403, "The security token included in the request is invalid.", word=word)
        if verb in SQS_VERBS.values():
            return self._queued(request)
        reply: Callable[[Request, str], Response] = getattr(self, answer)
        return reply(request, unquote(parts[0]))

    # -- submitting --------------------------------------------------------------------------------------------------

    def _invoke(self, request: Request, function: str) -> Response:
        headers, qualifier = dict(request.headers), dict(request.query).get("Qualifier")
        name = function.rpartition(":")[2]
        if name not in self.functions | self.plain:
            arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
            return problem(404, f"Function not found: {arn}")
        if name in self.functions and qualifier is None:
            return problem(400, "You cannot invoke a durable function using an unqualified ARN.")
        if len(request.body) > MAX_PAYLOAD:
            return problem(413, f"{len(request.body)} byte payload is too large for the Event invocation type")
        if name in self.plain:
            return Response(202, {"x-amzn-requestid": self._start(name, "", request.body).id})
        return self._invoke_durable(name, headers.get("x-amz-durable-execution-name"), request.body)

    def _invoke_durable(self, function: str, name: str | None, body: bytes) -> Response:
        known = next((each for each in self.tasks if name and (each.function, each.name) == (function, name)), None)
        if known is not None and known.payload != body:
            text = f"Durable execution already exists with name: {name}"
            return problem(409, text, word="DurableExecutionAlreadyStartedException")
        execution = known or self._start(function, name or f"run-{len(self._executions) + 1}", body)
        return Response(202, {"x-amzn-requestid": execution.id, "x-amz-durable-execution-arn": execution.arn})

    def _start(self, function: str, name: str, body: bytes) -> Execution:
        now = self.clock.time()
        id = f"00000000-0000-4000-9000-{len(self._executions) + 1:012d}"
        arn = self.arn(function, name, id)
        execution = Execution(id, function, name, body, list(self.life), now, arn, events=[])
        execution.happen("ExecutionStarted", now)
        self._executions[id] = execution
        return execution

    # -- durable executions ------------------------------------------------------------------------------------------

    def _durable(self, arn: str) -> Execution | None:
        return next((each for each in self.tasks if each.name and each.arn == arn), None)

    def _get(self, request: Request, arn: str) -> Response:
        execution = self._durable(arn)
        if execution is None:
            return problem(404, "Durable execution not found.")
        execution.advance(self.clock.time())
        has_data = dict(request.query).get("IncludeExecutionData") != "false"
        return reply(self._summary(execution) | (self._data(execution) if has_data else {}))

    def _summary(self, execution: Execution) -> dict[str, object]:
        document: dict[str, object] = {
            "DurableExecutionArn": execution.arn,
            "DurableExecutionName": execution.name,
            "FunctionArn": function_arn(execution.function),
            "Status": "RUNNING" if execution.state == CALLBACK else execution.state,
            "StartTimestamp": execution.created,
        }
        return document | ({"EndTimestamp": execution.ended} if execution.ended else {})

    def _data(self, execution: Execution) -> dict[str, object]:
        document: dict[str, object] = {"InputPayload": execution.payload.decode(), "ExecutionDataIncluded": True}
        if execution.state == "SUCCEEDED":
            document["Result"] = msgspec.json.encode(self._result(execution)).decode()
        elif execution.state in ENDS:
            document["Error"] = {"ErrorType": execution.state, "ErrorMessage": "The agent gave up."}
        return document

    def _result(self, execution: Execution) -> object:
        return self.result(msgspec.json.decode(execution.payload) | {"answer": execution.answer})

    def _list(self, request: Request, function: str) -> Response:
        query, name = dict(request.query), function.rpartition(":")[2]
        if name not in self.functions:
            return problem(404, f"Function not found: {name}")
        found = [each for each in reversed(self.tasks) if each.function == name and each.name]
        if query.get("Qualifier", VERSION) != VERSION:
            found = []
        if wanted := query.get("DurableExecutionName"):
            found = [each for each in found if each.name == wanted]
        return self._page("DurableExecutions", [self._summary(each) for each in found], query)

    def _history(self, request: Request, arn: str) -> Response:
        execution, query = self._durable(arn), dict(request.query)
        if execution is None:
            return problem(404, "Durable execution not found.")
        events = execution.events[::-1] if query.get("ReverseOrder") == "true" else execution.events
        return self._page("Events", events, query)

    def _page(self, key: str, items: Sequence[object], query: Mapping[str, str]) -> Response:
        start, size = int(query.get("Marker") or 0), min(int(query.get("MaxItems") or 100), 1000)
        end = start + size
        return reply({key: items[start:end], **({"NextMarker": str(end)} if end < len(items) else {})})

    def _stop(self, request: Request, arn: str) -> Response:
        del request
        execution = self._durable(arn)
        if execution is None:
            return problem(404, "Durable execution not found.")
        if execution.state not in ENDS:
            execution.life, execution.answer = ["STOPPED"], ""
            execution.advance(self.clock.time())
        return reply({"StopTimestamp": execution.ended})

    def _delete(self, request: Request, arn: str) -> Response:
        del request
        execution = self._durable(arn)
        if execution is None:
            return problem(404, "Durable execution not found.")
        if execution.state not in ENDS:
            return problem(409, "The durable execution is running.")
        del self._executions[execution.id]
        return Response(202, JSON, msgspec.json.encode({"DeletionRequestTimestamp": self.clock.time()}))

    def _succeed(self, request: Request, callback: str) -> Response:
        for execution in self.tasks:
            if (execution.callback, execution.state, execution.answer) == (callback, CALLBACK, None):
                execution.answer = request.body.decode()
                execution.happen("CallbackSucceeded", self.clock.time())
                return reply({})
        return problem(404, "Callback not found.")

    # -- the queue ---------------------------------------------------------------------------------------------------

    def _queued(self, request: Request) -> Response:
        if _route(request)[0] == "get_status_page":
            for execution in self.tasks:
                if not execution.name and execution.ended is None:
                    execution.advance(self.clock.time())
                    self._tell(execution)
        return self.queue.answer(request, now=self.clock.time())

    def _tell(self, execution: Execution) -> None:
        """Put the destination record of an invocation that has ended into the queue.

        See docs/reference/protocols/services.md, "3.1 Plain asynchronous invoke".
        """
        if execution.ended is not None:
            is_good = execution.state == "SUCCEEDED"
            made = self._result(execution) if is_good else {"errorType": "AgentError", "errorMessage": "It gave up."}
            self.queue.put(msgspec.json.encode(record(execution, made, is_good=is_good)).decode())


def record(execution: Execution, made: object, *, is_good: bool) -> dict[str, object]:
    """Return what a function's destination is told."""
    condition = {"SUCCEEDED": "Success", "TIMED_OUT": "EventAgeExceeded"}.get(execution.state, "RetriesExhausted")
    moment = datetime.fromtimestamp(execution.ended or 0.0, UTC).isoformat(timespec="milliseconds")
    return {
        "version": "1.0",
        "timestamp": moment.replace("+00:00", "Z"),
        "requestContext": {
            "requestId": execution.id,
            "functionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{execution.function}:$LATEST",
            "condition": condition,
            "approximateInvokeCount": 1 if is_good else 3,
        },
        "requestPayload": msgspec.json.decode(execution.payload),
        "responseContext": {
            "statusCode": 200,
            "executedVersion": "$LATEST",
            **({} if is_good else {"functionError": "Unhandled"}),
        },
        "responsePayload": made,
    }


JSON = {"content-type": "application/json"}


def reply(document: object) -> Response:
    """Answer with a JSON document."""
    return Response(200, JSON, msgspec.json.encode(document))


def problem(status: int, text: str, *, word: str | None = None) -> Response:
    """Answer with one of AWS's errors."""
    word = word or WORDS.get(status, "ServiceException")
    body = {"Type": "User", "Message": text}
    return Response(status, {**JSON, "x-amzn-errortype": word}, msgspec.json.encode(body))


def _worded(fault: Fault, response: Response) -> Response:
    """Return what a fault answers in AWS's own words."""
    if not isinstance(fault, Status) or fault.is_html:
        return response
    said = problem(fault.status, fault.text or f"HTTP {fault.status}")
    return msgspec.structs.replace(said, headers={**said.headers, **response.headers})


def _route(request: Request) -> tuple[str, str, tuple[str, ...]]:
    action = dict(request.headers).get("x-amz-target", "").rpartition(".")[2]
    if action in SQS_VERBS:
        return SQS_VERBS[action], "_queued", ()
    at = re.search(r"/20\d\d-", request.path)
    path = request.path[at.start() :].rstrip("/") if at else ""
    for method, pattern, verb, answer in ROUTES:
        if method == request.method and (found := pattern.fullmatch(path)):
            return verb, answer, found.groups()
    return "", "", ()


def _made(told: Mapping[str, object]) -> object:
    answer = f" ({told['answer']})" if told.get("answer") else ""
    pull = {"url": "https://git.example/pull/1", "title": "Say hello"}
    return {"message": f"Done: {told.get('prompt')}{answer}", "patch": PATCH, "pull_request": pull}
