"""The clients read the streams of a real local cloud."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import coatcheck
from coatcheck._engine.event_diff import SeenState
from coatcheck._model.events import StateEvent, TaskEvent
from coatcheck._protocol.effects import Request, Response
from coatcheck._protocol.provider import Verb
from coatcheck._runtime.config import Config, ProviderSettings
from coatcheck.providers.codex import codex, local as local_provider
from coatcheck.testing import Both

from .event_support import Server, server

WAITS = 'echo one; echo oops >&2; echo 1 > new.txt; until read x < "$1"; do :; done; echo two'


def described(event: TaskEvent) -> str:
    """Return the state or the text of an event."""
    return event.state.value if isinstance(event, StateEvent) else f"{event.type} {event.text or ''}".strip()


def options_of(cloud: Server, transport: str) -> dict[str, object]:
    """Return the options of a client of the server."""
    return {"base_url": cloud.record.url, "token": cloud.record.token, "environ": {"COATCHECK_TRANSPORT": transport}}


@pytest.mark.parametrize("transport", ["pyreqwest", "httpx2"])
def test_a_watch_gets_output_while_the_agent_runs(tmp_path: Path, transport: str) -> None:
    """The agent goes on only after its first lines have arrived; each line comes once, and the end is last."""
    with server(tmp_path, WAITS) as cloud, coatcheck.Client("local", **options_of(cloud, transport)) as client:
        seen = []
        for event in client.watch_task(cloud.submit(), timeout=240):
            seen.append(described(event))
            if {"task.message one", "task.log oops"} <= set(seen) and "released" not in seen:
                seen.append("released")
                cloud.release()
    kept = [each for each in seen if each.startswith(("task.message", "task.log")) or each in ("released", "succeeded")]

    assert ["task.log oops", "task.message one", "released", "task.message two", "succeeded"] == [
        *sorted(kept[:2]),
        *kept[2:],
    ]


@pytest.mark.parametrize("transport", ["pyreqwest", "httpx2"])
def test_an_asynchronous_watch_gets_output_while_the_agent_runs(tmp_path: Path, transport: str) -> None:
    """As the blocking client."""

    async def run(cloud: Server, task: str) -> list[str]:
        seen = []
        async with coatcheck.AsyncClient("local", **options_of(cloud, transport)) as client:
            async for event in client.watch_task(task, timeout=240):
                seen.append(described(event))
                if seen[-1] == "task.message one":
                    assert "+1" in await client.get_current_diff(task)
                    await asyncio.to_thread(cloud.release)
        return seen

    with server(tmp_path, WAITS) as cloud:
        seen = asyncio.run(run(cloud, cloud.submit()))

    assert (1, 1, "succeeded") == (seen.count("task.message one"), seen.count("task.message two"), seen[-1])


@pytest.mark.parametrize("transport", ["pyreqwest", "httpx2"])
def test_a_watch_of_several_tasks_reads_the_stream_of_all(tmp_path: Path, transport: str) -> None:
    """Output of each task arrives while its agent runs, once, and the last line before its end; other tasks are silent."""
    with (
        server(tmp_path, WAITS, max_parallel=3) as cloud,
        coatcheck.Client("local", **options_of(cloud, transport)) as client,
    ):
        other, *tasks = (cloud.submit() for _ in range(3))
        seen = []
        for event in client.watch_tasks(tasks, timeout=60):
            seen.append((event.ref.id, described(event)))
            while all(seen.count((task, "task.message one")) for task in tasks) and ("", "released") not in seen:
                seen.append(("", "released"))
                for _ in range(3):
                    cloud.release()
    texts = [[text for id, text in seen if id == task and text.startswith(("task.message", "succ"))] for task in tasks]

    assert [["task.message one", "task.message two", "succeeded"]] * 2 == texts
    assert other not in {id for id, _ in seen}


def test_a_watch_of_several_tasks_is_continued(tmp_path: Path) -> None:
    """The cursors of events of several tasks lead to what follows them, and to nothing after the end."""
    with server(tmp_path, "seq 3") as cloud, coatcheck.Client("local", **options_of(cloud, "pyreqwest")) as client:
        tasks = [cloud.submit() for _ in range(2)]
        events = list(client.watch_tasks(tasks, timeout=60))
        first = {task: next(each.id for each in events if each.ref.id == task and each.text == "1") for task in tasks}
        after = {str(each.ref): each.id for each in events}
        rest = list(client.watch_tasks(tasks, timeout=60, after={f"local:{task}": id for task, id in first.items()}))
        nothing = list(client.watch_tasks(tasks, timeout=60, after=after))
    texts = [[each.text for each in rest if each.ref.id == task and each.type == "task.message"] for task in tasks]

    assert ([["2", "3"]] * 2, []) == (texts, nothing)


def test_a_watch_is_continued_after_any_event(tmp_path: Path) -> None:
    """The cursor of each event leads to the events after it, in another client and after the end."""
    with server(tmp_path, "seq 4") as cloud, coatcheck.Client("local", **options_of(cloud, "pyreqwest")) as client:
        task = cloud.submit()
        whole = [event for event in client.watch_task(task, timeout=240) if event.type == "task.message"]
        rests = [
            [each.text for each in client.watch_task(task, timeout=240, after=event.id) if each.type == "task.message"]
            for event in whole
        ]

    assert [["2", "3", "4"], ["3", "4"], ["4"], []] == rests


def test_a_follow_up_continues_the_stream(tmp_path: Path) -> None:
    """After a follow-up the stream of the task is open again, and ends with its second end."""
    with (
        server(tmp_path, 'echo "turn of $COATCHECK_ATTEMPT"') as cloud,
        coatcheck.Client("local", **options_of(cloud, "pyreqwest")) as client,
    ):
        task = cloud.submit()
        last = list(client.watch_task(task, timeout=240))[-1]
        client.send_message(task, "again")
        events = [described(event) for event in client.watch_task(task, timeout=240, after=last.id)]

    assert (1, "succeeded") == (events.count("task.message turn of 1"), events[-1])


class Fake:
    """A handler that answers with these, one after the other."""

    def __init__(self, *answers: Response) -> None:
        self.answers, self.requests = list(answers), list[Request]()

    def handle(self, request: Request) -> Response:
        self.requests.append(request)
        return self.answers.pop(0)


class Chunks:
    def __init__(self, *chunks: bytes) -> None:
        self.chunks = list(chunks)

    def read(self) -> bytes:
        return self.chunks.pop(0) if self.chunks else b""

    def close(self) -> None:
        pass


def local(fake: Fake) -> Both:
    """Return a client of the local cloud."""
    config = Config(environ={}, explicit={"local.base_url": "http://127.0.0.1:9/backend-api"})
    return Both("blocking", local_provider(ProviderSettings(config, "local")), fake)


@pytest.mark.parametrize(
    "data",
    ["", "x", "[]", "null", "{}", '{"type": 7}', '{"type": "task.message"}', '{"type": "task.message", "at": "never"}'],
)
def test_an_event_that_cannot_be_read_ends_no_stream(data: str) -> None:
    """It is an unknown event with its id, and the next one follows."""
    good = '{"type": "task.log", "text": "next"}'
    stream = f"id: 1\nevent: odd\ndata: {data} \n\nid: 2\ndata: {good}\n\n".encode()
    events = list(local(Fake(Response(200, stream=Chunks(stream)))).stream_task("task_e_1"))

    assert [("unknown", "1"), ("task.log", "2")] == [(event.type, event.id) for event in events]


@pytest.mark.parametrize("after", ["7", SeenState(state="running/", memory="7").to_cursor()])
def test_a_stream_continues_after_an_event(after: str) -> None:
    """The id of the service and the cursor of a watch name the same event."""
    fake = Fake(Response(200, stream=Chunks(b'id: 8\ndata: {"type": "task.log", "text": "next"}\n\n')))
    events = list(local(fake).stream_task("task_e_1", after=after))

    assert (["8"], True) == ([event.id for event in events], ("last-event-id", "7") in fake.requests[0].headers)


def test_a_stream_that_begins_anew_cannot_be_continued() -> None:
    """No request is sent where the service cannot begin after an event."""
    fake = Fake()
    client = Both("blocking", codex(ProviderSettings(Config(environ={}), "codex")), fake)
    with pytest.raises(coatcheck.errors.ConfigurationError, match="cannot be continued"):
        list(client.stream_task("task_e_1", after="7"))

    assert [] == fake.requests


def test_the_stream_is_beside_the_routes_of_wham() -> None:
    """Both URLs are of the same server: the streams are not below WHAM's path."""
    fake = Fake(Response(200, stream=Chunks()), Response(200, body=b"diff"))
    client = local(fake)
    client.stream_task("task_e_1")
    client.get_current_diff("task_e_1", attempt=2)
    urls = [request.url for request in fake.requests]

    assert [f"http://127.0.0.1:9/tasks/task_e_1/{name}" for name in ("events", "diff")] == urls


def test_only_the_local_cloud_shows_a_diff_that_grows() -> None:
    """Its capabilities say so."""
    from coatcheck.providers.codex.local_provider import LOCAL_CAPABILITIES
    from coatcheck.providers.codex.provider import CAPABILITIES

    has = [Verb.GET_CURRENT_DIFF in each.verbs for each in (LOCAL_CAPABILITIES, CAPABILITIES)]

    assert [True, False] == has
