"""Functions of AWS Lambda: durable executions, and plain asynchronous invocations whose results are sent to a queue.

Nothing is imported until a factory runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...provider import Settings
    from .durable_executions import DurableProvider
    from .queue_invocations import AsynchronousProvider


def aws_lambda(settings: Settings) -> DurableProvider:
    """Return the provider of durable executions.

    ``region`` (``AWS_REGION``, ``AWS_DEFAULT_REGION``) is where the functions are, ``function`` is the one that tasks
    go to unless they name another, with a version or an alias (``NAME:live``), ``base_url`` another address of the
    service.
    """
    from .durable_executions import DurableProvider
    from .functions import DURABLE, Service

    return DurableProvider(Service.of(settings, name=DURABLE))


def aws_lambda_async(settings: Settings) -> AsynchronousProvider:
    """Return the provider of plain asynchronous invocations.

    The settings of `aws_lambda`, and ``queue``: the URL of the SQS queue that is the function's destination.
    """
    from .functions import ASYNCHRONOUS, Service
    from .queue_invocations import AsynchronousProvider

    return AsynchronousProvider(Service.of(settings, name=ASYNCHRONOUS))
