"""`gates` lists pending decisions; `approve`, `reject` and `answer` decide them."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import click

from ... import errors
from ..._app.gates import TASK_KINDS, Gates, open_gate_of
from ..._model.gates import PREFIX, STATES
from ..._model.tasks import TaskRef
from ..._protocol.provider import Verb
from ..._runtime.system_clock import SystemClock
from ..context import CommandContext, command
from ..gates import gate_details, gate_lines, log_line
from ..json_output import to_object
from ..option_rules import refuse_together, require_option
from ..prompts import read_prompt

if TYPE_CHECKING:
    from ..._model.gates import Gate

subject_argument = click.argument("subject", metavar="REF|GATE")
gate_argument = click.argument("gate", metavar="[GATE]", required=False)
why_option = click.option("--why", "--comment", "why", metavar="TEXT", help="The reason, for the log.")
option_option = click.option("--option", "option", metavar="ID", help="Choose this option of the gate.")
digest_option = click.option(
    "--digest", metavar="SHA256", help="Decide only if the gate has this digest: a `digest` of `gates --json`."
)

# What gates are about, beside tasks.
OTHER_SUBJECTS = ("fleet:", "review:", "submission:", "file:")


def open_gates(run: CommandContext) -> Gates:
    """Return the gates of this user's store; close them."""
    return Gates(run.config, clock=run.process_env.clock or SystemClock())


# --- listing ----------------------------------------------------------------------------------------------------------


@command(
    "gates",
    has_provider=False,
    examples="""
coatcheck gates
coatcheck gates gate:1a2b3c4d
coatcheck gates --state all --json
coatcheck gates --log --json
""",
)
@click.argument("subject", metavar="[REF|GATE]", required=False)
@click.option(
    "--state", type=click.Choice([*STATES, "all"]), help="List gates in this state (default: open).", default=None
)
@click.option("--log", "is_log", is_flag=True, help="Print the log of decisions, the oldest first.")
@click.option(
    "--after", type=click.IntRange(min=0), metavar="ID", help="--log: Begin after this entry: an `id` of --json."
)
@click.option("--limit", type=click.IntRange(min=1), default=100, metavar="N", help="At most N (default: 100).")
def gates_command(
    run: CommandContext, *, subject: str | None, state: str | None, is_log: bool, after: int | None, limit: int
) -> None:
    """List the decisions that are pending: plans, permissions, submissions, patches, questions.

    With a GATE everything about it is printed, with a REF the gates of a task. --log prints who decided what, by which
    way, why, and on which digest, one line each with --json; nothing deletes that log.
    """
    refuse_together({"REF": subject, "--log": is_log})
    refuse_together({"--state": state, "--log": is_log})
    require_option("--after", after, "--log", is_log)
    with closing(open_gates(run)) as gates:
        if is_log:
            _print_log(run, gates, after, limit)
        elif subject is not None and subject.startswith(PREFIX):
            gate = gates.find(subject)
            run.answer(lambda: {"gates": [to_object(gate)]}, lambda: gate_details(run, gate))
        else:
            chosen: Any = {"all": None, None: "open"}.get(state, state)
            about = subject if subject is None or subject.startswith(OTHER_SUBJECTS) else str(run.ref(subject))
            found = gates.list(subject=about, state=chosen, limit=limit)
            run.answer(
                lambda: {"gates": many_gates(found)}, lambda: gate_lines(found, run.now, subject=about), is_long=True
            )


def many_gates(gates: Any) -> list[dict[str, Any]]:
    """Return gates as JSON objects."""
    return [to_object(gate) for gate in gates]


def _print_log(run: CommandContext, gates: Gates, after: int | None, limit: int) -> None:
    entries = gates.log(after=after, limit=limit)
    for entry in entries:
        if run.is_json:
            run.print_document(to_object(entry), is_line=True)
        else:
            run.console.show_all([log_line(entry, run.now)])
    if not entries:
        run.note("Nothing was decided yet.")


# --- deciding ---------------------------------------------------------------------------------------------------------


