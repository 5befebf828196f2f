"""Providers of Lambda with both clients, an emulator, and a clock that they share."""

from __future__ import annotations

from typing import Any

import msgspec

from coatcheck import TaskSpec
from coatcheck.providers.aws_lambda.durable_executions import DurableProvider
from coatcheck.providers.aws_lambda.functions import ASYNCHRONOUS, DURABLE, Service
from coatcheck.providers.aws_lambda.queue_invocations import AsynchronousProvider
from coatcheck.testing.both_clients import Both
from coatcheck.testing.emulators.aws_lambda import QUEUE_URL, REGION, LambdaEmulator
from coatcheck.testing.fake_clock import FakeClock

BASE = "http://127.0.0.1:9"
DURABLES = DurableProvider(Service(name=DURABLE, region=REGION, base_url=BASE, function="agent:live"))
PLAINS = AsynchronousProvider(Service(name=ASYNCHRONOUS, region=REGION, base_url=BASE, queue=QUEUE_URL))
SPEC = TaskSpec(prompt="Say hello", repository="owner/repo", environment="agent:live")
PLAIN_SPEC = TaskSpec(prompt="Say hello", repository="owner/repo", environment="plain-agent")

ARN = "arn:aws:lambda:us-east-1:123456789012:function:agent:$LATEST/durable-execution/nightly-7/run-1"


def durables(
    variant: str = "blocking", *, provider: DurableProvider = DURABLES, **options: Any
) -> tuple[Any, LambdaEmulator]:
    """Return a client of durable executions and the emulator behind it, which has *options*."""
    return _clients(variant, provider, options)


def plains(
    variant: str = "blocking", *, provider: AsynchronousProvider = PLAINS, **options: Any
) -> tuple[Any, LambdaEmulator]:
    """Return a client of plain invocations and the emulator behind it, which has *options*."""
    return _clients(variant, provider, options)


def _clients(variant: str, provider: Any, options: dict[str, Any]) -> tuple[Any, LambdaEmulator]:
    clock = FakeClock()
    emulator = LambdaEmulator(clock=clock, **options)
    return Both(variant, provider, emulator, token=emulator.token, clock=clock), emulator


def execution(**fields: object) -> bytes:
    """Return an execution as `GetDurableExecution` answers it."""
    document = {
        "DurableExecutionArn": ARN,
        "DurableExecutionName": "nightly-7",
        "FunctionArn": ARN.partition("/")[0],
        "InputPayload": '{"prompt":"Say hello","repository":"owner/repo","branch":"main"}',
        "StartTimestamp": 1790000000.5,
        "Status": "RUNNING",
        "Version": "$LATEST",
    }
    return msgspec.json.encode({**document, **fields})


def record(**fields: object) -> bytes:
    """Return a destination record of a success."""
    document = {
        "version": "1.0",
        "timestamp": "2026-11-20T10:00:00.000Z",
        "requestContext": {
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
            "functionArn": "arn:aws:lambda:us-east-1:123456789012:function:plain-agent:$LATEST",
            "condition": "Success",
            "approximateInvokeCount": 1,
        },
        "requestPayload": {"prompt": "Say hello"},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST"},
        "responsePayload": {"message": "Done", "patch": "diff --git a/x b/x\n"},
    }
    return msgspec.json.encode({**document, **fields})
