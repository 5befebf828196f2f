"""The engine of many machines: PgQueuer on the PostgreSQL server of the store (https://pgqueuer.readthedocs.io).

Invariants:

- the queue has kinds and numbers of rows, nothing else: whoever can write it can start no command;
- only workers with the same *namespace* (of equal fleet files) take jobs from one another;
- a job is in the queue once, and those of a worker that is silent for *heartbeat* seconds are given to others;
- submissions, rounds of polling and deliveries have slots for all workers together, reviews for each worker: they need
  its processors;
- the tables are read once a second by one worker at a time;
- when the database goes away the work is begun again on new connections, until it is back.

PgQueuer, asyncpg and their modules are imported when the engine works.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from .. import errors
from .._installation import install_command
from .._protocol.urls import password_parts, without_password
from .engine import Due, Handler, Job, Kind, OnError
from .together import run_together

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from .._protocol.effects import Clock

# croniter's sixth field is seconds (https://github.com/kiorky/croniter).
EACH_SECOND = "* * * * * *"
HEARTBEAT_SECONDS = 30.0
# Connections of a worker: one listens, the others claim and report jobs.
CONNECTIONS = 4
# Until the next attempt to connect, and between two readings of what is due after jobs (seconds).
RECONNECT_SECONDS, READ_SECONDS = 1.0, 0.2
# How often a worker reads the queue where no notification arrives: the check of the listener that PgQueuer offers is not
# used, because its first one may be sent before the listener is ready.
POLL_SECONDS = 2.0
BATCH = 8
NO_LOG = logging.NullHandler()


class PgQueuerEngine:
    """Distributes jobs among the workers of one *namespace* in the database at *url*; *due* reads the tables."""

    def __init__(
        self,
        due: Due,
        *,
        url: str,
        namespace: str,
        clock: Clock,
        on_error: OnError,
        on_notice: Callable[[str], None],
        heartbeat: float = HEARTBEAT_SECONDS,
    ) -> None:
        self._due, self._url, self._namespace, self._clock, self._on_error = due, url, namespace, clock, on_error
        self._notice = on_notice
        self._heartbeat = timedelta(seconds=heartbeat)
        self._queries: Any = None
        self._active = 0
        self._is_over = self._is_away = False
        self._changed = asyncio.Event()
        self._failure: BaseException | None = None
        self._shutdown = asyncio.Event()  # of the managers of one pool

    async def ask(self, jobs: Iterable[Job]) -> None:
        """Queue those of *jobs* that are neither queued nor running at any worker."""
        jobs = [*dict.fromkeys(jobs)]
        if jobs:
            await self._queries.enqueue(
                [self._name(job.kind) for job in jobs],
                [str(job.id).encode() for job in jobs],
                [0] * len(jobs),
                dedupe_key=[f"{self._name(job.kind)} {job.id}" for job in jobs],
                on_conflict="skip",
            )

    async def work(self, handlers: Mapping[Kind, Handler], slots: Mapping[Kind, int]) -> None:
        """Do jobs of the kinds of *handlers* until nothing is left to do. Raises `StoreError` where `install` is missing."""
        _require()
        while not self._is_ended:
            try:
                async with _pool(self._url) as pool:
                    await self._work(pool, handlers, slots)
            except errors.CoatcheckError:
                raise
            except Exception as error:
                if not _is_outage(error):
                    raise _store_error(self._url, error) from error
                self._report_outage(_reason(error))
            if not self._is_ended:
                await self._clock.asleep(RECONNECT_SECONDS)
        if self._failure is not None:
            raise self._failure

    @property
    def _is_ended(self) -> bool:
        return self._is_over or self._failure is not None

    async def _work(self, pool: Any, handlers: Mapping[Kind, Handler], slots: Mapping[Kind, int]) -> None:
        """Work on one pool of connections until nothing is left to do, or the database goes away."""
        from pgqueuer.core.qm import QueueManager
        from pgqueuer.core.sm import SchedulerManager
        from pgqueuer.db import AsyncpgPoolDriver
        from pgqueuer.domain.settings import db_settings
        from pgqueuer.queries import Queries

        self._queries, self._shutdown = Queries(AsyncpgPoolDriver(pool)), asyncio.Event()
        await self._require_schema(self._queries)
        scheduler = SchedulerManager(self._queries)
        scheduler.schedule(self._name("tick"), EACH_SECOND, clean_old=False)(self._tick)
        managers = []
        for kinds in self._groups(handlers):
            manager = QueueManager(self._queries, db_settings().channel)
            for kind in kinds:
                limit = 0 if kind == "review" else slots[kind]
                handle = self._handle(kind, handlers[kind], asyncio.Semaphore(slots[kind]))
                manager.entrypoint(self._name(kind), concurrency_limit=limit)(handle)
            own = slots["review"] if kinds == ["review"] else None
            managers.append(self._run(manager, own))
            manager.shutdown = self._shutdown
        scheduler.shutdown = self._shutdown
        await self._together([*managers, scheduler.run()])

    def _groups(self, handlers: Mapping[Kind, Handler]) -> Sequence[list[Kind]]:
        """Return the kinds by how they are limited: for all workers together, and for each one."""
        shared: list[Kind] = [kind for kind in handlers if kind != "review"]
        own: list[Kind] = [kind for kind in handlers if kind == "review"]
        return [kinds for kinds in (shared, own) if kinds]

    async def _run(self, manager: Any, own: int | None) -> None:
        batch = BATCH if own is None else max(1, own // 2)
        await manager.run(
            batch_size=batch,
            max_concurrent_tasks=None if own is None else max(own, 2 * batch),
            dequeue_timeout=timedelta(seconds=POLL_SECONDS),
            heartbeat_timeout=self._heartbeat,
        )

    async def _together(self, coroutines: Sequence[Any]) -> None:
        """Run managers until one ends; the others are stopped, and their jobs are given to other workers."""
        reader = asyncio.ensure_future(self._read_changes())
        try:
            await run_together(coroutines)
        finally:
            self._shutdown.set()
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    # --- jobs ---------------------------------------------------------------------------------------------------------

    def _handle(self, kind: Kind, handler: Handler, slots: asyncio.Semaphore) -> Any:
        """Return a function of PgQueuer's job that runs *handler*; it raises nothing, because the tables say what is due."""

        async def handle(job: Any) -> None:
            async with slots:
                self._active += 1
                try:
                    await self._do(Job(kind, job.payload.decode()), handler)
                finally:
                    self._active -= 1

        return handle

    async def _do(self, job: Job, handler: Handler) -> None:
        try:
            if await handler(job):
                self._changed.set()
        except errors.StoreError as error:
            self._report_outage(str(error))
        except errors.CoatcheckError as error:
            self._on_error(job, error)
        except Exception as error:  # noqa: BLE001 - raised by `work`
            if _is_outage(error):
                return
            self._failure = error
            self._shutdown.set()

    async def _tick(self, _schedule: Any) -> None:
        """Queue what is due; stop where nothing is left to do."""
        try:
            is_going = await self._read_due(is_tick=True)
        except errors.StoreError as error:
            self._report_outage(str(error))
            return
        except errors.CoatcheckError as error:
            self._failure, is_going = error, False
        if not is_going and not self._active:
            self._is_over = True
            self._shutdown.set()

    async def _read_changes(self) -> None:
        """Queue what is due after jobs that changed something; errors are raised by the next tick."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            with suppress(Exception):
                await self._read_due(is_tick=False)
            await self._clock.asleep(READ_SECONDS)

    async def _read_due(self, *, is_tick: bool) -> bool:
        jobs, is_going = self._due(is_tick=is_tick)
        await self.ask(jobs)
        self._is_away = False
        return is_going

    def _report_outage(self, reason: str) -> None:
        """Report that the database cannot be used, once until it can."""
        if not self._is_away:
            self._is_away = True
            self._notice(f"the database is away, and is tried again: {reason}")

    def _name(self, kind: str) -> str:
        return f"coatcheck.{self._namespace}.{kind}"

    async def _require_schema(self, queries: Any) -> None:
        if not await queries.schema_is_installed():
            location = without_password(self._url)
            raise errors.StoreError(f"{location} has no tables of PgQueuer", location=location, remedy=INSTALL)


INSTALL = "create them with: coatcheck fleet init"


async def install(url: str) -> bool:
    """Create the tables of PgQueuer, or bring them up to date; whether they were created."""
    _require()
    from pgqueuer.db import AsyncpgPoolDriver
    from pgqueuer.queries import Queries

    try:
        async with _pool(url, connections=1) as pool:
            queries = Queries(AsyncpgPoolDriver(pool))
            if await queries.schema_is_installed():
                await queries.upgrade()
                return False
            await queries.install()
            return True
    except Exception as error:
        raise _store_error(url, error) from error


def _store_error(url: str, error: Exception) -> errors.StoreError:
    """Return the error for one of asyncpg or PgQueuer; it shows no part of the password."""
    location, reason = without_password(url), _reason(error)
    if any(part in reason for part in password_parts(url)):
        reason = "its URL is not valid"
    return errors.StoreError(
        f"the queue in {location} cannot be used: {reason}",
        location=location,
        remedy="check COATCHECK_DATABASE, and bring the tables up to date with: coatcheck fleet init",
    )


@asynccontextmanager
async def _pool(url: str, connections: int = CONNECTIONS) -> AsyncIterator[Any]:
    """Open connections, and close them without waiting for what is under way."""
    import asyncpg

    for name in ("asyncpg", "pgqueuer"):  # what they log is raised as well; without a handler tracebacks are printed
        logging.getLogger(name).addHandler(NO_LOG)
    pool = asyncpg.create_pool(
        url, min_size=0, max_size=connections, server_settings={"application_name": "coatcheck worker"}
    )
    try:
        await pool
        yield pool
    finally:
        with suppress(Exception):
            await asyncio.wait_for(pool.close(), 2.0)
        pool.terminate()


def _is_outage(error: BaseException) -> bool:
    """Whether an error is of the connection to the database."""
    import asyncpg
    from pgqueuer.domain.errors import FailingListenerError

    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_outage, error.exceptions))
    kinds = (
        *(asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError, asyncpg.InterfaceError),
        *(asyncpg.TransactionRollbackError, FailingListenerError, OSError, TimeoutError),
    )
    return isinstance(error, kinds)


def _reason(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _require() -> None:
    try:
        import asyncpg  # noqa: F401 - whether it is there
        import pgqueuer  # noqa: F401 - the same
    except ImportError as error:
        raise errors.ConfigurationError(
            f"workers need PgQueuer, which is not usable here: {error}",
            remedy=f"install it with: {install_command('workers')}",
        ) from None
