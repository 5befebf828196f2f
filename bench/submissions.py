"""Count duplicate tasks: 1,000 submissions to each provider, of which a tenth lose their response.

A response is lost in two ways: the connection is closed, or a gateway answers 502. Half are lost after the service has
accepted the task, half before; the client cannot distinguish them. A task that exists although its caller got an error
is not counted: only work that would be done, and paid for, twice. Every prompt is different, so a duplicate is a prompt
that the service has more than once.

For comparison, official SDKs with their default settings over real sockets, where `make peers` has installed them.
"""

from __future__ import annotations

import json
import logging
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from coatcheck import Client, TaskSpec, errors
from coatcheck._runtime.system_clock import SystemClock
from coatcheck.cloud.faults import Fault, Reset, ResetAfterAccept, Status, StatusAfterAccept
from coatcheck.cloud.scripted_cloud import ScriptedCloud
from coatcheck.providers.anthropic_batch.provider import AnthropicBatchProvider, Service as AnthropicService
from coatcheck.providers.aws_lambda.durable_executions import DurableProvider
from coatcheck.providers.aws_lambda.functions import ASYNCHRONOUS, DURABLE, Service as LambdaService
from coatcheck.providers.aws_lambda.queue_invocations import AsynchronousProvider
from coatcheck.providers.copilot import copilot
from coatcheck.providers.github_actions import github_actions
from coatcheck.providers.jules.endpoints import Service as JulesService
from coatcheck.providers.jules.provider import JulesProvider
from coatcheck.providers.openai_batch.provider import OpenAIBatchProvider, Service as OpenAIService
from coatcheck.testing import EmulatorTransport, FakeClock, MemoryJournal, serving
from coatcheck.testing.emulators.aws_lambda import QUEUE_URL, REGION, LambdaEmulator
from coatcheck.testing.emulators.batches import AnthropicBatchEmulator, OpenAIBatchEmulator
from coatcheck.testing.emulators.github import GithubEmulator
from coatcheck.testing.emulators.github_rest import Meter
from coatcheck.testing.emulators.jules import JulesEmulator

CREATES, LOST_EVERY = 1000, 10
BASE = "http://127.0.0.1:9"
PYTHON = Path(__file__).parents[1] / ".venv/peers/python/bin/python"
SECONDS = 300  # an SDK waits half a second and more before it sends again, a hundred times

# how a response is lost -> before the service has accepted the task, and after.
LOSSES: dict[str, tuple[Fault, Fault]] = {
    "a cut connection": (Reset(on="create_task"), ResetAfterAccept(on="create_task")),
    "a 502": (Status(502, on="create_task"), StatusAfterAccept(502, on="create_task")),
}


