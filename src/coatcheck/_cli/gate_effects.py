"""Decide a gate as `_app.gate_decisions` does, and print what the decision did."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .. import errors
from .._app.gate_decisions import Decided, GateDecider
from .._app.gates import repository_of
from .._app.held_reviews import PREFIX, is_of_review
from .._app.held_work import HeldApplication, chosen_options, hold_application
from .._model.gates import Gate
from .._protocol.provider import Verb
from .apply import apply_exit_code, print_report
from .exit_codes import ExitCode
from .json_output import to_object
from .patches_to_apply import load_patch_to_apply
from .wait_progress import print_ref

if TYPE_CHECKING:
    from .._app.apply import ApplyOptions, ApplyReport
    from .._app.gates import Gates
    from .._app.held_reviews import ApprovedReview, SubmitReview
    from .._model.tasks import TaskRef
    from .._patches.parse import Patch
    from .._review.submissions import SubmissionResult
    from .._runtime.client import Client
    from .context import CommandContext
    from .patches_to_apply import PatchToApply


def approve_gate(run: CommandContext, gates: Gates, gate: Gate, **options: str | None) -> int:
    """Approve *gate* and carry out what it holds, where that was not done before; return the exit code."""
    if gate.kind == "plan":
        _note_rejection(run, gates, gate)
    return _print(run, gates, gate, "approve", lambda decider: decider.approve(gate, **options))


def _note_rejection(run: CommandContext, gates: Gates, gate: Gate) -> None:
    """Print who has rejected the same plan before: no service takes back a plan, so it still waits."""
    for earlier in gates.list(subject=gate.subject, state="rejected"):
        if earlier.digest == gate.digest and earlier.decision is not None and earlier.id != gate.id:
            why = f": {earlier.decision.why}" if earlier.decision.why else ""
            run.note(f"the same plan was rejected before by {earlier.decision.by}{why} ({earlier.address})")


def reject_gate(run: CommandContext, gates: Gates, gate: Gate, **options: str | None) -> int:
    """Reject *gate*; return the exit code. The reason is sent to a task that waits, where its service takes messages."""
    return _print(run, gates, gate, "reject", lambda decider: decider.reject(gate, **options))


def answer_gate(run: CommandContext, gates: Gates, gate: Gate, text: str) -> int:
    """Answer the question of a task, or choose the option that *text* names; return the exit code."""
    option = gate.option(text.strip())
    action = "answer" if gate.kind == "question" or option is None else option.effect
    return _print(run, gates, gate, action, lambda decider: decider.answer(gate, text))


def submit_held(run: CommandContext, gates: Gates, gate: Gate) -> int:
    """Submit what an approved gate holds, once; print the task as `submit` does."""
    return _print(run, gates, gate, "approve", lambda decider: decider.submit(gate))


def _print(run: CommandContext, gates: Gates, gate: Gate, action: str, decide: Callable[[GateDecider], Decided]) -> int:
    """Decide, and print what that did; return the exit code."""
    subject: dict[str, Any] = {}
    decided = decide(_decider(run, gates, subject))
    if is_of_review(gate) and decided.outcome == "submitted":
        return _answer_with_review(run, decided)
    if decided.report is not None:
        stored = None if decided.gate is None else to_object(decided.gate)
        print_report(run, {**subject, "action": "approve", "gate": stored}, decided.report)
        return apply_exit_code(decided.report)
    ref = decided.ref if decided.outcome == "submitted" else None
    return _print_decision(run, decided.gate, action, _sentence(run, gate, decided), ref=ref)


def _answer_with_review(run: CommandContext, decided: Decided) -> int:
    """Print what an approval has submitted to several services; return the exit code."""
    from .best_of import answer_with_submissions, submission_document

    assert decided.gate is not None  # noqa: S101 - a review is submitted by its gate
    name = decided.gate.subject.removeprefix(PREFIX)
    document = submission_document(name, decided.submissions)
    return answer_with_submissions(
        run, {"ref": None, "action": "approve", "gate": to_object(decided.gate), **document}, decided.submissions
    )


def _submit_review(run: CommandContext) -> SubmitReview:
    """Return a function that submits a review and prints each ref."""

    def submit(approved: ApprovedReview) -> Sequence[SubmissionResult]:
        from .best_of import ReviewSession

        with ReviewSession.continued(run, approved.review, template=approved.template) as session:
            return session.submit(approved.review).results

    return submit


def _decider(run: CommandContext, gates: Gates, subject: dict[str, Any]) -> GateDecider:
    """Return what decides; *subject* is given the JSON fields that name a patch that was applied."""

    def apply_held(held: HeldApplication, options: ApplyOptions, check: Callable[[Patch], None]) -> ApplyReport:
        is_file = os.path.isabs(held.task)
        loaded = load_patch_to_apply(run, held.task, options, held.attempt, root=held.root, is_file=is_file)
        check(loaded.patch)
        subject.update(loaded.subject)
        return loaded.apply(run, held.root)

    def note_unsent(gate: Gate) -> None:
        again = run.hint("approve", gate.address)
        run.note(f"{gate.address} is approved, and its task was not submitted; try again with: {again}")

    return GateDecider(
        gates,
        _opening(run),
        apply_held,
        config=run.config,
        via="cli",
        now=lambda: run.now,
        on_submitted=lambda task: print_ref(run, task),
        on_unsent=note_unsent,
        hint=run.hint,
        submit_review=_submit_review(run),
    )


def _opening(run: CommandContext) -> Any:
    """Return a function that opens a client, with the login of a submission unless an option names another."""

    @contextmanager
    def open_client(provider: str, *, account: str | None = None, **options: Any) -> Iterator[Client]:
        if run.config.resolve("account").origin != "argument":
            run.set("account", account)
        with run.client(provider, **options) as client:
            yield client

    return open_client


def _sentence(run: CommandContext, gate: Gate, decided: Decided) -> str:
    """Return what a decision did, and what comes next."""
    if gate.kind == "permission" and decided.ref is not None:
        done = "rejected" if decided.outcome == "rejected" else "approved"
        return f"{gate.title}: {done}; {gate.subject} continues; wait for it with: {run.hint('wait', gate.subject)}"
    return _other_sentence(run, gate, decided)


def _other_sentence(run: CommandContext, gate: Gate, decided: Decided) -> str:
    match decided.outcome:
        case "submitted":
            return str(decided.ref)
        case "done_before":
            return f"{gate.title}: was approved and carried out before"
        case "plan_approved" | "plan_claimed" as outcome:
            return _plan_sentence(run, gate.subject, is_claimed=outcome == "plan_claimed")
        case "answered":
            return f"{gate.subject} was answered; wait for it with: {run.hint('wait', gate.subject)}"
        case "rejected" if decided.ref is not None:
            commands = f"{run.hint('message', gate.subject, 'TEXT')} or {run.hint('cancel', gate.subject)}"
            waits = f"the task still waits: {commands}"
            return f"{gate.title}: rejected; {run.hint('wait', gate.subject) if decided.is_sent else waits}"
        case outcome:
            return f"{gate.title}: {'rejected' if outcome == 'rejected' else 'approved'}{_next(run, gate)}"


def _next(run: CommandContext, gate: Gate) -> str:
    """Return what carries out the decision about a fleet, empty for another gate."""
    is_fleet = gate.kind in ("wave", "delivery")
    return f"; carry it out with: {run.hint('fleet', 'run', 'FILE')}" if is_fleet else ""


def plan_gate(run: CommandContext, gates: Gates, ref: TaskRef) -> Gate | None:
    """Return the gate of the plan that a task waits with, also one that another process has just approved.

    None where no decision is recorded, or the task does not wait for the approval of a plan.
    """
    if run.history.level == "off":
        return None
    approved = [each for each in gates.list(subject=str(ref), state="approved") if each.kind == "plan"]
    if approved and not approved[-1].is_done:
        return approved[-1]
    try:
        with run.client(ref.provider) as client:
            if Verb.APPROVE_PLAN not in client.capabilities.verbs:
                return None
            gate = gates.observe(client.get_task(ref))
    except errors.StoreError as error:
        run.note(f"The approval could not be recorded: {error}")
        return None
    return gate if gate is not None and gate.kind == "plan" else None


def approve_plan_without_gate(
    run: CommandContext,
    gates: Gates,
    ref: TaskRef,
    *,
    why: str | None = None,
    option: str | None = None,
    digest: str | None = None,
) -> int:
    """Approve the plan of a task that has no gate, and record it; return the exit code."""
    if option or digest:
        raise errors.ConfigurationError(f"{ref} has no open gate", remedy="leave out --option and --digest")
    with run.client(ref.provider) as client:
        _require_decisions(client, ref)
        client.approve_plan(ref)
    gate = _record_approval(run, gates, ref, why)
    stored = None if gate is None else gates.store.get(gate.id)
    return _print_decision(run, stored, "approve", _plan_sentence(run, str(ref)), ref=ref)


def _require_decisions(client: Client, ref: TaskRef) -> None:
    """Raise `UnsupportedError` where the provider of *ref*, which has no gate, has nothing that is approved either."""
    can = client.capabilities
    if Verb.APPROVE_PLAN not in can.verbs and Verb.DECIDE_PERMISSION not in can.verbs:
        raise errors.UnsupportedError(
            f"there is no open gate of {ref}, and {ref.provider} has no plans to approve: "
            f"{can.reason(Verb.APPROVE_PLAN)}",
            remedy="coatcheck gates lists the gates that are open",
        )


def _record_approval(run: CommandContext, gates: Gates, ref: TaskRef, why: str | None) -> Gate | None:
    """Store an approval that was sent; a store that cannot be used is a note."""
    if run.history.level == "off":
        return None
    try:
        gate = gates.store.open(Gate(subject=str(ref), kind="plan", title=f"the plan of {ref}"))
        gates.decide(gate, "approve", why=why)
        gates.store.complete(gate.id)
    except errors.CoatcheckError as error:
        run.note(f"The approval could not be recorded: {error}")
        return None
    return gate


def _plan_sentence(run: CommandContext, ref: str, *, is_claimed: bool = False) -> str:
    if is_claimed:
        return f"another process is approving the plan of {ref}"
    return f"the plan of {ref} is approved; wait for it with: {run.hint('wait', ref)}"


def hold_patch(run: CommandContext, gates: Gates, loaded: PatchToApply, options: ApplyOptions, *, root: str) -> Gate:
    """Return the gate of an application of a patch to the checkout at *root*."""
    from .._app.patch_files import STDIN

    if loaded.name == STDIN:
        raise errors.ConfigurationError(
            "a patch of standard input cannot wait for a decision", remedy="save it in a file, and pass that"
        )
    path = None if loaded.task is not None else os.path.join(run.process_env.folder, loaded.name)
    held = HeldApplication(
        root=os.path.realpath(root),
        task=path or loaded.name,
        attempt=loaded.chosen.number,
        options=chosen_options(options),
    )
    repository = repository_of(loaded.task) if loaded.task else None
    subject = loaded.name if path is None else f"file:{path}"
    return hold_application(gates, held, loaded.patch, subject=subject, repository=repository)


def apply_loaded(run: CommandContext, gates: Gates, gate: Gate, loaded: PatchToApply, *, root: str) -> int:
    """Apply a patch whose gate is approved; return the exit code. An incomplete application can be tried again."""
    report = loaded.apply(run, root)
    if report.is_complete:
        gates.store.complete(gate.id)
    stored = to_object(gates.store.get(gate.id))
    print_report(run, {**loaded.subject, "action": "approve", "gate": stored}, report)
    return apply_exit_code(report)


def _print_decision(
    run: CommandContext, gate: Gate | None, action: str, sentence: str, *, ref: TaskRef | None = None
) -> int:
    """Print what was decided, with the task that it is about; return the exit code."""
    is_of_task = gate is not None and gate.kind in ("plan", "permission", "question")
    name = str(ref) if ref is not None else gate.subject if gate is not None and is_of_task else None
    run.console.remedy = sentence
    stored = None if gate is None else to_object(gate)
    run.answer(lambda: {"ref": name, "action": action, "gate": stored}, lambda: [sentence])
    return ExitCode.DONE
