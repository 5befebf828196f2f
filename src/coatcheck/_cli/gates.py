"""Format gates and their decisions, and print how to decide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .console import Line, Styled, indented
from .exit_codes import ExitCode
from .formatting import clock_time, heading
from .json_output import to_object

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._model.gates import Gate
    from .._store.events import StoredEvent
    from .context import CommandContext

STATE_STYLES = {"open": "yellow", "approved": "green", "rejected": "red", "expired": "red", "withdrawn": "dim"}

# Effect of a decision or of a deadline -> the word in the log.
RESULTS = {"approve": "approved", "reject": "rejected"}
EXPIRED = {"approve": "approved at the deadline", "reject": "rejected at the deadline", "hold": "expired, and is held"}


def gate_lines(gates: Sequence[Gate], now: float, *, subject: str | None = None) -> list[Line]:
    """Return a line for each gate: its name, its state, what it is about, and its deadline or its decision."""
    return [_line(gate, now) for gate in gates] or [f"No gates of {subject}." if subject else "No gates."]


def _line(gate: Gate, now: float) -> Line:
    first = gate.decision
    state = "" if gate.state == "open" else f"  {gate.state}"
    if first is not None:
        more = f"by {first.by}{f': {first.why}' if first.why else ''}"
    else:
        more = f"until {clock_time(gate.expires_at.timestamp(), now)}" if gate.expires_at else ""
    return (
        Styled(gate.address, "bold"),
        Styled(state, STATE_STYLES[gate.state]),
        f"  {gate.kind}  {gate.title}",
        Styled(f"  {more}" if more else "", "dim"),
    )


def gate_details(run: CommandContext, gate: Gate) -> list[Line]:
    """Return everything about a gate, with the commands that decide it."""
    lines: list[Line] = [_line(gate, run.now)]
    lines += [f"subject  {gate.subject}", f"digest   {gate.digest or 'none'}"]
    if gate.detail:
        # Indented, so that a text which an agent wrote cannot look like the commands below.
        lines += [*heading("Detail"), *indented(gate.detail.split("\n"))]
    if gate.state == "open":
        lines += [*heading("Decide"), *(f"  {command}" for command in deciding_commands(run, gate))]
    return lines


def deciding_commands(run: CommandContext, gate: Gate) -> list[str]:
    """Return the commands that decide a gate: one for each option, or for the answer to a question."""
    if gate.kind == "question":
        return [run.hint("answer", gate.address, "TEXT"), run.hint("reject", gate.address)]
    first = {effect: gate.first_option(effect) for effect in ("approve", "reject")}
    return [
        run.hint(option.effect, gate.address, *([] if option == first[option.effect] else ["--option", option.id]))
        for option in gate.options
    ]


def print_how_to_decide(run: CommandContext, gate: Gate) -> None:
    """Print on stderr that something waits for a decision, and the commands that decide."""
    run.note(
        f"{gate.title} waits for a decision; {gate.address} is open"
        + (f" until {clock_time(gate.expires_at.timestamp(), run.now)}" if gate.expires_at else ""),
        *(("  ", Styled(command, "bold")) for command in deciding_commands(run, gate)),
    )


def answer_with_open_gate(run: CommandContext, gate: Gate) -> ExitCode:
    """Print an open gate as the result of a command that holds its work; return the exit code."""
    run.answer(lambda: {"gate": to_object(gate)}, lambda: [gate.address])
    print_how_to_decide(run, gate)
    return ExitCode.NEEDS_INPUT


def log_line(stored: StoredEvent, now: float) -> Line:
    """Return an entry of the audit log."""
    event = stored.event
    details = [str(value) for name in ("by", "via", "why") if (value := getattr(event, name, None))]
    results = EXPIRED if event.type == "gate.expired" else RESULTS
    what = results.get(getattr(event, "effect", ""), "") or event.type.removeprefix("gate.")
    words = (event.subject, what, *(getattr(event, name) for name in ("kind", "concerns")))
    return (
        Styled(f"{clock_time(stored.recorded_at.timestamp(), now)}  ", "dim"),
        "  ".join(words),
        Styled("  ".join(["", *details]), "dim"),
    )
