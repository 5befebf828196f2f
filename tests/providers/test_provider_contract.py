"""What a provider may leave out, and what is done for it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from coatcheck import Task, TaskRef, TaskSpec, TaskState, errors
from coatcheck.provider import (
    Capabilities,
    Environment,
    Exchange,
    Login,
    Page,
    Request,
    Response,
    Secret,
    Support,
    TaskFilter,
    Verb,
)
from coatcheck.testing.both_clients import VARIANTS, Both


class TwoVerbs:
    """A provider that creates a task and reads one, and nothing else."""

    name = "two"
    login = Login(name="two", remedy="set TWO_TOKEN", environment="TWO_TOKEN")
    capabilities = Capabilities(verbs=dict.fromkeys((Verb.CREATE_TASK, Verb.GET_TASK), Support.DOCUMENTED))

    def __init__(self) -> None:
        self.origins = {"api": "http://127.0.0.1:9"}

    def authorize(self, request: Request, secret: Secret, now: float) -> Request:
        del now
        return request.with_headers(("authorization", secret.token))

    def create_task(self, spec: TaskSpec) -> Exchange[Task]:
        response = yield Request("POST", f"/{spec.environment}/{spec.branch}")
        return Task(ref=TaskRef("two", "t1"), state=TaskState.QUEUED, prompt=spec.prompt, raw=response.body)

    def get_task(self, ref: TaskRef) -> Exchange[Task]:
        response = yield Request("GET", f"/{ref.id}")
        return Task(ref=ref, state=TaskState.SUCCEEDED, raw=response.body)


class Resolving(TwoVerbs):
    """A provider whose environments have names; it has no `prepare`."""

    capabilities = msgspec.structs.replace(
        TwoVerbs.capabilities,
        verbs=dict.fromkeys(
            (Verb.CREATE_TASK, Verb.GET_TASK, Verb.LIST_TASKS, Verb.RESOLVE_ENVIRONMENT), Support.DOCUMENTED
        ),
    )

    def resolve_environment(self, name: str | None, *, repository: str | None) -> Exchange[Environment]:
        yield Request("GET", "/environments")
        return Environment(id=f"id-of-{name or repository}", default_branch="trunk")

    def list_tasks(
        self, *, filter: TaskFilter, environment: str | None, limit: int | None, cursor: str | None
    ) -> Exchange[Page]:
        del filter, limit, cursor
        yield Request("GET", f"/tasks/{environment}")
        return Page()


class Undefined(TwoVerbs):
    """A provider that declares a verb without a method."""

    capabilities = msgspec.structs.replace(
        TwoVerbs.capabilities, verbs={**TwoVerbs.capabilities.verbs, Verb.CANCEL_TASK: Support.DOCUMENTED}
    )


class Service:
    """Responds with the path of each request."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    def handle(self, request: Request) -> Response:
        self.paths.append(request.path)
        return Response(200, body=request.path.encode())


def client_of(provider: Any, variant: str) -> tuple[Both, Service]:
    """Return a client and the service that it uses."""
    service = Service()
    return Both(variant, provider, service), service


@pytest.mark.parametrize("variant", VARIANTS)
def test_two_verbs_are_a_provider(variant: str) -> None:
    """A provider without `prepare` and `get_task_response` creates tasks and returns responses."""
    client, service = client_of(TwoVerbs(), variant)
    ref = client.create_task(TaskSpec(prompt="p", environment="e", branch="b")).ref

    assert (b"/t1", ["/e/b", "/t1"]) == (client.get_task_response(ref), service.paths)


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_environment_is_resolved_for_a_provider_that_declares_it(variant: str) -> None:
    """A submission and a list get the id of an environment that is named, and a submission its default branch."""
    client, service = client_of(Resolving(), variant)
    client.create_task(TaskSpec(prompt="p", environment="name"))
    client.list_tasks(environment="name")
    client.get_page(environment="name")

    assert ["/id-of-name/trunk", "/tasks/id-of-name", "/tasks/id-of-name"] == [
        path for path in service.paths if path != "/environments"
    ]


def test_a_repository_is_resolved_and_a_branch_is_kept() -> None:
    """The environment of a repository is resolved, and a named branch wins over its default."""
    client, service = client_of(Resolving(), "blocking")
    client.create_task(TaskSpec(prompt="p", repository="owner/repo", branch="b"))

    assert "/id-of-owner/repo/b" == service.paths[-1]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_declared_verb_without_a_method_is_an_error(variant: str) -> None:
    """A verb that is declared and not defined is refused by name before any request."""
    with pytest.raises(errors.ConfigurationError, match="does not define them: cancel_task"):
        client_of(Undefined(), variant)[0].get_task("two:t1")


@pytest.mark.parametrize("text", ["\udc80", "a\ud83d"])
@pytest.mark.parametrize("field", ["prompt", "title", "instructions", "branch", "starting_diff"])
def test_a_text_that_utf_8_cannot_hold_is_refused(field: str, text: str) -> None:
    """A text with half of a surrogate pair is refused by the name of its field, before any request."""
    provider = Resolving()
    options = frozenset({"title", "instructions", "starting_diff"})
    provider.capabilities = msgspec.structs.replace(Resolving.capabilities, options=options)
    client, service = client_of(provider, "blocking")
    with pytest.raises(errors.ConfigurationError, match=f"the {field.replace('_', ' ')} is not valid Unicode text"):
        client.create_task(TaskSpec(**{"prompt": "p", "environment": "e", field: text}))

    assert [] == service.paths
