"""Call the methods that a provider may leave out: what it does not define has a default here."""

from __future__ import annotations

import msgspec

from .. import errors
from .._model.tasks import Task, TaskRef, TaskSpec
from .._protocol.effects import Exchange
from .._protocol.provider import ProviderMethods, Verb


def prepare_spec(provider: ProviderMethods, spec: TaskSpec) -> Exchange[TaskSpec]:
    """Return *spec* as for `create_task`: with the id and the default branch of its environment, and prepared."""
    if Verb.RESOLVE_ENVIRONMENT in provider.capabilities.verbs and (spec.environment or spec.repository or "").strip():
        environment = yield from provider.resolve_environment(spec.environment, repository=spec.repository)
        branch = (spec.branch or "").strip() or environment.default_branch
        spec = msgspec.structs.replace(spec, environment=environment.id, branch=branch)
    if hasattr(provider, "prepare"):
        spec = yield from provider.prepare(spec)
    return spec


def has_stream_of(provider: ProviderMethods) -> bool:
    """Whether the service has one stream for the events of several tasks, which can be continued."""
    return provider.capabilities.has_resumable_stream and hasattr(provider, "stream_events_of")


def get_response(provider: ProviderMethods, ref: TaskRef) -> Exchange[bytes]:
    """Return the body of the response about a task."""
    if hasattr(provider, "get_task_response"):
        return (yield from provider.get_task_response(ref))
    task = yield from provider.get_task(ref)
    return task.raw


def get_task_again(provider: ProviderMethods, ref: TaskRef, known: Task | None) -> Exchange[Task]:
    """Return a task as it is now; *known* is what the previous request returned, None at first."""
    if known is None or not hasattr(provider, "get_task_again"):
        return provider.get_task(ref)
    return provider.get_task_again(known)


def extract_task(provider: ProviderMethods, response: bytes, siblings: bytes | None) -> Task:
    """Return the task in a saved response. Raises `UnsupportedError` where the provider cannot read one."""
    if not hasattr(provider, "extract_response"):
        raise errors.UnsupportedError(f"{provider.name} cannot read a saved response: it has no extract_response")
    return provider.extract_response(response, siblings)
