from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from tests.providers.anthropic_batch.test_conformance import PROVIDER as ANTHROPIC_BATCH
from tests.providers.aws_lambda.lambda_support import DURABLES
from tests.providers.claude_agents.test_conformance import PROVIDER as CLAUDE_AGENTS
from tests.providers.codex.exchange_support import PROVIDER as CODEX
from tests.providers.copilot.agent_support import provider as copilot
from tests.providers.generic_http.descriptions import BY_ID, provider as described
from tests.providers.github_actions.actions_support import provider as github_actions
from tests.providers.jules.jules_support import PROVIDER as JULES
from tests.providers.openai_batch.test_conformance import PROVIDER as OPENAI_BATCH

from coatcheck import TaskSpec, errors
from coatcheck.cloud.models import CloudEnvironment
from coatcheck.cloud.scripted_cloud import ScriptedCloud
from coatcheck.testing import (
    AnthropicBatchEmulator,
    ClaudeAgentsEmulator,
    GithubEmulator,
    Http202Emulator,
    JulesEmulator,
    LambdaEmulator,
    OpenAIBatchEmulator,
)
from coatcheck.testing.both_clients import VARIANTS, Both
from coatcheck.testing.emulators import jules_rpc
from coatcheck.testing.fake_clock import FakeClock

SELECTING = BY_ID.replace('branch = "{branch}"', 'environment = "{environment}"').replace(
    'branch = "input.branch"', 'environment = "input.environment"'
)


class Service(NamedTuple):
    """A provider with its emulator, and two environments of it by the names that a person may give the first."""

    provider: Any
    emulator: Callable[..., Any]
    names: tuple[str, ...]
    other: str


def cloud(**options: Any) -> ScriptedCloud:
    """Return a cloud with two environments."""
    environments = [
        CloudEnvironment(id=letter * 32, label=f"Label {letter}", repository=f"owner/{letter}") for letter in "ab"
    ]
    return ScriptedCloud(environments=environments, **options)


def jules(**options: Any) -> JulesEmulator:
    """Return an emulator with two sources."""
    return JulesEmulator(sources=[jules_rpc.source("owner", name, branches=("main",)) for name in "ab"], **options)


def claude_agents(**options: Any) -> ClaudeAgentsEmulator:
    """Return an emulator with two environments."""
    return ClaudeAgentsEmulator(environments={"env_a": "Label a", "env_b": "Label b"}, **options)


SERVICES = {
    "claude_agents": Service(CLAUDE_AGENTS, claude_agents, ("env_a", "label A"), "env_b"),
    "codex": Service(CODEX, cloud, ("a" * 32, "label A", "owner/a", "https://github.com/owner/a.git"), "Label b"),
    "jules": Service(JULES, jules, ("owner/a", "sources/github/owner/a", "https://github.com/owner/a.git"), "owner/b"),
    "described": Service(described(SELECTING), Http202Emulator, ("a",), "b"),
}


def client_of(service: Service, variant: str = "blocking") -> tuple[Both, Any]:
    """Return a client and the emulator that it sends requests to."""
    clock = FakeClock()
    emulator = service.emulator(clock=clock)
    token = emulator.tokens.access_token if isinstance(emulator, ScriptedCloud) else emulator.token
    return Both(variant, service.provider, emulator, token=token, clock=clock), emulator


def submit(client: Both, service: Service, count: int) -> list[str]:
    """Submit *count* tasks to the first environment, each after two to the other; return the refs of the first."""
    refs = []
    for number in range(count):
        for environment in (service.other, service.other, service.names[0]):
            ref = client.create_task(TaskSpec(prompt=f"Task {number}", environment=environment)).ref
        refs.append(str(ref))
    return refs[::-1]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", SERVICES)
