"""AWS's, OpenAI's and Anthropic's own SDKs use our emulators, beside our providers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest
from tests.peers.peer_support import TIME_LIMIT, bare_environ, free_ports, started

from coatcheck import Client, TaskSpec, TaskState
from coatcheck._runtime.system_clock import SystemClock
from coatcheck.providers.anthropic_batch.provider import AnthropicBatchProvider, Service as AnthropicService
from coatcheck.providers.aws_lambda.durable_executions import DurableProvider
from coatcheck.providers.aws_lambda.functions import ASYNCHRONOUS, DURABLE, Service
from coatcheck.providers.aws_lambda.queue_invocations import AsynchronousProvider
from coatcheck.providers.claude_agents.endpoints import Service as ClaudeService
from coatcheck.providers.claude_agents.provider import ClaudeAgentsProvider
from coatcheck.providers.openai_agents.endpoints import Service as OpenAIAgentsService
from coatcheck.providers.openai_agents.provider import OpenAIAgentsProvider
from coatcheck.providers.openai_batch.provider import OpenAIBatchProvider, Service as OpenAIService
from coatcheck.testing import MemoryJournal, serving
from coatcheck.testing.emulators.aws_lambda import REGION, LambdaEmulator, record
from coatcheck.testing.emulators.batches import AnthropicBatchEmulator, OpenAIBatchEmulator
from coatcheck.testing.emulators.claude_agents import ClaudeAgentsEmulator
from coatcheck.testing.emulators.openai_agents import OpenAIAgentsEmulator

pytestmark = pytest.mark.peer

HERE = Path(__file__).parent
PYTHON = HERE.parents[1] / ".venv/peers/python/bin/python"


@contextmanager
def served(emulator: Any) -> Iterator[str]:
    """Serve over loopback, and yield the base URL."""
    with serving(emulator) as url:
        yield url.removesuffix("/backend-api")


def theirs(folder: Path, *arguments: str) -> dict[str, Any]:
    """Run a part of `sdk_clients.py`, and return its result."""
    command = [str(PYTHON), str(HERE / "sdk_clients.py"), *arguments]
    environ = bare_environ(folder)
    ran = subprocess.run(command, capture_output=True, text=True, timeout=2 * TIME_LIMIT, check=False, env=environ)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)  # type: ignore[no-any-return]


def ours(provider: Any, emulator: Any) -> Client:
    """Return our client."""
    return Client(provider, token=emulator.token, journal=MemoryJournal(), environ={"COATCHECK_LEARN": "off"})


def durable_at(base: str) -> DurableProvider:
    """Return a provider of durable executions at an address."""
    return DurableProvider(Service(name=DURABLE, region=REGION, base_url=base, function="agent:live"))


# -- AWS ---------------------------------------------------------------------------------------------------------------


def test_boto3_runs_a_durable_execution(tmp_path: Path) -> None:
    """Signatures are valid, names are unique, errors have AWS's names; we read the same execution."""
    emulator = LambdaEmulator(clock=SystemClock())
    with served(emulator) as base:
        seen = theirs(tmp_path, "durable", base)
        with ours(durable_at(base), emulator) as client:
            task = client.get_task(durable_at(base).service.ref(seen["arns"][0]))

    assert [seen["arns"][0]] * 2 + seen["listed"] == [unquote(task.ref.id)] * 3
    assert (TaskState.SUCCEEDED, task.raw_state) == (task.state, seen["status"])
    assert seen["result"]["message"] == (task.outcome.text if task.outcome else None)
    assert ["ExecutionStarted", "ExecutionSucceeded"] == [seen["events"][0], seen["events"][-1]]
    assert {
        "reused": "DurableExecutionAlreadyStartedException",
        "nobody": "ResourceNotFoundException",
        "unqualified": "InvalidParameterValueException",
        "too large": "RequestTooLargeException",
    } == {name: seen[name] for name in ("reused", "nobody", "unqualified", "too large")}


def test_boto3_reads_what_we_submitted(tmp_path: Path) -> None:
    """boto3 reads an execution that we started, by the ARN in its ref."""
    emulator = LambdaEmulator(clock=SystemClock())
    with served(emulator) as base, ours(durable_at(base), emulator) as client:
        ref = client.create_task(TaskSpec(prompt="Say hello", repository="owner/repo")).ref
        seen = theirs(tmp_path, "look", base, unquote(ref.id))

    assert {"prompt": "Say hello", "repository": "owner/repo", "mode": "code"} == seen["input"]


def test_boto3_reads_our_queue(tmp_path: Path) -> None:
    """The record has the id of the invocation, and is gone once it is deleted."""
    emulator = LambdaEmulator(clock=SystemClock())
    with served(emulator) as base:
        emulator.queue.url = f"{base}/123456789012/ends"
        seen = theirs(tmp_path, "queue", base, emulator.queue.url)

    assert (seen["id"], "Done: Say hello", []) == (seen["record"], seen["made"], emulator.queue.messages)


@contextmanager
def moto(folder: Path) -> Iterator[str]:
    """Run moto's server, and yield its base URL."""
    (port,) = free_ports(1)
    command = [str(PYTHON.with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)]
    with started(folder / "moto.log", command, port, environ=bare_environ(folder)):
        yield f"http://127.0.0.1:{port}"