def loss(how: str, number: int) -> Fault | None:
    """Return the fault of submission *number*: after and before the service has accepted it, in turn."""
    return None if number % LOST_EVERY else LOSSES[how][number // LOST_EVERY % 2]


def codex_prompts(service: ScriptedCloud) -> Iterator[str]:
    """Yield the prompt of each task."""
    return (task.rounds[0].prompt for task in service.tasks)


def jules_prompts(service: JulesEmulator) -> Iterator[str]:
    """Yield the prompt of each session."""
    return (str(session.document()["prompt"]) for session in service._sessions.values())  # noqa: SLF001 - no request, which would be counted


def lambda_prompts(service: LambdaEmulator) -> Iterator[str]:
    """Yield the prompt of each execution."""
    return (json.loads(task.payload)["prompt"] for task in service.tasks)


def batch_prompts(service: OpenAIBatchEmulator | AnthropicBatchEmulator) -> Iterator[str]:
    """Yield the prompt of the one request of each batch, in either service's shape."""
    bodies = (task.requests[0][1] for task in service.tasks)
    return (body["input"] if "input" in body else body["messages"][0]["content"] for body in bodies)


def run_prompts(service: GithubEmulator) -> Iterator[str]:
    """Yield the prompt of each workflow run and of each agent task."""
    return (task.inputs["prompt"] if hasattr(task, "inputs") else task.arguments["prompt"] for task in service.tasks)  # type: ignore[attr-defined]


class FixedSettings:
    """The settings of a provider."""

    def __init__(self, **settings: str) -> None:
        self._settings = settings

    def get(self, name: str, *, variable: str | None = None) -> str | None:
        """Return one of them."""
        del variable
        return self._settings.get(name)


GITHUB = FixedSettings(base_url=BASE, repository="owner/repo")


def lambda_service(name: str) -> LambdaService:
    """Return one region with a queue."""
    return LambdaService(name=name, region=REGION, base_url=BASE, queue=QUEUE_URL)


# name -> provider, its service in memory, where its tasks run, the prompts that the service has.
OURS: dict[str, tuple[Any, Callable[..., Any], dict[str, str], Callable[[Any], Iterator[str]]]] = {
    "codex": (None, ScriptedCloud, {"repository": "owner/repo"}, codex_prompts),
    "jules": (JulesProvider(JulesService(f"{BASE}/v1alpha")), JulesEmulator, {}, jules_prompts),
    "github_actions": (github_actions(GITHUB), GithubEmulator, {"repository": "owner/repo"}, run_prompts),
    "copilot": (copilot(GITHUB), GithubEmulator, {"repository": "owner/repo"}, run_prompts),
    "aws_lambda": (
        DurableProvider(lambda_service(DURABLE)),
        LambdaEmulator,
        {"environment": "agent:live"},
        lambda_prompts,
    ),
    "aws_lambda_async": (
        AsynchronousProvider(lambda_service(ASYNCHRONOUS)),
        LambdaEmulator,
        {"environment": "plain-agent"},
        lambda_prompts,
    ),
    "openai_batch": (OpenAIBatchProvider(OpenAIService(f"{BASE}/v1", "m")), OpenAIBatchEmulator, {}, batch_prompts),
    "anthropic_batch": (AnthropicBatchProvider(AnthropicService(BASE, "m")), AnthropicBatchEmulator, {}, batch_prompts),
}


def duplicates(prompts: Iterator[str]) -> int:
    """Return how many tasks there are beyond the first of each prompt."""
    return sum(count - 1 for count in Counter(prompts).values())


def ours(name: str, how: str) -> tuple[int, int, int]:
    """Return duplicated tasks, submissions that ended with a task, and those that ended as uncertain."""
    provider, service_of, where, prompts = OURS[name]
    clock = FakeClock()
    service = service_of(clock=clock)
    token = service.tokens.access_token if name == "codex" else service.token
    options: dict[str, Any] = {"clock": clock, "journal": MemoryJournal(), "environ": {"COATCHECK_LEARN": "off"}}
    client = Client(provider or name, token=token, transport=EmulatorTransport(service), random=lambda: 0.5, **options)
    known = uncertain = 0
    for number in range(CREATES):
        service.faults[:] = [fault] if (fault := loss(how, number)) else []
        clock.sleep(60)  # so that a search through a list is not of a thousand tasks of one second
        try:
            client.create_task(TaskSpec(prompt=f"Task {number}", **where))
            known += 1
        except errors.SubmissionUncertainError:
            uncertain += 1
    return duplicates(prompts(service)), known, uncertain


# -- official SDKs -----------------------------------------------------------------------------------------------------


def unlimited_github(clock: SystemClock) -> GithubEmulator:
    """Return a GitHub that accepts a thousand dispatches in a minute, because limits are not measured here."""
    github = GithubEmulator(clock=clock)
    github.meter = Meter(limit=100_000, points=None)
    return github


# name -> its service, and a function `create(number)` of the SDK at its defaults.
THEIRS: dict[str, tuple[Callable[..., Any], Callable[[Any], Iterator[str]], str]] = {
    "boto3": (
        LambdaEmulator,
        lambda_prompts,
        """
import boto3
client = boto3.client("lambda", endpoint_url=base, aws_access_key_id="AKIDEMULATOR",
                      aws_secret_access_key="emulated/secret+key", region_name="us-east-1")
def create(n):
    client.invoke(FunctionName="plain-agent", InvocationType="Event", Payload=json.dumps({"prompt": f"Task {n}"}))
""",
    ),
    "openai": (
        OpenAIBatchEmulator,
        batch_prompts,
        """
from openai import OpenAI
client = OpenAI(base_url=base + "/v1", api_key="batch-test-key")
def create(n):
    body = {"model": "m", "input": f"Task {n}"}
    line = {"custom_id": "task", "method": "POST", "url": "/v1/responses", "body": body}
    file = client.files.create(file=("in.jsonl", json.dumps(line).encode()), purpose="batch")
    client.batches.create(input_file_id=file.id, endpoint="/v1/responses", completion_window="24h")
""",
    ),
    "anthropic": (
        AnthropicBatchEmulator,
        batch_prompts,
        """
from anthropic import Anthropic
client = Anthropic(base_url=base, api_key="batch-test-key")
def create(n):
    params = {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": f"Task {n}"}]}
    client.messages.batches.create(requests=[{"custom_id": "task", "params": params}])
""",
    ),
    "githubkit": (
        unlimited_github,
        run_prompts,
        """
from githubkit import GitHub
client = GitHub("TOKEN", base_url=base)
def create(n):
    inputs = {"prompt": f"Task {n}", "task_id": f"t{n}"}
    client.rest.actions.create_workflow_dispatch("owner", "repo", "coatcheck.yml", ref="main", inputs=inputs)
""".replace("TOKEN", GithubEmulator().token),
    ),
}
DRIVER = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
base, creates = sys.argv[1], int(sys.argv[2])
{setup}
def tried(n):
    try:
        create(n)
        return 1
    except Exception:
        return 0
with ThreadPoolExecutor(8) as threads:
    print(sum(threads.map(tried, range(creates))))
"""


class Losing:
    """A service that loses the first response to each tenth task, as `loss` defines; a retry is answered."""

    def __init__(self, service: Any, how: str) -> None:
        self._service, self._how, self._number = service, how, 0
        self._seen: set[bytes] = set()

    def handle(self, request: Any) -> Any:
        """Answer, or lose the response; retries have the same bytes, which distinguishes them from new work."""
        is_create = request.method == "POST" and request.path.endswith(("/invocations", "/batches", "/dispatches"))
        if is_create and request.body not in self._seen:
            self._seen.add(request.body)
            fault, self._number = loss(self._how, self._number), self._number + 1
            if fault:
                return fault.act(request, lambda: self._service.handle(request), SystemClock())
        return self._service.handle(request)


@contextmanager
def losing(service: Any, how: str) -> Iterator[str]:
    """Serve *service* with lost responses, and yield its base URL."""
    with serving(Losing(service, how)) as url:
        yield url.removesuffix("/backend-api")


def theirs(name: str, how: str) -> tuple[int, int, int]:
    """Return duplicates, the submissions that the SDK reported as done, and those created but reported as failed."""
    service_of, prompts, setup = THEIRS[name]
    service = service_of(clock=SystemClock())
    with losing(service, how) as base:
        command = [str(PYTHON), "-c", DRIVER.format(setup=setup), base, str(CREATES)]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    created, done = set(prompts(service)), int(ran.stdout)
    return duplicates(prompts(service)), done, len(created) - done


def is_installed(name: str) -> bool:
    """Whether the Python of the peers has an SDK."""
    if not PYTHON.exists():
        return False
    return subprocess.run([str(PYTHON), "-c", f"import {name}"], capture_output=True, check=False).returncode == 0


def main() -> None:
    """Print one line for each."""
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # connections are closed on purpose
    installed = {name: is_installed(name) for name in THEIRS}
    for how in LOSSES:
        print(f"{CREATES} submissions, one in {LOST_EVERY} with {how} instead of a response")
        for name in OURS:
            twice, known, uncertain = ours(name, how)
            print(f"{name:18} {twice:4} duplicated (goal 0)   {known:4} known, {uncertain:3} reported as uncertain")
            assert twice == 0, name
        for name in THEIRS:
            if not installed[name]:
                print(f"{name:18}    - not installed: make peers")
                continue
            twice, done, lost = theirs(name, how)
            tally = f"{done:4} reported as done, {lost:3} created and reported as failed"
            print(f"{name:18} {twice:4} duplicated at its defaults   {tally}")


if __name__ == "__main__":
    main()
