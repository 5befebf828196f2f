"""Decide a gate and carry out the decision: approve a plan, submit a task, apply a patch, send an answer.

Guarantees:
- the decision is stored before anything is sent, so that another process cannot decide otherwise meanwhile;
- what failed after the decision is tried again by the same command; a submission is never sent twice;
- the approval of a plan is sent by one process, and again only after the task was seen to wait for it still.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import errors
from .._app.gates import gate_of, repository_of
from .._app.held_work import (
    HeldApplication,
    application_digest,
    begun_submission,
    chosen_options,
    held_application,
    held_task,
    hold_application,
    journal_of,
)
from .._model.gates import Gate
from .._model.tasks import TaskRef
from .._protocol.provider import Verb
from .apply import apply_exit_code, print_report
from .exit_codes import ExitCode
from .json_output import to_object
from .patches_to_apply import load_patch_to_apply
from .wait_progress import print_ref

if TYPE_CHECKING:
    from .._app.apply import ApplyOptions
    from .._app.gates import Gates
    from .._app.held_work import HeldTask
    from .._model.tasks import Task
    from .._store.held_submissions import HeldSubmission
    from .context import CommandContext
    from .patches_to_apply import PatchToApply


def approve_gate(
    run: CommandContext,
    gates: Gates,
    gate: Gate,
    *,
    why: str | None = None,
    option: str | None = None,
    digest: str | None = None,
) -> int:
    """Approve *gate* and carry out what it holds, where that was not done before; return the exit code."""
    if gate.is_done and gate.kind != "submission":
        gates.decide(gate, "approve", option=option, why=why, digest=digest)
        return _print_decision(run, gates, gate, "approve", f"{gate.title}: was approved and carried out before")
    if gate.kind == "plan":
        return _approve_plan(run, gates, gate, why=why, option=option, digest=digest)
    if gate.kind == "question":
        raise errors.ConfigurationError(
            f"{gate.title}, not for an approval", remedy=f"answer it with: {run.hint('answer', gate.subject, 'TEXT')}"
        )
    gates.decide(gate, "approve", option=option, why=why, digest=digest)
    if gate.kind == "submission":
        return submit_held(run, gates, gates.store.get(gate.id))
    if gate.kind == "apply":
        return apply_held(run, gates, gates.store.get(gate.id))
    return _print_decision(run, gates, gate, "approve", f"{gate.title}: approved{_next(run, gate)}")


def reject_gate(
    run: CommandContext,
    gates: Gates,
    gate: Gate,
    *,
    why: str | None = None,
    option: str | None = None,
    digest: str | None = None,
) -> int:
    """Reject *gate*; return the exit code. The reason is sent to a task that waits, where its service takes messages."""
    gates.decide(gate, "reject", option=option, why=why, digest=digest)
    sentence = f"{gate.title}: rejected{_next(run, gate)}"
    if gate.kind in ("plan", "question") and not gate.is_done:
        ref = TaskRef.parse(gate.subject)
        with run.client(ref.provider) as client:
            is_sent = bool(why) and Verb.SEND_MESSAGE in client.capabilities.verbs
            if is_sent:
                client.send_message(ref, why or "")
        gates.store.complete(gate.id)
        commands = f"{run.hint('message', str(ref), 'TEXT')} or {run.hint('cancel', str(ref))}"
        sentence += f"; {run.hint('wait', str(ref))}" if is_sent else f"; the task still waits: {commands}"
    return _print_decision(run, gates, gate, "reject", sentence)


def _next(run: CommandContext, gate: Gate) -> str:
    """Return what carries out the decision about a fleet, empty for another gate."""
    is_fleet = gate.kind in ("wave", "delivery")
    return f"; carry it out with: {run.hint('fleet', 'run', 'FILE')}" if is_fleet else ""


def answer_gate(run: CommandContext, gates: Gates, gate: Gate, text: str) -> int:
    """Answer the question of a task, or choose the option that *text* names; return the exit code."""
    option = gate.option(text.strip())
    if gate.kind != "question":
        if option is None:
            raise errors.ConfigurationError(
                f"{gate.address} takes no text", remedy=f"options: {', '.join(each.id for each in gate.options)}"
            )
        decide = approve_gate if option.effect == "approve" else reject_gate
        return decide(run, gates, gate, option=option.id)
    if gate.is_done:
        raise errors.ConflictError(
            f"{gate.address} was answered or rejected before",
            status=409,
            remedy=f"send another message with: {run.hint('message', gate.subject, 'TEXT')}",
        )
    ref = TaskRef.parse(gate.subject)
    with run.client(ref.provider) as client:
        client.capabilities.require(Verb.SEND_MESSAGE, ref.provider)
        gates.decide(gate, "approve", option="answer")
        client.send_message(ref, text)
    gates.store.complete(gate.id)
    return _print_decision(
        run, gates, gate, "answer", f"{ref} was answered; wait for it with: {run.hint('wait', str(ref))}"
    )


# --- plans ------------------------------------------------------------------------------------------------------------


def _approve_plan(
    run: CommandContext, gates: Gates, gate: Gate, *, why: str | None, option: str | None, digest: str | None
) -> int:
    """Approve a plan if it is still the one that the gate is about."""
    ref = TaskRef.parse(gate.subject)
    with run.client(ref.provider) as client:
        client.capabilities.require(Verb.APPROVE_PLAN, ref.provider)
        _check_plan(gates, gate, client.get_task(ref))
        gates.decide(gate, "approve", option=option, why=why, digest=digest)
        if not gates.store.claim(gate.id):
            is_sent = gates.store.get(gate.id).is_done
            sentence = _plan_sentence(run, ref) if is_sent else f"another process is approving the plan of {ref}"
            return _print_decision(run, gates, gate, "approve", sentence)
        try:
            client.approve_plan(ref)
        except BaseException:  # Ctrl-C as well; the plan is looked at before it is approved again
            gates.store.release(gate.id)
            raise
    gates.store.complete(gate.id)
    return _print_decision(run, gates, gate, "approve", _plan_sentence(run, ref))


def _check_plan(gates: Gates, gate: Gate, task: Task) -> None:
    """Raise `ConflictError` unless *task* waits for the approval of the plan that *gate* is about."""
    current = gate_of(task)
    if current is None or current.kind != "plan":
        gates.observe(task)
        raise errors.ConflictError(
            f"{task.ref} does not wait for the approval of a plan: it is {task.state.value}",
            status=409,
            remedy=f"see: coatcheck status {task.ref}",
        )
    if current.digest != gate.digest:
        replaced = gates.observe(task) or current
        raise errors.ConflictError(
            f"the plan of {task.ref} has changed since {gate.address} was opened",
            status=409,
            remedy=f"read it with: coatcheck show {task.ref}; then: coatcheck approve {replaced.address}",
        )


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
        client.approve_plan(ref)
    gate = _record_approval(run, gates, ref, why)
    return _print_decision(run, gates, gate, "approve", _plan_sentence(run, ref), ref=ref)


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


def _plan_sentence(run: CommandContext, ref: TaskRef) -> str:
    return f"the plan of {ref} is approved; wait for it with: {run.hint('wait', str(ref))}"


# --- what a gate holds ------------------------------------------------------------------------------------------------


def submit_held(run: CommandContext, gates: Gates, gate: Gate) -> int:
    """Submit what an approved gate holds, once; print the task as `submit` does."""
    begun = begun_submission(gates, gate)
    ref = _ref_of(run, gates, gate) if begun is None else begun.ref
    if begun is not None and ref is None:
        _require_no_submission(run, gate, begun)
    return _print_decision(run, gates, gate, "approve", str(ref), ref=ref)


def _ref_of(run: CommandContext, gates: Gates, gate: Gate) -> TaskRef:
    """Submit what *gate* holds and return its task; the one of another process that was faster."""
    held = held_task(gates, gate)
    if run.config.resolve("account").origin != "argument":
        run.set("account", held.account)
    try:
        task = _submit(run, gates, gate, held)
    except errors.CoatcheckError as error:
        begun = begun_submission(gates, gate)
        if begun is None:
            again = run.hint("approve", gate.address)
            run.note(f"{gate.address} is approved, and its task was not submitted; try again with: {again}")
        elif begun.ref is not None:
            return begun.ref
        elif isinstance(error, errors.ConflictError):
            _require_no_submission(run, gate, begun)
        raise
    print_ref(run, task)
    return task.ref


def _require_no_submission(run: CommandContext, gate: Gate, begun: HeldSubmission) -> None:
    """Raise for a submission that was begun: it is never sent twice."""
    from .._store.processes import is_submitting

    if is_submitting(begun.intent, now=run.now):
        raise errors.ConflictError(
            f"another process is submitting what {gate.address} holds",
            status=409,
            remedy=f"get its task with: coatcheck approve {gate.address}",
        )
    raise errors.SubmissionUncertainError(
        f"the submission of {gate.address} was begun, and its task is not known; it was not sent again",
        spec=None,
        remedy=f"look with: coatcheck submit --resume --provider {begun.intent.provider}",
    )


def _submit(run: CommandContext, gates: Gates, gate: Gate, held: HeldTask) -> Task:
    target = held.spec.environment or held.spec.repository
    journal = journal_of(gates, gate, held, run.config)
    with run.client(held.provider, environment=target, journal=journal) as client:
        return client.create_task(held.spec)


def hold_patch(run: CommandContext, gates: Gates, loaded: PatchToApply, options: ApplyOptions, *, root: str) -> Gate:
    """Return the gate of an application of a patch to the checkout at *root*."""
    import os

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


def apply_held(run: CommandContext, gates: Gates, gate: Gate) -> int:
    """Apply the patch that an approved gate holds to the checkout that it was meant for."""
    import os

    from .._app.apply import ApplyOptions

    held = held_application(gates, gate)
    if not os.path.isdir(held.root):
        raise errors.ConfigurationError(
            f"{gate.address} is approved, and its checkout {held.root} is not on this machine",
            remedy="approve it where the checkout is",
        )
    lists = {name: tuple(value) if isinstance(value, list) else value for name, value in held.options.items()}
    options = ApplyOptions.of(**lists)
    is_file = gate.subject.startswith("file:")
    loaded = load_patch_to_apply(run, held.task, options, held.attempt, root=held.root, is_file=is_file)
    if application_digest(loaded.patch, held) != gate.digest:
        raise errors.ConflictError(
            f"the patch of {held.task} has changed since {gate.address} was opened",
            status=409,
            remedy=f"open another gate with: coatcheck apply {held.task} --gate",
        )
    return apply_loaded(run, gates, gate, loaded, options, root=held.root)


def apply_loaded(
    run: CommandContext, gates: Gates, gate: Gate, loaded: PatchToApply, options: ApplyOptions, *, root: str
) -> int:
    """Apply a patch whose gate is approved; return the exit code. An incomplete application can be tried again."""
    del options
    report = loaded.apply(run, root)
    if report.is_complete:
        gates.store.complete(gate.id)
    stored = to_object(gates.store.get(gate.id))
    print_report(run, {**loaded.subject, "action": "approve", "gate": stored}, report)
    return apply_exit_code(report)


def _print_decision(
    run: CommandContext, gates: Gates, gate: Gate | None, action: str, sentence: str, *, ref: TaskRef | None = None
) -> int:
    """Print what was decided, with the task that it is about; return the exit code."""
    is_of_task = gate is not None and gate.kind in ("plan", "permission", "question")
    name = str(ref) if ref is not None else gate.subject if gate is not None and is_of_task else None
    run.console.remedy = sentence

    def document() -> dict[str, object]:
        stored = None if gate is None else to_object(gates.store.get(gate.id))
        return {"ref": name, "action": action, "gate": stored}

    run.answer(document, lambda: [sentence])
    return ExitCode.DONE