@command(
    "approve",
    examples="""
coatcheck approve jules:1234567890
coatcheck approve gate:1a2b3c4d --why "read it"
""",
)
@subject_argument
@gate_argument
@why_option
@option_option
@digest_option
def approve_command(run: CommandContext, *, subject: str, gate: str | None, **options: Any) -> int:
    """Approve what waits: a plan, a permission, a submission, a patch, an item of a fleet.

    Of a task without a gate it is the agent's plan, which `show` prints. A submission that is approved is sent, and a
    patch applied to the checkout that it was meant for. What has changed since the gate was opened is not approved:
    read it again. Deciding the same again changes nothing, except that what failed is tried again.
    """
    from ..gate_effects import approve_gate, approve_plan_without_gate, plan_gate

    with closing(open_gates(run)) as gates:
        chosen = _choose(run, gates, subject, gate)
        if chosen is not None and chosen.kind == "question":
            chosen = _current(run, gates, chosen)
        chosen = chosen or plan_gate(run, gates, run.ref(subject))
        if chosen is None and not _has_permissions(run, run.ref(subject)):
            return approve_plan_without_gate(run, gates, run.ref(subject), **options)
        chosen = chosen or _gate_of_task(run, gates, run.ref(subject))
        return approve_gate(run, gates, chosen, **options)


@command(
    "reject",
    examples="""
coatcheck reject jules:1234567890 --why "Keep the public API as it is"
coatcheck reject gate:1a2b3c4d
""",
)
@subject_argument
@gate_argument
@why_option
@option_option
@digest_option
def reject_command(run: CommandContext, *, subject: str, gate: str | None, **options: Any) -> int:
    """Reject what waits: a plan, a permission, a submission, a patch, an item of a fleet.

    A submission is then never sent, and a patch is not applied. No service takes back a plan: the task still waits, and
    --why is sent to it as a message, where the service takes messages.
    """
    from ..gate_effects import reject_gate

    with closing(open_gates(run)) as gates:
        chosen = _choose(run, gates, subject, gate) or _gate_of_task(run, gates, run.ref(subject))
        chosen = chosen if subject.startswith(PREFIX) or gate else _current(run, gates, chosen)
        return reject_gate(run, gates, chosen, **options)


@command(
    "answer",
    examples="""
coatcheck answer jules:1234567890 "Use the second one"
coatcheck answer gate:1a2b3c4d - < answer.md
""",
)
@subject_argument
@click.argument("words", metavar="[TEXT]", nargs=-1)
@click.option("--answer-file", "file", metavar="FILE", help="Read the answer from a file (- is standard input).")
def answer_command(run: CommandContext, *, subject: str, words: tuple[str, ...], file: str | None) -> int:
    """Answer the question of a task that waits, or choose an option of a gate.

    Without TEXT an editor opens on a terminal (VISUAL, EDITOR); elsewhere the answer is standard input, as it is for -.
    """
    from ..gate_effects import answer_gate

    with closing(open_gates(run)) as gates:
        chosen = _choose(run, gates, subject, None) or _gate_of_task(run, gates, run.ref(subject))
        chosen = chosen if subject.startswith(PREFIX) else _current(run, gates, chosen)
        text = read_prompt(run, words, file, what="the answer", facts=lambda: [chosen.title], before=(subject,))
        return answer_gate(run, gates, chosen, text)


def _choose(run: CommandContext, gates: Gates, subject: str, gate: str | None) -> Gate | None:
    """Return the gate that the arguments name, None for a task without one."""
    if gate is not None:
        chosen = gates.find(gate)
        if not subject.startswith(PREFIX) and chosen.subject != str(run.ref(subject)):
            raise errors.ConfigurationError(
                f"{chosen.address} is about {chosen.subject}, not {subject}", remedy="leave out the REF"
            )
        return chosen
    return gates.find(subject) if subject.startswith(PREFIX) else open_gate_of(gates, run.ref(subject))


def _has_permissions(run: CommandContext, ref: TaskRef) -> bool:
    """Whether the tasks of a provider wait for permissions."""
    with run.client(ref.provider) as client:
        return Verb.DECIDE_PERMISSION in client.capabilities.verbs


def _current(run: CommandContext, gates: Gates, gate: Gate) -> Gate:
    """Return the gate of what a task waits for now; *gate* where it is not about the state of a task."""
    if gate.kind not in TASK_KINDS:
        return gate
    return _gate_of_task(run, gates, TaskRef.parse(gate.subject))


def _gate_of_task(run: CommandContext, gates: Gates, ref: TaskRef) -> Gate:
    """Return the gate of what a task waits for, as its service reports it now."""
    try:
        with run.client(ref.provider) as client:
            task = client.get_task(ref)
    except errors.NotLoggedInError as error:
        raise errors.NotLoggedInError(
            f"there is no open gate of {ref}, and its task cannot be read: {error}", remedy=error.remedy
        ) from None
    gate = gates.observe(task)
    if gate is None:
        raise errors.TaskError(
            f"{ref} does not wait for a decision: it is {task.state.value}",
            ref=ref,
            remedy=f"see: coatcheck status {ref}",
        )
    return gate
