"""The attempts of a task: its thread, and the threads that were forked from it before its first turn.

Invariants:

- the checkouts and the threads of all attempts are made before the first turn is started: what fails until then cost
  nothing;
- each turn is started once, with a key of its own, the first one before the others: where one cannot be started, the task
  exists, and that attempt is reported as failed;
- a fork that a person made is no attempt: it continues the conversation in the same folder, and is a task of its own.

See docs/reference/protocols/codex-app-server.md, "3 Methods".
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from ...provider import Notice, errors
from . import checkouts, extract, wire
from .connection import HostConnection, call, checked, require_thread
from .endpoints import NAME
from .event_log import wait_for_start
from .places import key_of, place_of

if TYPE_CHECKING:
    from ...provider import Attempt, Task, TaskRef, TaskSpec
    from .endpoints import Service

LAST_TURN: Mapping[str, Any] = {"limit": 1, "sortDirection": "desc"}
LIST_SIZE = 100


def prepare(host: HostConnection, spec: TaskSpec, service: Service) -> Generator[Any, Any, Sequence[wire.Thread]]:
    """Make the checkouts and the named threads of a task, in the order of its attempts."""
    folders = yield from checkouts.check_out_all(host, spec, service, host.folder(service))
    threads: list[wire.Thread] = []
    for number, folder in enumerate(folders, 1):
        parameters = _parameters(spec, folder, service)
        if threads:  # a thread without a turn can be forked once it has a name
            forked = {**parameters, "threadId": threads[0].id, "excludeTurns": True}
            started = yield from call(host, "thread/fork", forked, wire.Started)
        else:
            started = yield from call(host, "thread/start", parameters, wire.Started)
        named = {"threadId": started.thread.id, "name": extract.thread_name(spec, number)}
        checked((yield from host.call("thread/name/set", named)))
        threads.append(started.thread)
    return threads


def _parameters(spec: TaskSpec, folder: str, service: Service) -> Mapping[str, Any]:
    parameters = {
        "cwd": folder,
        "sandbox": "read-only" if spec.mode == "ask" else service.sandbox,
        "approvalPolicy": service.approval_policy,
        "model": spec.model,
        "developerInstructions": spec.instructions,
    }
    return {name: value for name, value in parameters.items() if value is not None}


def start(host: HostConnection, spec: TaskSpec, threads: Sequence[wire.Thread]) -> Generator[Any, Any, Task]:
    """Start the turn of each attempt; what fails after the first turn is a notice of the task."""
    answer = yield from _start(host, spec, threads[0], 1)
    task = extract.created(spec, threads[0], answer.decode(wire.StartedTurn).turn, bytes(answer.result))
    for number, thread in enumerate(threads[1:], 2):
        try:
            yield from _start(host, spec, thread, number)
        except errors.CoatcheckError as error:
            text = f"attempt {number} of {spec.attempts} and later ones may not have been started: {error}"
            return msgspec.structs.replace(task, notices=(*task.notices, Notice(kind="partial", text=text)))
    return task


def _start(host: HostConnection, spec: TaskSpec, thread: wire.Thread, number: int) -> Generator[Any, Any, Any]:
    turn = turn_parameters(thread.id, spec.prompt, key=key_of(spec.key or "", number), model=spec.model)
    answer = checked((yield from host.call("turn/start", turn, is_change=True)))
    with suppress(errors.TransportError):  # the turn exists
        yield from wait_for_start(host, thread.id)
    return answer


def turn_parameters(thread: str, prompt: str, *, key: str | None = None, model: str | None = None) -> dict[str, Any]:
    """Return the parameters of a turn."""
    parameters: dict[str, Any] = {"threadId": thread, "input": [{"type": "text", "text": prompt}]}
    parameters |= {"clientUserMessageId": key} if key else {}
    return parameters | ({"model": model} if model else {})


def threads_of(host: HostConnection, thread: wire.Thread) -> Generator[Any, Any, Mapping[int, wire.Thread]]:
    """Return the threads of all attempts of the task of *thread*, by number; itself where it has one."""
    threads = {1: thread}
    if extract.attempt_total(thread) is None:
        return threads
    place = place_of(thread)
    for each in (yield from threads_in(host, list(place.folders))):
        number = place.folders[each.cwd or ""]
        if number > 1:  # a later one in the same folder is a person's fork
            threads.setdefault(number, each)
    return dict(sorted(threads.items()))


def threads_in(host: HostConnection, folders: Sequence[str]) -> Generator[Any, Any, Sequence[wire.Thread]]:
    """Return the threads that work in *folders*, the oldest first."""
    common = {"cwd": folders, "limit": LIST_SIZE, "sortKey": "created_at"}
    calls = [("thread/list", {**common, "archived": is_archived}) for is_archived in (False, True)]
    pages = [checked(answer).decode(wire.ThreadPage) for answer in (yield from host.call_all(calls))]
    threads = [thread for page in pages for thread in page.data if thread.cwd in folders]
    return sorted(threads, key=age)


def age(thread: wire.Thread) -> tuple[float, str]:
    """Return a key that sorts the oldest thread first; ids are UUIDs of version 7, which sort by time."""
    return thread.createdAt or 0, thread.id


def waiting_threads(host: HostConnection, thread: wire.Thread) -> Generator[Any, Any, Mapping[int, wire.Thread]]:
    """Return the attempts of a task that wait for a person, by number."""
    return waiting_in((yield from threads_of(host, thread)))


def waiting_in(threads: Mapping[int, wire.Thread]) -> Mapping[int, wire.Thread]:
    """Return those of *threads* that wait for a person."""
    return {number: each for number, each in threads.items() if extract.waits_for(each) is not None}


def last_items(host: HostConnection, thread: wire.Thread) -> Generator[Any, Any, Sequence[Mapping[str, Any]]]:
    """Return the items of the last turn of each attempt of a task."""
    threads = yield from threads_of(host, thread)
    calls = [
        ("thread/turns/list", {**LAST_TURN, "threadId": each.id, "itemsView": "full"}) for each in threads.values()
    ]
    pages = [checked(answer).decode(wire.TurnPage) for answer in (yield from host.call_all(calls))]
    return [item for page in pages for turn in page.data for item in turn.items or ()]


def others_in(
    host: HostConnection, threads: Mapping[int, wire.Thread], folder: str
) -> Generator[Any, Any, Sequence[wire.Thread]]:
    """Return the threads that work in the checkouts of *threads* below *folder* beside them, as a person's forks do."""
    ids = {thread.id for thread in threads.values()}
    own = [thread.cwd for thread in threads.values() if thread.cwd and thread.cwd.startswith(f"{folder}/")]
    every = (yield from threads_in(host, own)) if own else ()
    return [thread for thread in every if thread.id not in ids]