def test_status_pages_of_motos_queue(tmp_path: Path) -> None:
    """At moto's SQS the records of our tasks are received and deleted, and another one stays."""
    emulator = LambdaEmulator(clock=SystemClock(), life=("RUNNING",))
    with served(emulator) as base, moto(tmp_path) as queue:
        url = theirs(tmp_path, "make_queue", queue, '{"of": "somebody else"}')["url"]
        service = Service(name=ASYNCHRONOUS, region=REGION, base_url=base, queue=url)
        with ours(AsynchronousProvider(service), emulator) as client:
            refs = [client.create_task(TaskSpec(prompt=f"Say {n}", environment="plain-agent")).ref for n in range(12)]
            theirs(tmp_path, "make_queue", queue, *map(_record_of, emulator.tasks))
            ended = list(client.poll_tasks(refs, timeout=TIME_LIMIT, interval=0.1))
        left = theirs(tmp_path, "left", queue, url)["left"]

    assert (set(refs), 1) == ({task.ref for task in ended}, left)
    assert {"made by moto"} == {task.outcome.text for task in ended if task.outcome}


def _record_of(execution: Any) -> str:
    done = msgspec.structs.replace(execution, state="SUCCEEDED", ended=1.0)
    return msgspec.json.encode(record(done, {"message": "made by moto"}, is_good=True)).decode()


# -- batches -----------------------------------------------------------------------------------------------------------


def test_openais_sdk_runs_a_batch(tmp_path: Path) -> None:
    """OpenAI's SDK uploads, creates, waits and reads; we read the same result of each request."""
    emulator = OpenAIBatchEmulator(clock=SystemClock(), fails={"b"})
    with served(emulator) as base:
        seen = theirs(tmp_path, "openai", base)
        with ours(OpenAIBatchProvider(OpenAIService(f"{base}/v1", "m")), emulator) as client:
            task = client.get_task(f"openai_batch:{seen['id']}")

    assert ("completed", TaskState.SUCCEEDED, [seen["id"]]) == (seen["status"], task.state, seen["listed"])
    assert {"total": 2, "completed": 1, "failed": 1} == seen["counts"]
    assert seen["items"] == {item.id: int(item.raw_state or 0) for item in (task.outcome.items if task.outcome else ())}


def test_anthropics_sdk_runs_a_batch(tmp_path: Path) -> None:
    """Anthropic's SDK creates, waits, reads and deletes; we read the same result of each request."""
    emulator = AnthropicBatchEmulator(clock=SystemClock(), fails={"b"})
    with served(emulator) as base:
        seen = theirs(tmp_path, "anthropic", base)
        spec = TaskSpec(prompt="Say", requests={"a": "a", "b": "b"})
        with ours(AnthropicBatchProvider(AnthropicService(base, "m")), emulator) as client:
            task = client.poll_task(client.create_task(spec).ref, interval=0.01)

    assert (seen["listed"], 1) == ([seen["deleted"]], seen["counts"]["errored"])
    assert seen["items"] == {item.id: item.raw_state for item in (task.outcome.items if task.outcome else ())}


def test_anthropics_sdk_runs_a_session(tmp_path: Path) -> None:
    """Anthropic's SDK runs a session and reads its events, live and stored, and files; we read the same end, and the SDK ends our session."""
    emulator = ClaudeAgentsEmulator(clock=SystemClock())
    with served(emulator) as base:
        seen = theirs(tmp_path, "sessions", base)
        provider = ClaudeAgentsProvider(ClaudeService(base_url=base, agent="agent_1"))
        with ours(provider, emulator) as client:
            task = client.get_task(f"claude_agents:{seen['id']}")
            made = client.create_task(TaskSpec(prompt="Say hello", repository="owner/repo")).ref
        ended = theirs(tmp_path, "end_session", base, made.id)

    assert ("idle", "end_turn", TaskState.SUCCEEDED) == (seen["status"], seen["reason"], task.state)
    assert (["user.interrupt"], [seen["id"]], "12") == (seen["sent"], seen["listed"], seen["cost"])
    assert {"base-commit.txt", "change.patch"} == set(seen["files"])
    assert ("agent.message", "session.status_idle") == tuple(seen["kinds"][-2:]) == tuple(seen["live"][-2:])
    assert ("code", "terminated", made.id) == (ended["metadata"]["coatcheck_mode"], ended["status"], ended["deleted"])


def test_openais_sdk_runs_a_session(tmp_path: Path) -> None:
    """OpenAI's SDK runs a session and reads its live events, turns and artifacts; we read the same end, and the SDK deletes ours."""
    emulator = OpenAIAgentsEmulator(clock=SystemClock())
    with served(emulator) as base:
        seen = theirs(tmp_path, "agents", base)
        provider = OpenAIAgentsProvider(OpenAIAgentsService(base_url=f"{base}/v1", model="m"))
        with ours(provider, emulator) as client:
            task = client.get_task(f"openai_agents:{seen['id']}")
            made = client.create_task(TaskSpec(prompt="Say hello", repository="owner/repo")).ref
        ended = theirs(tmp_path, "end_agent", base, made.id)

    assert ("idle", "completed", TaskState.SUCCEEDED) == (seen["status"], seen["turn"], task.state)
    assert ([seen["id"]], [], 4) == (seen["found"], seen["not found"], seen["spent"])
    assert ["/workspace/outputs/base-commit.txt", "/workspace/outputs/change.patch"] == seen["files"]
    assert ["message", "command_execution", "message", "message"] == seen["items"]
    assert 3 == seen["live"].count("agent.session.turn.item.done")
    assert ["agent.session.turn.completed", "agent.session.idle"] == seen["live"][-2:]
    assert ("code", True) == (ended["metadata"]["coatcheck_mode"], ended["deleted"])
