"""An emulator of AWS Lambda with the queue that receives the results of plain functions.

Invariants:

- a durable execution takes its next state each time it is requested, a plain invocation each time its queue is read;
- every request needs a valid signature; invalid names, versions and payloads are refused as AWS refuses them;
- a name belongs to one durable execution: the same payload returns it, another payload is refused.

See docs/reference/protocols/services.md, "3 AWS Lambda".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import unquote

import msgspec

from ..._protocol.effects import Clock, Request, Response
from ...cloud.faults import Fault
from ._service import HttpService, worded
from .aws_signature import refusal
from .sqs import Queue

ACCESS_KEY, SECRET_KEY = "AKIDEMULATOR", "emulated/secret+key"
REGION, ACCOUNT = "us-east-1", "123456789012"
QUEUE_URL = f"http://127.0.0.1:9/{ACCOUNT}/ends"
MAX_PAYLOAD = 1024 * 1024

LIFE = ("RUNNING", "RUNNING", "SUCCEEDED")
# A state: the execution stays RUNNING until its callback has been completed.
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

# Method, path, verb, and the method of `LambdaEmulator` that handles it.
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
    """A durable execution, or a plain invocation (without a name), with its input and the states that follow."""

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
        """Return the id of the callback, which is base64."""
        return f"{self.id}+/="

    def happen(self, kind: str, now: float, **details: object) -> None:
        """Append an event to the history."""
        common = {"EventType": kind, "EventId": len(self.events) + 1, "EventTimestamp": now, "Id": f"op-{self.id}"}
        name = {"Name": "agent"} if kind.startswith(("Step", "Callback")) else {}
        self.events.append({**common, **name, f"{kind}Details": details})

    def advance(self, now: float) -> None:
        """Take the next state, unless a callback is pending."""
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


class LambdaEmulator(HttpService):
    """The emulator. *functions* are names of durable functions, *plain* of others; *life* are the states of new tasks.

    *result* returns the result of a function for its input; *arn* returns the ARN of an execution for function, name and
    id. ARNs of AWS's local runner contain neither function nor name.
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
        super().__init__(clock=clock, faults=faults)
        self.life = tuple(life)
        self.functions, self.plain = frozenset(functions), frozenset(plain)
        self.result, self.arn = result or _made, arn
        self.token = f"{ACCESS_KEY}:{SECRET_KEY}"
        self.queue = Queue(queue_url)
        self._executions: dict[str, Execution] = {}

    @property
    def tasks(self) -> tuple[Execution, ...]:
        """Every execution and invocation, oldest first."""
        return tuple(self._executions.values())

    def _route_of(self, request: Request) -> str:
        return _route(request)[0]

    def _worded(self, fault: Fault, response: Response) -> Response:
        return worded(fault, response, problem)

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
        executions = [each for each in reversed(self.tasks) if each.function == name and each.name]
        if query.get("Qualifier", VERSION) != VERSION:
            executions = []
        if wanted := query.get("DurableExecutionName"):
            executions = [each for each in executions if each.name == wanted]
        return self._page("DurableExecutions", [self._summary(each) for each in executions], query)

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
                    self._send_event(execution)
        return self.queue.answer(request, now=self.clock.time())

    def _send_event(self, execution: Execution) -> None:
        """Send the destination record of an ended invocation to the queue.

        See docs/reference/protocols/services.md, "3.1 Plain asynchronous invoke".
        """
        if execution.ended is not None:
            is_good = execution.state == "SUCCEEDED"
            result = self._result(execution) if is_good else {"errorType": "AgentError", "errorMessage": "It gave up."}
            self.queue.put(msgspec.json.encode(record(execution, result, is_good=is_good)).decode())


def record(execution: Execution, made: object, *, is_good: bool) -> dict[str, object]:
    """Return the record that a function's destination receives."""
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
    """Return a JSON response."""
    return Response(200, JSON, msgspec.json.encode(document))


def problem(status: int, text: str, *, word: str | None = None) -> Response:
    """Return an error response of AWS."""
    word = word or WORDS.get(status, "ServiceException")
    body = {"Type": "User", "Message": text}
    return Response(status, {**JSON, "x-amzn-errortype": word}, msgspec.json.encode(body))


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


def _made(inputs: Mapping[str, object]) -> object:
    answer = f" ({inputs['answer']})" if inputs.get("answer") else ""
    pull = {"url": "https://git.example/pull/1", "title": "Say hello"}
    return {"message": f"Done: {inputs.get('prompt')}{answer}", "patch": PATCH, "pull_request": pull}
