"""The provider of plain asynchronous invocations: a POST, and a queue that reports each end once.

See docs/reference/protocols/services.md, "3.1 Plain asynchronous invoke".

Invariants:

- The id of an invocation cannot be used in any request: only the function's destination, an SQS queue,
  reports its end.
- A status page holds the messages in the queue for all tasks that are waited for, and deletes acknowledged ones when
  their tasks have been returned. Other records stay, hidden from others for `HIDDEN_SECONDS` and no longer.
- Both ends are at-least-once: a function may run twice, a record may arrive twice; the first is the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

import msgspec

from ...provider import (
    Capabilities,
    Exchange,
    Pairs,
    ProviderSetting,
    Request,
    Response,
    StatusPage,
    Support,
    Task,
    TaskState,
    Verb,
    errors,
    read_json,
)
from . import extract, wire
from .credentials import signed
from .durable_executions import POST_HEADERS
from .functions import BASE_URL, FUNCTION, QUEUE, REGION, Function
from .lambda_provider import LambdaProvider
from .payload import OPTIONS, payload

if TYPE_CHECKING:
    from ...provider import Secret, TaskRef, TaskSpec

# SQS hands out and deletes at most ten at once.
BATCH = 10
# Zero queries only some of SQS's servers and may miss messages; one second queries all.
WAIT_SECONDS = 1
# SQS's default. Long enough to hand out ten tasks, short enough for another process that waits for its own; a record
# that is hidden is not returned again meanwhile, so messages of others do not fill every batch.
HIDDEN_SECONDS = 30
SQS_HEADERS: Pairs = (
    *((name, value) for name, value in POST_HEADERS if name != "content-type"),
    ("content-type", "application/x-amz-json-1.0"),
)

_BY_QUEUE = "AWS reports only the end of a plain invocation, in the queue"
CAPABILITIES = Capabilities(
    result="the result of the function, by a convention",
    cost="not reported",
    lost_answer="not settled: there is no list",
    verbs=dict.fromkeys((Verb.CREATE_TASK, Verb.GET_STATUS_PAGE), Support.DOCUMENTED),
    reasons={
        Verb.GET_TASK: f"{_BY_QUEUE}: wait for it, or use a durable function",
        Verb.LIST_TASKS: _BY_QUEUE,
        Verb.LIST_ATTEMPTS: "an invocation is one attempt",
        Verb.CANCEL_TASK: "a plain invocation cannot be stopped; a durable function can",
        Verb.SEND_MESSAGE: "a plain invocation takes no further input; a durable function does",
        Verb.STREAM_EVENTS: _BY_QUEUE,
        Verb.LIST_ENVIRONMENTS: "functions are named, not listed: that would need another permission",
        Verb.LIST_MODELS: "the function chooses",
        Verb.GET_USAGE: "the Lambda API does not report costs",
        Verb.APPROVE_PLAN: "a function runs once it is called",
        Verb.CREATE_PULL_REQUEST: "the function opens one itself, if it does",
    },
    options=frozenset(OPTIONS),
    modes=frozenset({"code", "ask"}),
    # A function runs for at most 15 minutes (AWS's Lambda quotas); most are done in a few.
    typical_seconds=120.0,
    notes=(
        "The end of a task is reported once, in the SQS queue that is the function's destination.",
        "AWS may run a function twice; make it so that this does no harm.",
    ),
)


class AsynchronousProvider(LambdaProvider, frozen=True):
    """The plain asynchronous invocations of one region, with the queue of their results."""

    capabilities: ClassVar[Capabilities] = CAPABILITIES
    settings: ClassVar[tuple[ProviderSetting, ...]] = (REGION, FUNCTION, QUEUE, BASE_URL)

    def authorize(self, request: Request, secret: Secret, now: float) -> Request:
        """Return *request*, signed for Lambda or for SQS."""
        if request.origin == "sqs":
            return signed(request, secret, service="sqs", region=self.service.queue_region, now=now)
        return super().authorize(request, secret, now)

    def prepare(self, spec: TaskSpec) -> Exchange[TaskSpec]:
        """Return *spec* with its function. Raises `ConfigurationError` if no queue would receive its end."""
        yield from ()
        function = self.service.chosen(spec.environment)
        self._queue_url()
        payload(spec)
        return msgspec.structs.replace(spec, environment=str(function))

    def create_task(self, spec: TaskSpec) -> Exchange[Task]:
        """Call the function: exactly one POST, and never again. *spec* has been prepared."""
        function = Function.parse(spec.environment or "")
        response: Response = yield Request(
            "POST",
            f"/2015-03-31/functions/{function.segment}/invocations",
            query=function.query,
            headers=(*POST_HEADERS, ("x-amz-invocation-type", "Event")),
            body=payload(spec),
        )
        id = extract.checked(response).headers.get("x-amzn-requestid")
        if not id:
            raise errors.UnreadableResponseError("the service took the invocation and gave it no id", path="$")
        return Task(
            ref=self.service.ref(id),
            state=TaskState.QUEUED,
            prompt=spec.prompt,
            mode=spec.mode,
            title=spec.title,
            model=spec.model,
            environment=spec.environment,
            repository=spec.repository,
            branch=spec.branch,
        )

    def get_status_page(self, refs: Sequence[TaskRef], *, cursor: str | None = None) -> Exchange[StatusPage]:
        """Receive messages of the queue: the ends of *refs*, and how to delete their records; all others are kept."""
        parameters = {
            "MaxNumberOfMessages": BATCH,
            "WaitTimeSeconds": WAIT_SECONDS,
            "VisibilityTimeout": HIDDEN_SECONDS,
        }
        response = yield self._sqs("ReceiveMessage", parameters)
        messages = read_json(response.body, wire.Received, response=extract.checked(response)).messages or ()
        received = [
            (task, each.receipt_handle)
            for each in messages
            if (task := self._task_of_message(each)) and task.ref in refs
        ]
        ended = {task.ref: task for task, _ in reversed(received)}  # of two records of one end, the first
        return StatusPage(
            tasks=tuple(ended.values()),
            receipts=tuple(receipt for _, receipt in received),
            is_final=True,
            # After a full batch there may be more; the cursor only has to be another one.
            cursor=str(int(cursor or 0) + 1) if len(messages) == BATCH else None,
        )

    def acknowledge(self, page: StatusPage) -> Exchange[None]:
        """Delete the records that have been returned; one that stays is not returned again."""
        entries = [{"Id": str(number), "ReceiptHandle": receipt} for number, receipt in enumerate(page.receipts)]
        extract.checked((yield self._sqs("DeleteMessageBatch", {"Entries": entries})))

    def extract_response(self, response: bytes, siblings: bytes | None = None) -> Task:  # noqa: ARG002 - one record is whole
        """Read a saved destination record."""
        return extract.record_task(response, self.service)

    def _task_of_message(self, message: wire.QueueMessage) -> Task | None:
        """Return the task whose end a message reports, None for a message that is no record."""
        try:
            return extract.record_task(message.body.encode(), self.service)
        except errors.UnreadableResponseError:
            return None

    def _sqs(self, action: str, fields: Mapping[str, object]) -> Request:
        body = msgspec.json.encode({"QueueUrl": self._queue_url(), **fields})
        headers = (*SQS_HEADERS, ("x-amz-target", f"AmazonSQS.{action}"))
        return Request("POST", "/", headers=headers, body=body, origin="sqs", idempotent=True)

    def _queue_url(self) -> str:
        if self.service.queue is None:
            raise errors.ConfigurationError(
                f"{self.name} has no queue that receives the ends of tasks",
                remedy=f"set {self.name}.queue to the URL of the SQS queue that is the function's destination",
            )
        return self.service.queue
