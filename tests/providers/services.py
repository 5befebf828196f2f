"""Every provider with its emulator, at any base URL, and a server that changes the bytes of the emulator's responses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from tests.providers.a2a.agent_support import provider as a2a
from tests.providers.copilot.agent_support import provider as copilot
from tests.providers.generic_http.descriptions import BY_ID, GOOGLE, provider as described
from tests.providers.github_actions.actions_support import provider as github_actions
from tests.runtime.servers import Connection, Received, Server

from coatcheck import TaskSpec
from coatcheck._protocol.effects import Request, Response
from coatcheck.cloud.scripted_cloud import ScriptedCloud
from coatcheck.providers.anthropic_batch.provider import AnthropicBatchProvider, Service as AnthropicService
from coatcheck.providers.aws_lambda.durable_executions import DurableProvider
from coatcheck.providers.aws_lambda.functions import ASYNCHRONOUS, DURABLE, Service as LambdaService
from coatcheck.providers.aws_lambda.queue_invocations import AsynchronousProvider
from coatcheck.providers.claude_agents.endpoints import Service as ClaudeService
from coatcheck.providers.claude_agents.provider import ClaudeAgentsProvider
from coatcheck.providers.codex.credentials import LOGIN
from coatcheck.providers.codex.endpoints import Service as CodexService
from coatcheck.providers.codex.provider import CodexProvider
from coatcheck.providers.cursor.endpoints import Service as CursorService
from coatcheck.providers.cursor.provider import CursorProvider
from coatcheck.providers.jules.endpoints import Service as JulesService
from coatcheck.providers.jules.provider import JulesProvider
from coatcheck.providers.openai_agents.endpoints import Service as OpenAIAgentsService
from coatcheck.providers.openai_agents.provider import OpenAIAgentsProvider
from coatcheck.providers.openai_batch.provider import OpenAIBatchProvider, Service as OpenAIService
from coatcheck.providers.openhands.cloud_endpoints import CloudService
from coatcheck.providers.openhands.cloud_provider import OpenHandsCloudProvider
from coatcheck.providers.openhands.endpoints import Service as OpenHandsService
from coatcheck.providers.openhands.provider import OpenHandsProvider
from coatcheck.testing import (
    A2AEmulator,
    AnthropicBatchEmulator,
    ClaudeAgentsEmulator,
    GithubEmulator,
    Http202Emulator,
    JulesEmulator,
    LambdaEmulator,
    OpenAIAgentsEmulator,
    OpenAIBatchEmulator,
    OpenHandsEmulator,
)
from coatcheck.testing.emulators.aws_lambda import REGION
from coatcheck.testing.emulators.cursor import CursorEmulator
from coatcheck.testing.emulators.openhands_cloud import OpenHandsCloudEmulator
from coatcheck.testing.emulators.sqs import Queue

PROMPT = "Say hello"
IN_REPOSITORY = TaskSpec(prompt=PROMPT, repository="owner/repo")
BATCH = TaskSpec(prompt=PROMPT, requests={"a": "one", "b": "two"})
QUEUE_PATH = "/123456789012/results"


class Service(NamedTuple):
    """A provider at a base URL, the emulator of its service, and a task that succeeds there."""

    provider: Callable[[str], Any]
    emulator: Callable[..., Any]
    spec: TaskSpec


def queue_provider(url: str) -> AsynchronousProvider:
    """Return the provider of plain invocations whose queue is at *url* as well."""
    return AsynchronousProvider(
        LambdaService(name=ASYNCHRONOUS, region=REGION, base_url=url, queue=f"{url}{QUEUE_PATH}")
    )


def durable_provider(url: str) -> DurableProvider:
    """Return the provider of durable executions at *url*."""
    return DurableProvider(LambdaService(name=DURABLE, region=REGION, base_url=url, function="agent:live"))


SERVICES: Mapping[str, Service] = {
    "a2a": Service(lambda url: a2a(f"{url}/a2a/v1", binding="http+json"), A2AEmulator, IN_REPOSITORY),
    "a2a_json_rpc": Service(lambda url: a2a(f"{url}/a2a/rpc", binding="jsonrpc"), A2AEmulator, IN_REPOSITORY),
    "anthropic_batch": Service(
        lambda url: AnthropicBatchProvider(AnthropicService(url, "claude-test")), AnthropicBatchEmulator, BATCH
    ),
    "aws_lambda": Service(
        durable_provider, LambdaEmulator, TaskSpec(prompt=PROMPT, repository="owner/repo", environment="agent:live")
    ),
    "aws_lambda_async": Service(queue_provider, LambdaEmulator, TaskSpec(prompt=PROMPT, environment="plain-agent")),
    "claude_agents": Service(
        lambda url: ClaudeAgentsProvider(ClaudeService(base_url=url, agent="agent_1")),
        ClaudeAgentsEmulator,
        IN_REPOSITORY,
    ),
    "codex": Service(
        lambda url: CodexProvider(CodexService.at(f"{url}/backend-api", name="codex"), LOGIN),
        ScriptedCloud,
        IN_REPOSITORY,
    ),
    "copilot": Service(lambda url: copilot(base_url=url), GithubEmulator, IN_REPOSITORY),
    "cursor": Service(lambda url: CursorProvider(CursorService(url, url)), CursorEmulator, IN_REPOSITORY),
    "described": Service(
        lambda url: described(BY_ID, base_url=url),
        Http202Emulator,
        TaskSpec(prompt=PROMPT, repository="owner/repo", branch="main"),
    ),
    "google": Service(lambda url: described(GOOGLE, base_url=url), Http202Emulator, TaskSpec(prompt=PROMPT)),
    "github_actions": Service(lambda url: github_actions(base_url=url), GithubEmulator, IN_REPOSITORY),
    "jules": Service(lambda url: JulesProvider(JulesService(f"{url}/v1alpha")), JulesEmulator, IN_REPOSITORY),
    "openai_agents": Service(
        lambda url: OpenAIAgentsProvider(OpenAIAgentsService(base_url=f"{url}/v1", model="m")),
        OpenAIAgentsEmulator,
        IN_REPOSITORY,
    ),
    "openai_batch": Service(
        lambda url: OpenAIBatchProvider(OpenAIService(f"{url}/v1", "gpt-test")), OpenAIBatchEmulator, BATCH
    ),
    "openhands": Service(
        lambda url: OpenHandsProvider(OpenHandsService(base_url=url)), OpenHandsEmulator, IN_REPOSITORY
    ),
    "openhands_cloud": Service(
        lambda url: OpenHandsCloudProvider(CloudService(url)), OpenHandsCloudEmulator, IN_REPOSITORY
    ),
}

Change = Callable[[Request, Response], "Changed"]


class Changed(NamedTuple):
    """A response as it is sent, with header lines of any bytes."""

    response: Response
    header_lines: tuple[bytes, ...] = ()


def serve(emulator: Any, change: Change) -> Server:
    """Return a server of *emulator* whose responses are sent as *change* returns them."""

    def script(connection: Connection) -> None:
        try:
            while (received := connection.receive()) is not None:
                request = request_of(received)
                sent = change(request, emulator.handle(request))
                connection.send(message(sent.response, sent.header_lines))
        finally:  # an exception of the emulator must not leave the client waiting
            connection.sock.close()

    server = Server(script)
    if isinstance(emulator, LambdaEmulator):
        emulator.queue = Queue(server.url(QUEUE_PATH))
    return server


def request_of(received: Received) -> Request:
    """Return a request in the form of an emulator."""
    parts = urlsplit(received.target)
    headers = tuple((name.lower(), value) for name, value in received.headers)
    query = tuple(parse_qsl(parts.query, keep_blank_values=True))
    return Request(received.method, parts.path, query=query, headers=headers, body=received.body)


def message(response: Response, header_lines: tuple[bytes, ...]) -> bytes:
    """Return *response* as HTTP/1.1."""
    body = response.body
    while response.stream is not None and (chunk := response.stream.read()):
        body += chunk
    kept = {name: value for name, value in response.headers.items() if name != "content-length"}
    lines = [f"{name}: {value}".encode("latin-1") for name, value in kept.items()]
    head = [f"HTTP/1.1 {response.status} X".encode(), *lines, *header_lines, b"content-length: %d" % len(body)]
    return b"\r\n".join(head) + b"\r\n\r\n" + body
