"""What a page or a program changes: the use cases of the command line, and a record of each in the log of events.

Guarantees:

- a patch is applied to the checkout that was named at the start, and only if it is the one that was previewed;
- a task is submitted by `prepare_submission` and `Client.create_task`, once for each call;
- each change is recorded after it was made (`_app.audit`); decisions of gates are recorded by the store.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from .. import errors
from .._app import templates
from .._app.actions import cancel_task
from .._app.apply import ApplyOptions, ApplyReport, UndoReport, apply_patch, undo_last
from .._app.audit import Action, Channel, record_action
from .._app.gate_decisions import Decided, GateDecider
from .._app.gates import TASK_KINDS
from .._app.held_work import HeldTask, hold_submission, journal_with_template
from .._app.outcomes import ChosenPatch, choose_patch
from .._app.repeatable_submission import RepeatableRequest, submit_once
from .._app.submit import SubmitOptions, prepare_submission
from .._app.workspace import Workspace
from .._model.gates import digest_of
from .._model.tasks import TaskRef
from .._review.template_files import is_path
from .formatting import plural
from .page_errors import PageNotFoundError
from .poller import poll_task

if TYPE_CHECKING:
    from .._app.held_work import HeldApplication
    from .._model.gates import Gate
    from .._model.tasks import Task
    from .._patches.parse import Patch
    from .site import Site

# What the log of events has of a message or a prompt (characters).
LOGGED = 200


# --- submitting -------------------------------------------------------------------------------------------------------


class Submission(NamedTuple):
    """What a form or a program submits; a template makes the prompt from *arguments*.

    Calls with the same *key* in a day submit one task.
    """

    prompt: str
    options: SubmitOptions
    provider: str | None = None
    template: str | None = None
    arguments: Mapping[str, str] = {}
    is_held: bool = False
    key: str | None = None


class Submitted(NamedTuple):
    """The task that was submitted, or the gate that holds it; a warning about local work that the agent will not see.

    `is_repeated` is whether an earlier call with the same key has submitted the task.
    """

    task: Task | None
    gate: Gate | None
    warning: str | None
    is_repeated: bool = False


def submit(site: Site, submission: Submission, *, via: Channel) -> Submitted:
    """Submit a task, or hold it at a gate."""
    submission, rendered = _rendered(site, submission)
    provider = submission.provider or site.workspace.provider
    folder = site.checkout or site.workspace.folder
    workspace = Workspace(folder, config=site.config, environ=site.workspace.environ, provider=provider)
    options = submission.options
    template = (rendered.template, rendered.digest) if rendered else None
    if submission.key is not None:
        return _submit_once(site, workspace, submission, template, via=via)
    journal = journal_with_template(site.config, template) if template else None
    target = options.environment or options.repository
    with site.client(provider, environment=target, journal=journal) as client:
        if rendered and not options.title and "title" in client.capabilities.options:
            options = replace(options, title=rendered.title)
        spec, warning = prepare_submission(workspace, client, submission.prompt, options)
        if submission.is_held:
            held = HeldTask(provider, spec, account=site.config.get("account"), template=template)
            return Submitted(None, hold_submission(site.gates, held, via="web"), warning)
        task = client.create_task(spec)
    record(site, "submit", str(task.ref), via, spec.prompt)
    return Submitted(task, None, warning)


def _submit_once(
    site: Site, workspace: Workspace, submission: Submission, template: tuple[str, str] | None, *, via: Channel
) -> Submitted:
    """Submit a task unless a call with the same key has; a key that was used for something else is a conflict."""
    if submission.is_held:
        raise errors.ConfigurationError("a key and is_held cannot be combined", remedy="leave out one of them")
    request = RepeatableRequest(
        submission.prompt, submission.options, workspace.provider, key=submission.key, template=template
    )
    with closing(site.task_session(workspace)) as session:
        submitted = submit_once(session, request, via="web")
    if submitted.is_other_content:
        raise errors.ConflictError(
            f"the key {submission.key!r} was used for another prompt or place: {submitted.ref}",
            status=409,
            remedy="use another key",
        )
    if submitted.task is None:
        return Submitted(_task_of(site, submitted.ref), None, None, is_repeated=True)
    record(site, "submit", str(submitted.ref), via, submission.prompt)
    return Submitted(submitted.task, None, submitted.warning)


def _rendered(site: Site, submission: Submission) -> tuple[Submission, Any]:
    """Return the submission with the prompt and the settings of its template; an option overrides a setting."""
    if submission.template is None:
        return submission, None
    if submission.prompt.strip():
        raise errors.ConfigurationError(
            "the prompt is given twice", remedy="leave the prompt empty, or choose no template"
        )
    if is_path(submission.template):
        raise errors.ConfigurationError(
            f"{submission.template!r} is a path", remedy="name a template: coatcheck templates lists them"
        )
    template, rendered = templates.render(submission.template, site.template_folders, submission.arguments)
    settings = templates.settings_of(template)
    is_question = settings.pop("mode", False)
    provider = submission.provider or settings.pop("provider", None)
    options = submission.options
    names = ("environment", "branch", "model", "attempts")
    missing = {name: settings[name] for name in names if name in settings and getattr(options, name) is None}
    if is_question:
        missing["mode"] = "ask"
    return submission._replace(prompt=rendered.prompt, provider=provider, options=replace(options, **missing)), rendered


# --- acting on a task -------------------------------------------------------------------------------------------------


def send_message(site: Site, ref: TaskRef, text: str, *, is_question: bool = False, via: Channel) -> Task:
    """Send a follow-up to a task, which runs again."""
    if not text.strip():
        raise errors.ConfigurationError("the message is empty", remedy="write a text")
    with site.client(ref.provider, refs=[ref]) as client:
        task = client.send_message(ref, text, mode="ask" if is_question else "code")
    site.expect_change(ref)
    record(site, "message", str(ref), via, text)
    return task


def cancel(site: Site, ref: TaskRef, *, via: Channel) -> None:
    """Request that a task stops."""
    with site.client(ref.provider, refs=[ref]) as client:
        cancel_task(client, ref)
    site.expect_change(ref)
    record(site, "cancel", str(ref), via)


# --- applying ---------------------------------------------------------------------------------------------------------


class Preview(NamedTuple):
    """What an application would do; `digest` is of the patch and the checkout, and an application repeats it."""

    number: int | None
    report: ApplyReport
    digest: str
    is_partial: bool


def preview(site: Site, task: Task, attempt: int | None, options: ApplyOptions | None = None) -> Preview:
    """Return what applying the patch of an attempt would do; nothing is changed."""
    root, chosen = site.require_checkout(), choose_patch(task, task.attempts, attempt)
    checking = replace(options or ApplyOptions(), check=True, commit=False, index=False, branch=None, start=None)
    report = apply_patch(root, chosen, checking, task=task)
    return Preview(chosen.number, report, _digest(chosen, root), chosen.is_partial)


def apply(
    site: Site, task: Task, attempt: int | None, options: ApplyOptions, *, digest: str | None, via: Channel
) -> ApplyReport:
    """Apply the patch of an attempt to the checkout; with *digest* only the patch that was previewed."""
    root, chosen = site.require_checkout(), choose_patch(task, task.attempts, attempt)
    if digest is not None and digest != _digest(chosen, root):
        raise errors.ConflictError(
            f"the patch of {task.ref} has changed since it was previewed", status=409, remedy="preview it again"
        )
    report = apply_patch(root, chosen, options, task=task)
    count = plural(len(report.applied.applied), "file")
    record(site, "apply", str(task.ref), via, f"attempt {chosen.number or 1}: {count} in {root}")
    return report


def _digest(chosen: ChosenPatch, root: str) -> str:
    return digest_of(bytes(chosen.outcome.patch or b""), root)


def undo(site: Site, *, via: Channel) -> UndoReport:
    """Undo the last application in the checkout."""
    root = site.require_checkout()
    report = undo_last(root)
    restored = plural(len(report.result.restored), "file")
    record(site, "undo", f"checkout:{root}", via, f"{restored} restored")
    return report


# --- deciding ---------------------------------------------------------------------------------------------------------


def find_gate(site: Site, id: str) -> Gate:
    """Return a gate by its id. Raises `PageNotFoundError` where there is none."""
    try:
        return site.gates.store.get(id)
    except errors.ConfigurationError as error:
        raise PageNotFoundError(str(error), remedy="list them with: coatcheck gates --state all") from None


class Choice(NamedTuple):
    """What was chosen about a gate: one of its options, and for a question an answer."""

    option: str
    why: str | None = None
    answer: str | None = None
    digest: str | None = None


def decide(site: Site, gate: Gate, choice: Choice) -> Decided:
    """Decide *gate* and carry out the decision."""
    option = gate.option(choice.option)
    if option is None:
        names = ", ".join(each.id for each in gate.options)
        raise errors.ConfigurationError(f"{gate.address} has no option {choice.option!r}", remedy=f"options: {names}")
    decider = GateDecider(
        site.gates,
        site.client,
        lambda held, options, check: _apply_held(site, held, options, check),
        config=site.config,
        via="web",
        now=lambda: site.now,
    )
    if gate.kind in TASK_KINDS:
        site.expect_change(TaskRef.parse(gate.subject))
        gate = gate if option.effect == "approve" and gate.kind == "plan" else _current(site, gate)
    if gate.kind == "question" and option.effect == "approve":
        if not (choice.answer or "").strip():
            raise errors.ConfigurationError(f"{gate.address} has no answer", remedy="write an answer")
        return decider.answer(gate, choice.answer or "", digest=choice.digest)
    act = decider.approve if option.effect == "approve" else decider.reject
    return act(gate, why=choice.why or None, option=option.id, digest=choice.digest)


def _current(site: Site, gate: Gate) -> Gate:
    """Return the gate of a task as it is now; what the task does not wait for any more is withdrawn."""
    if gate.state == "open":
        poll_task(site, TaskRef.parse(gate.subject))
    return site.gates.store.get(gate.id)


def _apply_held(
    site: Site, held: HeldApplication, options: ApplyOptions, check: Callable[[Patch], None]
) -> ApplyReport:
    """Apply what a gate holds, if it is for the checkout of this page."""
    from .._app.patch_files import PatchOptions, commit_message, read_patch_file

    if site.checkout is None or os.path.realpath(held.root) != os.path.realpath(site.checkout):
        raise errors.ConfigurationError(
            f"the decision is recorded, and the patch is for {held.root}, which is not the checkout of this page",
            remedy="carry it out in a terminal: coatcheck approve GATE",
        )
    if os.path.isabs(held.task):
        reading = PatchOptions(options.strip, options.directory, options.repair, held.root)
        file = read_patch_file(held.task, held.root, stdin=lambda: b"", options=reading)
        check(file.patch)
        chosen, rest = ChosenPatch(None, file.outcome), options.for_read_patch()
        return apply_patch(held.root, chosen, rest, message=commit_message(file), repairs=file.repairs)
    task = _task_of(site, TaskRef.parse(held.task))
    chosen = choose_patch(task, task.attempts, held.attempt)
    check(_patch_of(chosen))
    return apply_patch(held.root, chosen, options, task=task)


def _patch_of(chosen: ChosenPatch) -> Patch:
    if chosen.outcome.patch is None:
        raise errors.TaskError("there is no diff to apply")
    return chosen.outcome.patch


def _task_of(site: Site, ref: TaskRef) -> Task:
    """Return a task with its attempts: as it was recorded where it has ended, else from its service."""
    entry = site.history.get(ref)
    if entry is not None and entry.is_current:
        return entry.task
    task = poll_task(site, ref)
    if task is None:
        raise errors.TaskError(f"{ref} cannot be read from its service", ref=ref)
    return task


def record(site: Site, action: Action, subject: str, via: Channel, text: str | None = None) -> None:
    """Record an action in the log of events, where the setting ``history`` permits it."""
    if not site.is_recording:
        return
    words = " ".join((text or "").split())
    shown = words if len(words) <= LOGGED else f"{words[:LOGGED]}…"
    record_action(site.events, site.clock, action, subject, via=via, text=shown or None)
