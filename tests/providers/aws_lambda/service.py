"""Durable executions, and plain invocations with their queue."""

from __future__ import annotations

from tests.providers import service

from coatcheck import TaskSpec
from coatcheck.providers.aws_lambda.durable_executions import DurableProvider
from coatcheck.providers.aws_lambda.functions import ASYNCHRONOUS, DURABLE, Service
from coatcheck.providers.aws_lambda.queue_invocations import AsynchronousProvider
from coatcheck.testing import LambdaEmulator
from coatcheck.testing.emulators.aws_lambda import REGION
from coatcheck.testing.emulators.sqs import Queue

QUEUE_PATH = "/123456789012/results"


def queue_provider(url: str) -> AsynchronousProvider:
    """Return the provider of plain invocations whose queue is at *url* as well."""
    return AsynchronousProvider(Service(name=ASYNCHRONOUS, region=REGION, base_url=url, queue=f"{url}{QUEUE_PATH}"))


def durable_provider(url: str) -> DurableProvider:
    """Return the provider of durable executions at *url*."""
    return DurableProvider(Service(name=DURABLE, region=REGION, base_url=url, function="agent:live"))


def attach_queue(emulator: LambdaEmulator, url: str) -> None:
    """Serve the queue where the emulator is served."""
    emulator.queue = Queue(f"{url}{QUEUE_PATH}")


SERVICES = {
    "aws_lambda": service.Service(
        durable_provider,
        LambdaEmulator,
        TaskSpec(prompt=service.PROMPT, repository="owner/repo", environment="agent:live"),
        attach=attach_queue,
    ),
    "aws_lambda_async": service.Service(
        queue_provider,
        LambdaEmulator,
        TaskSpec(prompt=service.PROMPT, environment="plain-agent"),
        attach=attach_queue,
    ),
}
