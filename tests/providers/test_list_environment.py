from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from tests.providers.generic_http.descriptions import provider as described
from tests.providers.service import Service
from tests.providers.services import SERVICES

from coatcheck import TaskSpec, errors
from coatcheck.testing import Http202Emulator
from coatcheck.testing.both_clients import VARIANTS, Both
from coatcheck.testing.fake_clock import FakeClock

URL = "http://127.0.0.1:9"
# Services of whose environments two have names.
SELECTING = {name: service for name, service in SERVICES.items() if service.environments}


class Selected(NamedTuple):
    """A client of a service with two environments, and its emulator."""

    client: Both
    emulator: Any
    names: tuple[str, ...]
    other: str


def selected(name: str, variant: str = "blocking") -> Selected:
    """Return a client of the service *name*, which has two environments."""
    service = SELECTING[name]
    assert service.environments is not None
    emulator, names, other, provider = service.environments
    client, served = client_of(service._replace(emulator=emulator, provider=provider or service.provider), variant)
    return Selected(client, served, names, other)


def client_of(service: Service, variant: str = "blocking") -> tuple[Both, Any]:
    """Return a client and the emulator that it sends requests to."""
    clock = FakeClock()
    emulator = service.emulator(clock=clock)
    client = Both(variant, service.provider(URL), emulator, token=service.token(emulator), clock=clock)
    return client, emulator


def submit(service: Selected, count: int) -> list[str]:
    """Submit *count* tasks to the first environment, each after two to the other; return the refs of the first."""
    refs = []
    for number in range(count):
        for environment in (service.other, service.other, service.names[0]):
            ref = service.client.create_task(TaskSpec(prompt=f"Task {number}", environment=environment)).ref
        refs.append(str(ref))
    return refs[::-1]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", SELECTING)
def test_the_tasks_of_an_environment_are_found_on_every_page(name: str, variant: str) -> None:
    """Every name of an environment lists its tasks and no other, on any number of pages."""
    service = selected(name, variant)
    refs = submit(service, 25)
    listed = [[str(task.ref) for task in service.client.list_tasks(environment=each)] for each in service.names]

    assert [refs] * len(service.names) == listed


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 20, 24])
@pytest.mark.parametrize("name", SELECTING)
def test_pages_of_an_environment_follow_one_another(name: str, limit: int) -> None:
    """A limited page continues where it ended: every task is on exactly one, and a page without tasks is not the end."""
    service = selected(name)
    refs, listed, cursor = submit(service, 25), [], None
    while True:
        page = service.client.get_page(environment=service.names[0], limit=limit, cursor=cursor)
        listed += [str(task.ref) for task in page.items]
        cursor = page.cursor
        if cursor is None:
            break

    assert refs == listed


def test_a_filtered_list_requests_large_pages() -> None:
    """A rare task of an environment is found with one request for each hundred sessions."""
    client, emulator, *_ = selected("jules")
    client.create_task(TaskSpec(prompt="First", environment="owner/a"))
    for number in range(199):
        client.create_task(TaskSpec(prompt=f"Other {number}", environment="owner/b"))

    listed = client.list_tasks(environment="owner/a", limit=1)

    assert (1, 2) == (len(listed), len(emulator.seen("list_tasks")))


def test_an_environment_is_resolved_once_for_many_pages() -> None:
    """A list of several pages requests the environments of a service once."""
    service = selected("codex")
    client, emulator = service.client, service.emulator
    submit(service, 25)
    before = sum(request.path.endswith("/environments") for request in emulator.requests)
    client.list_tasks(environment="label A")
    client.get_page(environment="label A")

    assert 1 == sum(request.path.endswith("/environments") for request in emulator.requests) - before


@pytest.mark.parametrize(
    ("environment", "count"),
    [
        ("owner/repo", 2),
        ("owner/repo/", 2),
        ("https://github.com/owner/repo", 2),
        ("git@github.com:owner/repo.git", 2),
        ("owner/repo/coatcheck.yml", 2),
        ("https://github.com/owner/repo/coatcheck.yml", 2),
        ("coatcheck.yml", 2),
    ],
)
def test_runs_are_listed_by_every_name_of_a_repository(environment: str, count: int) -> None:
    """A repository, a remote's URL, and a workflow of either list runs."""
    client, _ = client_of(SERVICES["github_actions"])
    for number in range(2):
        client.create_task(TaskSpec(prompt=f"Task {number}", repository="owner/repo"))

    assert count == len(client.list_tasks(environment=environment))


@pytest.mark.parametrize(("environment", "count"), [("agent:live", 1), ("agent", 1), ("agent:1", 1), ("agent:2", 0)])
def test_executions_are_listed_by_version(environment: str, count: int) -> None:
    """A version lists its executions; an alias, whose executions have the version that ran, lists those of all."""
    client, _ = client_of(SERVICES["aws_lambda"])
    client.create_task(TaskSpec(prompt="Say hello", environment="agent:live"))

    assert count == len(client.list_tasks(environment=environment))


@pytest.mark.parametrize("name", ["anthropic_batch", "openai_batch"])
def test_no_batch_runs_in_an_environment(name: str) -> None:
    """Services without environments list nothing for one."""
    client, _ = client_of(SERVICES[name])
    client.create_task(TaskSpec(prompt="Say hello"))

    assert [] == client.list_tasks(environment="owner/repo")


@pytest.mark.parametrize("name", ["copilot", "github_actions", "codex", "jules"])
@pytest.mark.parametrize(
    "environment", ["https://evil.example/owner/repo", "https://github.com.evil.example/owner/repo", "a b"]
)
def test_an_address_of_another_host_is_no_environment(name: str, environment: str) -> None:
    """An address of a host that is none of the service is refused, and is not requested."""
    client, emulator = (selected(name) if name in SELECTING else client_of(SERVICES[name]))[:2]
    with pytest.raises(errors.ConfigurationError):
        client.list_tasks(environment=environment)

    assert [] == emulator.seen("list_tasks")


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_description_without_environments_is_an_error(variant: str) -> None:
    """Where no selector of a description finds the environment of a task, the list is refused and not filtered."""
    client, _ = client_of(Service(lambda url: described(base_url=url), Http202Emulator), variant)
    with pytest.raises(errors.UnsupportedError, match="selects no environment"):
        client.list_tasks(environment="a")
