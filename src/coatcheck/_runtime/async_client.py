"""The asynchronous client, for asyncio. `client` has the same methods, which a test compares."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

from .._engine.operations import as_bytes
from .._engine.poll_context import Interval
from .._model.catalogue import Environment, Model
from .._model.outcome import Attempt
from .._model.tasks import Page, Task, TaskRef, TaskSpec, TaskState
from .._model.usage import Usage
from .._protocol.effects import Script
from .._protocol.provider import Capabilities, TaskFilter
from .async_driver import AsyncDriver, aiterate, aperform
from .background_refresh import BackgroundRefresh
from .base_client import BaseClient, Seconds, interval_of, seconds
from .channel_transport import AsyncChannelTransport
from .driver import closed_client
from .session import DEFAULT_TIMEOUT, Session, spec_of
from .transport import AsyncTransport

if TYPE_CHECKING:
    from .._engine.submit import ResumedSubmission
    from .._model.events import TaskEvent
    from .._model.gates import PlanDecision
    from .token_manager import AsyncTokenManager

T = TypeVar("T")


class AsyncClient(BaseClient[AsyncTransport]):
    """Submit tasks to one provider and fetch their results.

    The options are described at ``__init__``. The first call finds the login and opens connections. Close it, or use it in
    an ``async with`` block.
    One client belongs to one event loop; thousands of tasks may be polled in it at once.
    """

    _opened: tuple[Session, AsyncDriver] | None = None
    _background_refresh: BackgroundRefresh | None = None
    _is_closed = False

    async def __aenter__(self) -> Self:
        self._background_refresh = BackgroundRefresh()
        if self._opened is not None:
            self._background_refresh.refresh_when_known(self._session.credentials, self._driver)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; calls of other tasks that are under way raise.

        A closed client raises `ConfigurationError`.
        """
        self._is_closed = True
        if self._background_refresh is not None:
            await self._background_refresh.aclose()
        if self._opened is not None:
            session, driver = self._opened
            await driver.settle()  # first, so that a refresh that has begun keeps its answer
            driver.close()
            await driver.aclose_channels()
            if session.has_journal:
                await asyncio.to_thread(session.close)  # which waits for a transaction
        if self._transport is not None:
            await self._transport.aclose()

    @property
    def capabilities(self) -> Capabilities:
        """Return what the provider supports, with the source of each statement."""
        return self._session.provider.capabilities

    @property
    def tokens(self) -> AsyncTokenManager:
        """Return the login of this client: its token, its status, and logging in and out."""
        from .token_manager import AsyncTokenManager, login_of  # logging in and out is rare

        return AsyncTokenManager(login_of(self._session.credentials), self._driver)

    async def create_task(
        self,
        prompt: str | TaskSpec,
        *,
        repository: str | None = None,
        environment: str | None = None,
        branch: str | None = None,
        attempts: int | None = None,
        mode: Literal["code", "ask"] | None = None,
        starting_diff: str | None = None,
        model: str | None = None,
    ) -> Task:
        """Submit a task and return at once, with its ref. Step 1/2: it has not ended yet, call `poll_task`.

        Give *environment* (id or label) or *repository* (``owner/repo``), or a whole `TaskSpec`, whose fields keywords
        replace. *attempts* is 1 and *mode* is "code" unless given. A task is created once on any network;
        when that cannot be determined, `SubmissionUncertainError` is raised.
        Raises `ConfigurationError`, `NotLoggedInError`, `RateLimitError`, `InvalidRequestError` and other
        `ProviderError`.
        """
        spec = spec_of(
            prompt,
            repository=repository,
            environment=environment,
            branch=branch,
            attempts=attempts,
            mode=mode,
            starting_diff=starting_diff,
            model=model,
        )
        return await self._do(self._session.verbs.create_task(spec), "while submitting")

    async def poll_task(
        self,
        ref: TaskRef | str | Task,
        *,
        timeout: Seconds | None = DEFAULT_TIMEOUT,
        interval: Seconds | Interval | None = None,
        first: bool = False,
        approve: Callable[[Task], PlanDecision] | None = None,
        on_change: Callable[[Task], object] | None = None,
    ) -> Task:
        """Wait until a task has ended or needs input, and return it. Step 2/2.

        A `Task` in place of its ref saves the first request. *timeout* (seconds or `timedelta`) is for the whole wait;
        None waits without limit. *interval* is the pause between polls (seconds or `timedelta`), or a function from the
        task's age to the pause, both in seconds; None takes a schedule that is estimated from earlier tasks.
        With several attempts all must have ended, or with *first* any.
        *approve* is called with each task whose plan waits for approval: True approves the plan and continues the wait,
        "sent" continues it because another process approves the plan.
        *on_change* is called with the task whenever it has changed. Raises `WaitTimeoutError`, whose `ref` is all that
        is needed to wait again: the task is still running.
        """
        script = self._session.verbs.poll_task(
            ref,
            timeout=seconds(timeout),
            interval=interval_of(interval),
            first=first,
            approve=approve,
            on_change=on_change,
        )
        return await self._do(script, "while polling", ref.ref if isinstance(ref, Task) else ref)

    async def poll_tasks(
        self,
        refs: Iterable[TaskRef | str],
        *,
        timeout: Seconds | None = DEFAULT_TIMEOUT,
        interval: Seconds | Interval | None = None,
    ) -> AsyncIterator[Task]:
        """Iterate over tasks as they end. Step 2/2, for many tasks.

        Pages of the service's list are read in place of single tasks where that is fewer requests.
        Raises `WaitTimeoutError` for the first task that has not ended by *timeout*; the error of a task that the
        service does not return is raised when the others have ended.
        """
        script = self._session.verbs.poll_tasks(refs, timeout=seconds(timeout), interval=interval_of(interval))
        async for value in aiterate(script, self._driver):
            yield value

    async def create_task_and_wait(
        self,
        prompt: str | TaskSpec,
        *,
        repository: str | None = None,
        environment: str | None = None,
        branch: str | None = None,
        attempts: int | None = None,
        mode: Literal["code", "ask"] | None = None,
        starting_diff: str | None = None,
        model: str | None = None,
        timeout: Seconds | None = DEFAULT_TIMEOUT,
        interval: Seconds | Interval | None = None,
        first: bool = False,
        approve: Callable[[Task], PlanDecision] | None = None,
        on_change: Callable[[Task], object] | None = None,
    ) -> Task:
        """Submit a task and wait for its end. Steps 1/2 and 2/2 in one call: it takes minutes or hours.

        Raises what `create_task` and `poll_task` raise.
        """
        task = await self.create_task(
            prompt,
            repository=repository,
            environment=environment,
            branch=branch,
            attempts=attempts,
            mode=mode,
            starting_diff=starting_diff,
            model=model,
        )
        return await self.poll_task(
            task, timeout=timeout, interval=interval, first=first, approve=approve, on_change=on_change
        )

    async def get_task(self, ref: TaskRef | str) -> Task:
        """Fetch a task: one request, or several where the service divides a task over several resources.

        Step 2/2, without waiting. Other attempts are known by number, without their outcomes.
        """
        return await self._do(self._session.verbs.get_task(ref), f"while fetching {ref}")

    async def get_task_status(self, ref: TaskRef | str) -> TaskState:
        """Return the state of a task, with the requests of `get_task`. Step 2/2, without waiting."""
        return await self._do(self._session.verbs.get_task_status(ref), f"while fetching {ref}")

    async def get_task_response(self, ref: TaskRef | str) -> bytes:
        """Return the service's response for a task as bytes: one request. `extract_response` decodes it."""
        return await self._do(self._session.verbs.get_task_response(ref), f"while fetching {ref}")

    def extract_response(
        self, response: bytes | str | Mapping[str, Any], *, siblings: bytes | str | Mapping[str, Any] | None = None
    ) -> Task:
        """Decode a response, fetched or saved, into a `Task` with its outcome. Sends no request.

        *siblings* is the saved response for the other attempts. Raises `UnreadableResponseError` naming the JSON path.
        """
        others = None if siblings is None else as_bytes(siblings)
        return self._session.verbs.extract_response(as_bytes(response), others)

    async def list_attempts(self, ref: TaskRef | str | Task) -> tuple[Attempt, ...]:
        """Return every attempt of a task with its state and outcome, by number."""
        return await self._do(self._session.verbs.list_attempts(ref), "while listing attempts")

    async def list_tasks(
        self,
        *,
        filter: TaskFilter = "current",
        environment: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> AsyncIterator[Task]:
        """Iterate over tasks, newest first, following the service's pages until *limit* (None: all)."""
        script = self._session.verbs.list_tasks(filter=filter, environment=environment, limit=limit, cursor=cursor)
        async for value in aiterate(script, self._driver):
            yield value

    async def get_page(
        self,
        *,
        filter: TaskFilter = "current",
        environment: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page:
        """Return one page of the list with the cursor of the next: one request."""
        return await self._do(
            self._session.verbs.get_page(filter=filter, environment=environment, limit=limit, cursor=cursor),
            "while listing tasks",
        )

    async def watch_task(
        self,
        ref: TaskRef | str,
        *,
        timeout: Seconds | None = DEFAULT_TIMEOUT,
        interval: Seconds | Interval | None = None,
        after: str | None = None,
    ) -> AsyncIterator[TaskEvent]:
        """Iterate over the events of a task (states, messages, progress, statistics) until its end. Step 2/2.

        *after* is the `cursor` of the last event that you have: events after it follow.
        Raises `WaitTimeoutError`.
        """
        script = self._session.verbs.poll_task(
            ref, timeout=seconds(timeout), interval=interval_of(interval), first=False, after=after, is_watched=True
        )
        async for value in aiterate(script, self._driver):
            yield value

    async def watch_tasks(
        self,
        refs: Iterable[TaskRef | str],
        *,
        timeout: Seconds | None = DEFAULT_TIMEOUT,
        interval: Seconds | Interval | None = None,
        after: Mapping[TaskRef, str] | Mapping[str, str] | None = None,
    ) -> AsyncIterator[TaskEvent]:
        """Iterate over the events of many tasks, each until its end. Step 2/2, for many tasks.

        `TaskEvent.ref` is the task of an event. Where the service has a list, its pages are read every *interval* and
        show states; the details of a task are fetched less often, the more tasks a page shows: of a hundred running
        tasks, ten at a time. None takes a schedule as `poll_task` does.
        *after* has for each ref the `cursor` of the last event that you have; `watch_task` takes them too.
        Raises `WaitTimeoutError` for the first task that has not ended by *timeout*.
        """
        script = self._session.verbs.watch_tasks(
            refs, timeout=seconds(timeout), interval=interval_of(interval), after=after
        )
        async for value in aiterate(script, self._driver):
            yield value

    async def stream_task(
        self, ref: TaskRef | str, *, timeout: Seconds | None = DEFAULT_TIMEOUT, after: str | None = None
    ) -> AsyncIterator[TaskEvent]:
        """Iterate over the service's live events; their end is the end of the stream, not of the task.

        *after* is the id of an event, of this stream or of a watch: the stream continues after it. Raises
        `ConfigurationError` where the service's streams begin at their first event only, and `WaitTimeoutError` where the
        stream has not ended by *timeout* (seconds or `timedelta`); None reads it without limit.
        """
        async for value in aiterate(
            self._session.verbs.stream_task(ref, timeout=seconds(timeout), after=after), self._driver
        ):
            yield value

    async def get_current_diff(self, ref: TaskRef | str, *, attempt: int | None = None) -> str:
        """Return the diff of an attempt (its number; None: the first) as it is now, also while its agent works.

        Raises `UnsupportedError` where the service shows a diff only at the end.
        """
        return await self._do(
            self._session.verbs.get_current_diff(ref, attempt=attempt), "while fetching the current diff"
        )

    async def get_usage(self) -> Usage:
        """Return what the account has used, every window with the time it resets."""
        return await self._do(self._session.verbs.get_usage(), "while fetching usage")

    async def list_environments(self, *, repository: str | None = None) -> tuple[Environment, ...]:
        """Return the environments of the account, or those of *repository* (``owner/repo``)."""
        return await self._do(
            self._session.verbs.list_environments(repository=repository), "while listing environments"
        )

    async def list_models(self) -> tuple[Model, ...]:
        """Return the models, newest first: those that are known, dated by `Model.as_of`, or those that the service lists."""
        return await self._do(self._session.verbs.list_models(), "while listing models")

    async def cancel_task(self, ref: TaskRef | str) -> None:
        """Request that the service stops a task; `poll_task` returns when it has."""
        await self._do(self._session.verbs.cancel_task(ref), f"while cancelling {ref}")

    async def archive_task(self, ref: TaskRef | str) -> None:
        """Move a task out of the current list."""
        await self._do(self._session.verbs.archive_task(ref), f"while archiving {ref}")

    async def unarchive_task(self, ref: TaskRef | str) -> None:
        """Move a task back into the current list."""
        await self._do(self._session.verbs.unarchive_task(ref), f"while unarchiving {ref}")

    async def delete_task(self, ref: TaskRef | str) -> None:
        """Delete a task permanently."""
        await self._do(self._session.verbs.delete_task(ref), f"while deleting {ref}")

    async def send_message(
        self, ref: TaskRef | str, text: str, *, mode: Literal["code", "ask"] = "code", model: str | None = None
    ) -> Task:
        """Send a follow-up message to a task. Step 1/2 again: the task runs again, so call `poll_task`."""
        return await self._do(
            self._session.verbs.send_message(ref, text, mode=mode, model=model), f"while sending a message to {ref}"
        )

    async def approve_plan(self, ref: TaskRef | str) -> None:
        """Approve the plan of a task; it continues to run, so call `poll_task` again."""
        await self._do(self._session.verbs.approve_plan(ref), f"while approving the plan of {ref}")

    async def decide_permission(self, ref: TaskRef | str, request: str, option: str) -> None:
        """Choose an option of one of a task's `permission_requests`, by the ids of both; the task continues."""
        script = self._session.verbs.decide_permission(ref, request, option)
        await self._do(script, f"while deciding a permission of {ref}")

    async def create_pull_request(self, ref: TaskRef | str, *, attempt: int | None = None, draft: bool = True) -> None:
        """Request that the service opens a pull request; the task shows it some seconds later."""
        script = self._session.verbs.create_pull_request(ref, attempt=attempt, draft=draft)
        await self._do(script, f"while opening a pull request for {ref}")

    async def resume_submissions(self) -> AsyncIterator[ResumedSubmission]:
        """Resolve submissions whose result is unknown after a crash or a lost response. Step 1/2, finished later."""
        async for value in aiterate(self._session.verbs.resume_submissions(), self._driver):
            yield value

    @property
    def _session(self) -> Session:
        return self._open()[0]

    @property
    def _driver(self) -> AsyncDriver:
        return self._open()[1]

    def _open(self) -> tuple[Session, AsyncDriver]:
        if self._is_closed:
            raise closed_client()
        if self._opened is None:
            session = Session(self._options)
            if self._transport is None:
                self._transport = _transport(session)
            driver = AsyncDriver(
                self._transport,
                session.clock,
                max_in_flight=self._options.max_in_flight,
                channels=partial(_channels, session),
            )
            self._opened = session, driver
            if self._background_refresh is not None:
                self._background_refresh.refresh_when_known(session.credentials, driver)
        return self._opened

    def _do(self, script: Script[T], doing: str, ref: object = "") -> Coroutine[Any, Any, T]:
        return aperform(script, self._driver, doing=doing, ref=ref)


def _channels(session: Session) -> AsyncChannelTransport:
    from .channel_opener import AsyncChannelOpener  # with the first channel

    return AsyncChannelOpener(session.transport_options())


def _transport(session: Session) -> AsyncTransport:
    if session.transport_name == "httpx2":
        from .transport_httpx2 import AsyncHttpx2Transport

        return AsyncHttpx2Transport(session.transport_options())
    from .transport import AsyncReqwestTransport

    return AsyncReqwestTransport(session.transport_options())
