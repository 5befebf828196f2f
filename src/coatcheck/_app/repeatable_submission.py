"""Submit a task once, however often the call is repeated, by a caller that may have lost the answer.

Guarantees:
- calls with the same key in a day, or with the same prompt and place in ten minutes, return the same task, also when
  another process made the first one (`_store.submission_keys`);
- a submission whose outcome is not known is searched for and never sent again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakValueDictionary

from .. import errors
from .._model.gates import Via, digest_of
from .._runtime.config import state_dir
from .submit import prepare_submission

if TYPE_CHECKING:
    from .._model.tasks import Task, TaskRef, TaskSpec
    from .._runtime.client import Client
    from .._store.submission_keys import EarlierSubmission, SubmissionKey
    from .submit import SubmitOptions
    from .task_session import TaskSession


class RepeatableRequest(NamedTuple):
    """A prompt with its options; `key` is a name that the caller chose, `template` the name and digest of its template."""

    prompt: str
    options: SubmitOptions
    provider: str
    key: str | None = None
    template: tuple[str, str] | None = None


class Submitted(NamedTuple):
    """The task, None for one that an earlier call submitted, and a warning about local work that the agent cannot see.

    `is_other_content` is whether the key was used for another prompt or place.
    """

    ref: TaskRef
    task: Task | None = None
    warning: str | None = None
    is_other_content: bool = False


# How long a submission of another process is waited for, and how often the store is read meanwhile (seconds).
OTHER_SECONDS, OTHER_PAUSE = 30.0, 0.25
# The locks of the submissions that this process sends, by what must not be sent twice.
_locks: WeakValueDictionary[str, Lock] = WeakValueDictionary()


def submit_once(session: TaskSession, request: RepeatableRequest, *, via: Via) -> Submitted:
    """Submit a task unless it was submitted before, and return it."""
    from .._store.submission_keys import KeyedSubmissionJournal, SubmissionKey

    journal = KeyedSubmissionJournal(
        session.database, via=via, old_folder=state_dir(session.workspace.environ), template=request.template
    )
    place = request.options.environment or request.options.repository
    with session.open_client(request.provider, journal=journal, environment=place) as client:
        prepared = prepare_submission(session.workspace, client, request.prompt, request.options)
        key = journal.key = SubmissionKey(_digest(session, request.provider, prepared.spec), request.key)
        with _alone(key):
            submitted = _submit(session, client, prepared.spec, key)
    return submitted._replace(warning=prepared.warning if submitted.task else None)


def _submit(session: TaskSession, client: Client, spec: TaskSpec, key: SubmissionKey) -> Submitted:
    """Submit *spec* unless it was submitted before; one that another process is submitting is waited for."""
    from .._store.processes import is_submitting
    from .._store.submission_keys import RepeatedSubmissionError, find_earlier

    clock = session.clock
    deadline = clock.monotonic() + OTHER_SECONDS
    while True:
        earlier = find_earlier(session.database, key, now=clock.time())
        if earlier is None:
            try:
                task = client.create_task(spec)
            except RepeatedSubmissionError as error:  # another process was faster
                earlier = error.earlier
            else:
                return Submitted(task.ref, task)
        is_other = earlier.ref is None and is_submitting(earlier.intent, now=clock.time())
        if not is_other or clock.monotonic() >= deadline:
            return Submitted(_ref_of(client, earlier, is_other=is_other), is_other_content=not earlier.is_same_content)
        clock.sleep(OTHER_PAUSE)


@contextmanager
def _alone(key: SubmissionKey) -> Iterator[None]:
    """Let no other thread submit what has the same digest or the same name."""
    with ExitStack() as stack:
        for name in sorted({f"digest:{key.digest}", f"name:{key.name}"} - {"name:None"}):
            stack.enter_context(_locks.setdefault(name, Lock()))
        yield


def _digest(session: TaskSession, provider: str, spec: TaskSpec) -> str:
    """Return what is equal for two submissions of the same prompt to the same place."""
    account = session.workspace.config.get("account")
    return digest_of(provider, account, spec.repository, spec.environment, spec.branch, spec.mode, spec.prompt.strip())


def _ref_of(client: Client, earlier: EarlierSubmission, *, is_other: bool) -> TaskRef:
    """Return the task of an earlier submission, which is searched for where its answer was lost."""
    if earlier.ref is not None:
        return earlier.ref
    if is_other:
        raise errors.ConflictError(
            "another process is submitting the same", status=409, remedy="call it again in a minute"
        )
    found = [each for each in client.resume_submissions() if each.intent.id == earlier.intent.id]
    for resumed in found:
        if resumed.task is not None:
            return resumed.task.ref
    raise errors.SubmissionUncertainError(
        "the answer to the same submission was lost before, and its task is not found; it was not sent again",
        spec=None,
        candidates=[ref for each in found for ref in each.candidates],
        remedy=f"read the list of tasks of {earlier.intent.provider}; a new key submits it again",
    )