def error_for_others(ref: TaskRef, others: Sequence[wire.Thread]) -> errors.ConflictError:
    """Return the error for a task whose checkout is used by *others*."""
    names = " ".join(f"{NAME}:{other.id}" for other in others)
    return errors.ConflictError(
        f"{ref} is not deleted: other threads work in its checkout: {names}",
        status=409,
        remedy=f"delete them before: coatcheck delete {names}",
    )


def read(host: HostConnection, thread: wire.Thread, service: Service) -> Generator[Any, Any, tuple[Attempt, ...]]:
    """Return the attempts of a task, with the outcomes of those that have ended."""
    threads = yield from threads_of(host, thread)
    attempts: list[Attempt] = []
    for number in range(1, (extract.attempt_total(thread) or 1) + 1):
        if number not in threads:
            attempts.append(extract.missing_attempt(number))
            continue
        document = extract.read_document((yield from read_document(host, threads[number].id)))
        attempt = extract.attempt(number, document, None)
        if attempt.state.is_terminal:
            change = yield from checkouts.read_change(host, document.thread, service)
            attempt = extract.attempt(number, document, change)
        attempts.append(attempt)
    return tuple(attempts)


def read_document(host: HostConnection, id: str) -> Generator[Any, Any, bytes]:
    """Return a thread and its last turn as one document. Raises `NotFoundError` where there is no such thread."""
    last = {**LAST_TURN, "threadId": id, "itemsView": "full"}
    thread, turns = yield from host.call_all([("thread/read", {"threadId": id}), ("thread/turns/list", last)])
    return extract.document(require_thread(thread, id).result, require_thread(turns, id).result)
