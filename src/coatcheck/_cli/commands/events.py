"""`events`: what happened to tasks, from the store of this user."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import click

from ... import errors
from ..._app.stored_events import StoredEvents
from ..._runtime.provider_lookup import require_provider
from ..._runtime.system_clock import SystemClock
from ..context import CommandContext, command
from ..formatting import event as event_lines
from ..json_output import to_object

if TYPE_CHECKING:
    from ..._model.tasks import TaskRef
    from ..._store.events import StoredEvent

# What events are about, beside tasks.
SUBJECTS = ("gate:", "review:", "fleet:")


@command(
    "events",
    has_provider=False,
    examples="""
coatcheck events
coatcheck events local:task_e_6a0
coatcheck events --follow --json | jq -r .event.type
coatcheck events --after 42 --json
""",
)
@click.argument("subject", metavar="[REF]", required=False)
@click.option("--follow", is_flag=True, help="Print further events as they are stored, until Ctrl-C.")
@click.option("--after", type=click.IntRange(min=0), metavar="ID", help="Begin after this event: an `id` of --json.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=100, metavar="N", help="Print at most N events (default: 100)."
)
def events_command(run: CommandContext, *, subject: str | None, follow: bool, after: int | None, limit: int) -> None:
    """Print the stored events, or those of one task.

    REF may also be gate:ID, review:NAME or fleet:NAME. The oldest comes first, and no request is sent. Without --after
    these are the last ones. With --json each event is one line, with the number after which to resume.
    --follow prints what any process stores from now on; with --after it prints all events after that one first.
    """
    about = _subject(run, subject)
    clock = run.process_env.clock or SystemClock()
    with closing(StoredEvents(run.config, clock=clock)) as stored:
        if after is not None and stored.has_lost(after):
            run.warn(f"Events after {after} were deleted; the oldest that is kept follows.")
        if not (follow and after is not None):
            newest, event = stored.newest_id(), None
            for event in stored.read(after=after, subject=about, limit=limit):
                _show(run, event, is_named=about is None)
            if event is None and not follow:
                _explain_nothing(run, stored, about)
            after = newest
        if follow:
            for event in stored.follow(after=after, subject=about, sleep=clock.sleep):
                _show(run, event, is_named=about is None)


def _subject(run: CommandContext, text: str | None) -> TaskRef | str | None:
    """Return what the events are about: the ref of a task, or the name of something else."""
    if text is None or text.startswith(SUBJECTS):
        return text
    ref = run.ref(text)
    require_provider(ref.provider, lambda: run.config)
    return ref


def _explain_nothing(run: CommandContext, stored: StoredEvents, subject: TaskRef | str | None) -> None:
    """Say why nothing was printed. Raises `TaskError` for a task of which nothing is stored."""
    if subject is None or stored.read(after=None, subject=subject, limit=1):
        run.note("No events are stored." if subject is None else f"No events of {subject} are stored after that one.")
        return
    if isinstance(subject, str):
        raise errors.ConfigurationError(f"no events of {subject} are stored", remedy="list all with: coatcheck events")
    raise errors.TaskError(
        f"no events of {subject} are stored",
        ref=subject,
        remedy=f"get the task from its service with: coatcheck show {subject}",
    )


def _show(run: CommandContext, stored: StoredEvent, *, is_named: bool) -> None:
    if run.is_json:
        run.print_document(to_object(stored, is_summary=True), is_line=True)
    else:
        moment = stored.recorded_at.timestamp()
        run.console.show_all(event_lines(stored.event, moment, is_named=is_named, markdown=run.markdown))
