"""A task as rows of the store: a short document for lists, and blobs for its prompt, its result and its patches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import msgspec

from .._model.tasks import Task, TaskState
from .._values.json_decode import decode as value_from
from .blobs import digest_of, find_blob, get_blob, put_blob
from .database import Transaction
from .documents import Level, decode, encode, to_document, with_patches
from .long_texts import messages_of_result, replace_texts, restore_texts

Document: TypeAlias = dict[str, Any]

# Kept as blobs, beside the document.
RESULT = ("outcome", "attempts")
# True of one response and not of the task.
PASSING = ("rate_limit", "retry_after")
# What "metadata" keeps: nothing that a person or an agent wrote.
METADATA = frozenset(
    {
        "ref", "state", "raw_state", "url", "mode", "environment", "environment_label", "repository", "branch",
        "created_at", "updated_at", "started_at", "model", "stats", "attempt_total", "is_archived", "is_unread",
        "is_review", "follow_ups",
    }
)  # fmt: skip
# What stays true of a task with another result; and what some services report only in lists, true of the same result.
OF_TASK = ("prompt", "attempts", "created_at", "started_at")
OF_LISTS = ("updated_at", "follow_ups")
# What is true of the state alone: it ends with it.
OF_STATE = ("error", "progress", "raw_state", "permission_requests")


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A task as it is stored; `prompt` and `result` are numbers of blobs, `blobs` are all that it refers to."""

    document: Document
    prompt: int | None = None
    result: int | None = None
    blobs: frozenset[int] = frozenset()


def store_task(transaction: Transaction, task: Task, *, level: Level) -> Snapshot:
    """Write the blobs of *task*; return what is to be written into its row."""
    numbers: set[int] = set()

    def keep(content: bytes) -> str:
        numbers.add(put_blob(transaction, content))
        return digest_of(content).hex()

    document = to_document(task, keep if level == "full" else _digest)
    if level != "full":
        return Snapshot(document={name: each for name, each in document.items() if name in METADATA})
    prompt, result = document.pop("prompt", None), {name: document.pop(name) for name in RESULT if name in document}
    replace_texts(messages_of_result(result), keep)
    return Snapshot(
        document={name: each for name, each in document.items() if name not in PASSING},
        prompt=_put(transaction, prompt, numbers),
        result=_put(transaction, result or None, numbers),
        blobs=frozenset(numbers),
    )


def _digest(content: bytes) -> str:
    return digest_of(content).hex()


def _put(transaction: Transaction, content: object, numbers: set[int]) -> int | None:
    if content is None:
        return None
    number = put_blob(transaction, encode(content).encode())
    numbers.add(number)
    return number


def merged(earlier: Task, observed: Task) -> Task:
    """Return *observed* with what only *earlier* reports of the same task.

    An observation without an outcome, such as an item of a list, does not replace what is known of the result.
    """
    kept = {name: getattr(earlier, name) for name in observed.__struct_fields__ if name not in PASSING}
    if observed.outcome is not None:
        is_same = observed.state is earlier.state and observed.outcome == earlier.outcome
        kept = {name: kept[name] for name in (*OF_TASK, *(OF_LISTS if is_same else ()))}
    if observed.state is not earlier.state:
        kept = {name: value for name, value in kept.items() if name not in OF_STATE}
    missing = {name: value for name, value in kept.items() if getattr(observed, name) in (None, (), b"")}
    if observed.attempts:
        missing["attempts"] = tuple(_with_outcomes(earlier, observed))
    return msgspec.structs.replace(observed, **missing)


def _with_outcomes(earlier: Task, observed: Task) -> Iterator[Any]:
    """Yield the attempts of *observed*, with outcomes that only *earlier* has."""
    known = {each.id: each for each in earlier.attempts}
    for attempt in observed.attempts:
        before = known.get(attempt.id)
        if before is None or attempt.outcome is not None:
            yield attempt
        elif attempt.state is TaskState.UNKNOWN and attempt.raw_state is None and before.state.is_terminal:
            yield before  # some services report the states of attempts only in a list of them
        else:
            yield msgspec.structs.replace(attempt, outcome=before.outcome if before.state is attempt.state else None)


def load_task(transaction: Transaction, document: str, prompt: int | None, result: int | None) -> Task:
    """Return the task of a row with its prompt and its result."""

    def find(digest: str) -> bytes:
        return find_blob(transaction, bytes.fromhex(digest))

    whole: Document = decode(document)
    if prompt is not None:
        whole["prompt"] = decode(get_blob(transaction, prompt))
    if result is not None:
        whole |= decode(get_blob(transaction, result))
        restore_texts(messages_of_result(whole), find)
    return value_from(Task, with_patches(whole, lambda digest: {"patch": find(digest)}))


def text_of(task: Task) -> str:
    """Return the text of *task* that is searched. A change of it needs a migration that indexes all tasks again."""
    outcomes = [each for each in (task.outcome, *(attempt.outcome for attempt in task.attempts)) if each is not None]
    messages = (message.text for outcome in outcomes for message in outcome.messages)
    return "\n".join(filter(None, (task.title, task.prompt, *messages)))
