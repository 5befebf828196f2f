"""Run an ACP agent for one attempt: its process, its deadline, its cancellation.

Guarantees:
- the agent runs under the supervisor that runs commands: in the end no process that it started is left;
- the attempt's one deadline covers the process and the session. When it passes, or the attempt is cancelled, the turn is
  cancelled first; an agent that does not end it within `GRACE` seconds is killed;
- an agent that ends, or closes its output, before its turn has ended has failed, with what it wrote last as the reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from ..._workspaces.cancellation import CancelScope
from ..._workspaces.command_process import DRAIN, GRACE, MARK, OutputCapture, Supervised
from ..._workspaces.git import last_line
from ..attempts import AgentEnding
from ..models import CloudFailure
from .lines import LineTransport
from .session import PromptTurn
from .updates import SessionUpdates

# How long an agent whose input is closed may take to end by itself (seconds).
EXIT_TIMEOUT = 1.0
# What an agent writes to its standard output beside its messages is kept up to this size (characters).
MAX_TEXT = 256 * 1024


class AcpProcess:
    """One run of an agent; *on_line* gets each line that is no message, with the name of its stream."""

    def __init__(self, turn: PromptTurn, updates: SessionUpdates, on_line: Callable[[str, str], None]) -> None:
        self._turn, self._updates, self._on_line = turn, updates, on_line
        self._text: list[str] = []
        self._text_size = 0
        self._ended, self._cancelled = asyncio.Event(), asyncio.Event()
        self._is_cancelled = False

    def run(
        self,
        command: tuple[str, ...],
        *,
        cwd: Path,
        environ: Mapping[str, str],
        scope: CancelScope,
        cgroup: Path | None,
    ) -> AgentEnding:
        """Run the agent to the end of its turn. Raises `OSError` and `ValueError` where it cannot be started."""
        order = {
            "arguments": list(command),
            "cwd": str(cwd),
            "environ": dict(environ),
            "cgroup": cgroup and str(cgroup),
        }
        return asyncio.run(self._run(order, scope, environ.get(MARK)))

    async def _run(self, order: Mapping[str, object], scope: CancelScope, mark: str | None) -> AgentEnding:
        loop = asyncio.get_running_loop()
        supervised = Supervised(
            order, input=None, mark=mark, on_end=lambda: _call(loop, self._ended.set), has_input=True
        )
        process = supervised.process
        assert process.stdout is not None and process.stdin is not None and process.stderr is not None  # noqa: S101, PT018 - pipes
        errors = OutputCapture(process.stderr, lambda line: self._on_line("stderr", line))
        failure, is_timeout, transport = None, False, None
        try:
            with scope.on_cancel(lambda: _call(loop, self._cancel)):
                transport = await connect_lines(process.stdout, process.stdin, self._read_text)
                prompting = asyncio.ensure_future(self._turn.run(transport))
                is_timeout = await self._wait(prompting, scope)
                failure = await self._finish(prompting, transport)
                await self._let_end(supervised)
        finally:
            await asyncio.to_thread(supervised.end)
            if transport is not None:
                transport.release()
        if supervised.problem is not None:
            raise supervised.problem
        stderr = await asyncio.to_thread(errors.finish, time.monotonic() + DRAIN)
        return self._ending(failure, stderr, exit_code=supervised.exit_code, is_timeout=is_timeout)

    def _cancel(self) -> None:
        self._is_cancelled = True
        self._cancelled.set()

    def _read_text(self, line: str) -> None:
        if self._text_size < MAX_TEXT:
            self._text.append(line)
            self._text_size += len(line)
        self._on_line("stdout", line)

    async def _wait(self, prompting: asyncio.Future[CloudFailure | None], scope: CancelScope) -> bool:
        """Wait for the end of the turn; cancel it at the deadline, and where the attempt is cancelled."""
        stopped, ended = (asyncio.ensure_future(event.wait()) for event in (self._cancelled, self._ended))
        try:
            awaited = (prompting, stopped, ended)
            await asyncio.wait(awaited, timeout=scope.remaining(), return_when=asyncio.FIRST_COMPLETED)
            if ended.done() and not stopped.done():  # what it wrote last may still be in the pipe
                await asyncio.wait((prompting,), timeout=DRAIN)
                return False
            if prompting.done():
                return False
            if self._turn.session is not None:  # without a session there is nothing to cancel
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(GRACE):
                        await self._turn.cancel()
                        await asyncio.wait((prompting,))
            return not stopped.done()
        finally:
            stopped.cancel()
            ended.cancel()

    @staticmethod
    async def _finish(prompting: asyncio.Future[CloudFailure | None], transport: LineTransport) -> CloudFailure | None:
        """Return why the turn failed; one that has not ended is given up: its agent has ended, or is killed."""
        if not prompting.done():
            prompting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            return await prompting
        await transport.close()
        return CloudFailure(code="agent_ended", message="the agent ended before its turn")

    async def _let_end(self, supervised: Supervised) -> None:
        """Let an agent whose input is closed end by itself, then ask it to."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0 if self._is_cancelled else EXIT_TIMEOUT):
                await self._ended.wait()
        if not self._ended.is_set():
            await asyncio.to_thread(supervised.terminate, GRACE)

    def _ending(self, failure: CloudFailure | None, stderr: str, *, exit_code: int, is_timeout: bool) -> AgentEnding:
        output = "\n".join(self._text)
        self._updates.flush()  # an agent that died has not ended its last paragraph
        if failure is not None and failure.code == "agent_ended":
            failure = _ended_early(failure, exit_code, stderr or output or self._updates.message)
        return AgentEnding(
            message=self._updates.message,
            is_message_shown=True,
            outputs=(("agent", self._updates.record), ("stdout", output), ("stderr", stderr)),
            failure=failure,
            is_timeout=is_timeout,
            is_cancelled=self._is_cancelled,
            session=self._turn.session,
            usage=self._updates.usage or None,
            notes=tuple(self._updates.notes),
        )


def _ended_early(failure: CloudFailure, exit_code: int, output: str) -> CloudFailure:
    """Return the failure of an agent that ended before its turn: its exit code, and the last line that it wrote."""
    how = f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"
    reason = last_line(output) or "it wrote nothing"
    code = f"agent_exit_{exit_code}" if exit_code > 0 else "agent_ended"
    return CloudFailure(code=code, message=f"{failure.message} ({how}): {reason}"[:1000])


def _call(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    """Call *callback* in the loop, from any thread; a loop that is closed needs no call."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(callback)


async def connect_lines(output: IO[bytes], input: IO[bytes], on_text: Callable[[str], None]) -> LineTransport:
    """Return the messages of an agent behind two pipes."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    reading, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), output)
    writing, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, input)
    return LineTransport(reader, asyncio.StreamWriter(writing, protocol, None, loop), on_text, on_release=reading.close)