def test_the_tasks_of_an_environment_are_found_on_every_page(name: str, variant: str) -> None:
    """Every name of an environment lists its tasks and no other, on any number of pages."""
    service = SERVICES[name]
    client, _ = client_of(service, variant)
    refs = submit(client, service, 25)
    listed = [[str(task.ref) for task in client.list_tasks(environment=each)] for each in service.names]

    assert [refs] * len(service.names) == listed


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 20, 24])
@pytest.mark.parametrize("name", SERVICES)
def test_pages_of_an_environment_follow_one_another(name: str, limit: int) -> None:
    """A limited page continues where it ended: every task is on exactly one, and a page without tasks is not the end."""
    service = SERVICES[name]
    client, _ = client_of(service)
    refs, listed, cursor = submit(client, service, 25), [], None
    while True:
        page = client.get_page(environment=service.names[0], limit=limit, cursor=cursor)
        listed += [str(task.ref) for task in page.items]
        cursor = page.cursor
        if cursor is None:
            break

    assert refs == listed


def test_a_filtered_list_requests_large_pages() -> None:
    """A rare task of an environment is found with one request for each hundred sessions."""
    service = SERVICES["jules"]
    client, emulator = client_of(service)
    client.create_task(TaskSpec(prompt="First", environment="owner/a"))
    for number in range(199):
        client.create_task(TaskSpec(prompt=f"Other {number}", environment="owner/b"))

    listed = client.list_tasks(environment="owner/a", limit=1)

    assert (1, 2) == (len(listed), len(emulator.seen("list_tasks")))


def test_an_environment_is_resolved_once_for_many_pages() -> None:
    """A list of several pages requests the environments of a service once."""
    service = SERVICES["codex"]
    client, emulator = client_of(service)
    submit(client, service, 25)
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
    client, _ = client_of(Service(github_actions(), GithubEmulator, (), ""))
    for number in range(2):
        client.create_task(TaskSpec(prompt=f"Task {number}", repository="owner/repo"))

    assert count == len(client.list_tasks(environment=environment))


@pytest.mark.parametrize(("environment", "count"), [("agent:live", 1), ("agent", 1), ("agent:1", 1), ("agent:2", 0)])
def test_executions_are_listed_by_version(environment: str, count: int) -> None:
    """A version lists its executions; an alias, whose executions have the version that ran, lists those of all."""
    client, _ = client_of(Service(DURABLES, LambdaEmulator, (), ""))
    client.create_task(TaskSpec(prompt="Say hello", environment="agent:live"))

    assert count == len(client.list_tasks(environment=environment))


@pytest.mark.parametrize(
    ("provider", "emulator"), [(ANTHROPIC_BATCH, AnthropicBatchEmulator), (OPENAI_BATCH, OpenAIBatchEmulator)]
)
def test_no_batch_runs_in_an_environment(provider: Any, emulator: Callable[..., Any]) -> None:
    """Services without environments list nothing for one."""
    client, _ = client_of(Service(provider, emulator, (), ""))
    client.create_task(TaskSpec(prompt="Say hello"))

    assert [] == client.list_tasks(environment="owner/repo")


@pytest.mark.parametrize("name", ["copilot", "github_actions", "codex", "jules"])
@pytest.mark.parametrize(
    "environment", ["https://evil.example/owner/repo", "https://github.com.evil.example/owner/repo", "a b"]
)
def test_an_address_of_another_host_is_no_environment(name: str, environment: str) -> None:
    """An address of a host that is none of the service is refused, and is not requested."""
    providers = {"copilot": copilot(), "github_actions": github_actions()}
    emulators = {"codex": cloud, "jules": jules}
    provider = providers.get(name) or SERVICES[name].provider
    client, emulator = client_of(Service(provider, emulators.get(name, GithubEmulator), (), ""))
    with pytest.raises(errors.ConfigurationError):
        client.list_tasks(environment=environment)

    assert [] == emulator.seen("list_tasks")


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_description_without_environments_is_an_error(variant: str) -> None:
    """Where no selector of a description finds the environment of a task, the list is refused and not filtered."""
    client, _ = client_of(Service(described(), Http202Emulator, (), ""), variant)
    with pytest.raises(errors.UnsupportedError, match="selects no environment"):
        client.list_tasks(environment="a")
