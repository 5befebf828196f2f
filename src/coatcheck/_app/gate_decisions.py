"""Decide a gate and carry out the decision: approve a plan, submit a task, apply a patch, send an answer.

Guarantees:

- the decision is stored before anything is sent, so that another process cannot decide otherwise meanwhile;
- what failed after the decision is tried again by the same call; a submission is never sent twice;
- the approval of a plan is sent by one process, and again only after the task was seen to wait for it still;
- the log of a decision has who decided, and by which way.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias

from .. import errors
from .._model.gates import Gate, Via
from .._model.tasks import TaskRef
from .._protocol.provider import Verb
from .gates import gate_of, permission_request
from .held_reviews import is_of_review, release_review, submits_with
from .held_work import (
    application_digest,
    begun_submission,
    held_application,
    held_task,
    journal_of,
)
from .stored_reviews import open_reviews

if TYPE_CHECKING:
    from .._model.gates import Effect
    from .._model.tasks import Task
    from .._patches.parse import Patch
    from .._review.submissions import SubmissionResult
    from .._runtime.config import Config
    from .._store.held_submissions import HeldSubmission
    from .apply import ApplyOptions, ApplyReport
    from .clients import OpenClient
    from .gates import Gates
    from .held_reviews import SubmitReview
    from .held_work import HeldApplication, HeldTask

Outcome: TypeAlias = Literal[
    "recorded",
    "done_before",
    "plan_approved",
    "plan_claimed",
    "permitted",
    "submitted",
    "answered",
    "rejected",
    "applied",
]


class ApplyHeld(Protocol):
    """Loads what a gate holds and applies it; *check* is called with the patch before it is applied."""

    def __call__(self, held: HeldApplication, options: ApplyOptions, check: Callable[[Patch], None], /) -> ApplyReport:
        """Return what was applied."""
        ...


class Decided(NamedTuple):
    """What a decision did: `gate` as it is stored afterwards, None where none is.

    "plan_claimed" means that another process is sending the same approval. `ref` is the task that it is about or that was
    submitted, `is_sent` whether a reason was sent to the task, `report` what was applied. Of a review that was submitted,
    `submissions` are what is known about each submission.
    """

    gate: Gate | None
    outcome: Outcome
    ref: TaskRef | None = None
    is_sent: bool = False
    report: ApplyReport | None = None
    submissions: Sequence[SubmissionResult] = ()


def command_line(*words: str) -> str:
    """Return a command of ours that a person can paste."""
    import shlex

    return shlex.join(["coatcheck", *words])


class GateDecider:
    """Decides gates as the user of this process. Methods block.

    *hint* makes a command line of words, for remedies. *on_submitted* is called with a task that an approval has
    submitted, *on_unsent* with a gate that is approved and whose task was not submitted, before the error is raised.
    *submit_review* submits the review of a gate, by default with clients of *open_client*.
    """

    def __init__(
        self,
        gates: Gates,
        open_client: OpenClient,
        apply_held: ApplyHeld,
        *,
        config: Config,
        via: Via,
        now: Callable[[], float],
        on_submitted: Callable[[Task], None] = lambda _: None,
        on_unsent: Callable[[Gate], None] = lambda _: None,
        hint: Callable[..., str] = command_line,
        submit_review: SubmitReview | None = None,
    ) -> None:
        self._gates, self._open_client, self._apply_held = gates, open_client, apply_held
        self._config, self._now = config, now
        self._via: Via = via
        self._on_submitted, self._on_unsent, self._hint = on_submitted, on_unsent, hint
        self._submit_review = submit_review or submits_with(open_client, config)

    def approve(
        self, gate: Gate, *, why: str | None = None, option: str | None = None, digest: str | None = None
    ) -> Decided:
        """Approve *gate* and carry out what it holds, where that was not done before."""
        if gate.kind == "question" and not gate.is_done:
            raise errors.ConfigurationError(
                f"{gate.title}, not for an approval", remedy=f"answer it with: coatcheck answer {gate.subject} TEXT"
            )
        if gate.kind == "plan" and not gate.is_done:
            return self._approve_plan(gate, why=why, option=option, digest=digest)
        if gate.kind == "permission" and not gate.is_done:
            return self._decide_permission(gate, "approve", why=why, option=option, digest=digest)
        self._decide(gate, "approve", why=why, option=option, digest=digest)
        if gate.is_done and gate.kind != "submission":
            return self._decided(gate, "done_before")
        if gate.kind == "submission":
            return self.submit(self._gates.store.get(gate.id))
        if gate.kind == "apply":
            return self.apply(self._gates.store.get(gate.id))
        return self._decided(gate, "recorded")

    def reject(
        self, gate: Gate, *, why: str | None = None, option: str | None = None, digest: str | None = None
    ) -> Decided:
        """Reject *gate*. The reason is sent to a task that waits, where its service takes messages."""
        if gate.kind == "permission" and not gate.is_done:
            return self._decide_permission(gate, "reject", why=why, option=option, digest=digest)
        self._decide(gate, "reject", why=why, option=option, digest=digest)
        if gate.kind not in ("plan", "question") or gate.is_done:
            return self._decided(gate, "rejected")
        ref = TaskRef.parse(gate.subject)
        with self._open_client(ref.provider) as client:
            is_sent = bool(why) and Verb.SEND_MESSAGE in client.capabilities.verbs
            if is_sent:
                client.send_message(ref, why or "")
        self._gates.store.complete(gate.id)
        return self._decided(gate, "rejected", ref, is_sent=is_sent)

    def answer(self, gate: Gate, text: str, *, digest: str | None = None) -> Decided:
        """Answer the question of a task, or choose the option that *text* names."""
        if gate.kind != "question":
            option = gate.option(text.strip())
            if option is None:
                raise errors.ConfigurationError(
                    f"{gate.address} takes no text", remedy=f"options: {', '.join(each.id for each in gate.options)}"
                )
            decide = self.approve if option.effect == "approve" else self.reject
            return decide(gate, option=option.id, digest=digest)
        if gate.is_done:
            raise errors.ConflictError(
                f"{gate.address} was answered or rejected before",
                status=409,
                remedy=f"send another message with: coatcheck message {gate.subject} TEXT",
            )
        ref = TaskRef.parse(gate.subject)
        with self._open_client(ref.provider) as client:
            client.capabilities.require(Verb.SEND_MESSAGE, ref.provider)
            self._decide(gate, "approve", option="answer", digest=digest)
            client.send_message(ref, text)
        self._gates.store.complete(gate.id)
        return self._decided(gate, "answered", ref)

    def _decide(
        self,
        gate: Gate,
        effect: Effect,
        *,
        why: str | None = None,
        option: str | None = None,
        digest: str | None = None,
    ) -> None:
        self._gates.decide(gate, effect, option=option, why=why, digest=digest, via=self._via)

    def _decided(self, gate: Gate, outcome: Outcome, ref: TaskRef | None = None, *, is_sent: bool = False) -> Decided:
        return Decided(self._gates.store.get(gate.id), outcome, ref, is_sent)

    # --- plans --------------------------------------------------------------------------------------------------------

    def _approve_plan(self, gate: Gate, *, why: str | None, option: str | None, digest: str | None) -> Decided:
        """Approve a plan if it is still the one that the gate is about."""
        ref = TaskRef.parse(gate.subject)
        with self._open_client(ref.provider) as client:
            client.capabilities.require(Verb.APPROVE_PLAN, ref.provider)
            _check_plan(self._gates, gate, client.get_task(ref))
            self._decide(gate, "approve", option=option, why=why, digest=digest)
            if not self._gates.store.claim(gate.id):
                is_sent = self._gates.store.get(gate.id).is_done
                return self._decided(gate, "plan_approved" if is_sent else "plan_claimed", ref)
            try:
                client.approve_plan(ref)
            except BaseException:  # Ctrl-C as well; the task is looked at before its plan is approved again
                self._gates.store.release(gate.id)
                raise
        self._gates.store.complete(gate.id)
        return self._decided(gate, "plan_approved", ref)

    # --- permissions --------------------------------------------------------------------------------------------------

    def _decide_permission(
        self, gate: Gate, effect: Effect, *, why: str | None, option: str | None, digest: str | None
    ) -> Decided:
        """Decide a permission that an agent requests, and send the option that was chosen to its service."""
        ref = TaskRef.parse(gate.subject)
        with self._open_client(ref.provider) as client:
            client.capabilities.require(Verb.DECIDE_PERMISSION, ref.provider)
            request = permission_request(gate, client.get_task(ref))
            if request is None:
                _withdraw_permission(self._gates, gate)
            decision = self._gates.decide(gate, effect, option=option, why=why, digest=digest, via=self._via)
            if request is not None:
                client.decide_permission(ref, request.id, decision.option)
        self._gates.store.complete(gate.id)
        return self._decided(gate, "permitted" if effect == "approve" else "rejected", ref, is_sent=True)

    # --- what a gate holds ----------------------------------------------------------------------------------------------

    def submit(self, gate: Gate) -> Decided:
        """Submit what an approved gate holds, once."""
        if is_of_review(gate):
            return self._submit_services(gate)
        begun = begun_submission(self._gates, gate)
        ref = self._ref_of(gate) if begun is None else begun.ref
        if begun is not None and ref is None:
            self._require_no_submission(gate, begun)
        return self._decided(gate, "submitted", ref)

    def _submit_services(self, gate: Gate) -> Decided:
        with closing(open_reviews(self._config)) as store:
            approved = release_review(self._gates, gate, store)
        results = self._submit_review(approved)
        return self._decided(gate, "submitted")._replace(submissions=results)

    def _ref_of(self, gate: Gate) -> TaskRef:
        """Submit what *gate* holds and return its task; the one of another process that was faster."""
        held = held_task(self._gates, gate)
        try:
            task = self._send(gate, held)
        except errors.CoatcheckError as error:
            begun = begun_submission(self._gates, gate)
            if begun is None:
                self._on_unsent(gate)
            elif begun.ref is not None:
                return begun.ref
            elif isinstance(error, errors.ConflictError):
                self._require_no_submission(gate, begun)
            raise
        self._on_submitted(task)
        return task.ref

    def _send(self, gate: Gate, held: HeldTask) -> Task:
        target = held.spec.environment or held.spec.repository
        journal = journal_of(self._gates, gate, held, self._config)
        with self._open_client(held.provider, environment=target, journal=journal, account=held.account) as client:
            return client.create_task(held.spec)

    def _require_no_submission(self, gate: Gate, begun: HeldSubmission) -> None:
        """Raise for a submission that was begun: it is never sent twice."""
        from .._store.processes import is_submitting

        if is_submitting(begun.intent, now=self._now()):
            raise errors.ConflictError(
                f"another process is submitting what {gate.address} holds",
                status=409,
                remedy=f"get its task with: coatcheck approve {gate.address}",
            )
        raise errors.SubmissionUncertainError(
            f"the submission of {gate.address} was begun, and its task is not known; it was not sent again",
            spec=None,
            remedy=f"search for it with: {self._hint('submit', '--resume', '--provider', begun.intent.provider)}",
        )

    def apply(self, gate: Gate) -> Decided:
        """Apply the patch that an approved gate holds to its checkout; what is incomplete can be tried again."""
        held = held_application(self._gates, gate)
        if not os.path.isdir(held.root):
            raise errors.ConfigurationError(
                f"{gate.address} is approved, and its checkout {held.root} is not on this machine",
                remedy="approve it where the checkout is",
            )

        def check(patch: Patch) -> None:
            if application_digest(patch, held) != gate.digest:
                raise errors.ConflictError(
                    f"the patch of {held.task} has changed since {gate.address} was opened",
                    status=409,
                    remedy=f"open another gate with: {self._hint('apply', held.task, '--gate')}",
                )

        report = self._apply_held(held, _options_of(held), check)
        if report.is_complete:
            self._gates.store.complete(gate.id)
        return self._decided(gate, "applied")._replace(report=report)


def _options_of(held: HeldApplication) -> ApplyOptions:
    from .apply import ApplyOptions

    lists = {name: tuple(value) if isinstance(value, list) else value for name, value in held.options.items()}
    return ApplyOptions.of(**lists)


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


def _withdraw_permission(gates: Gates, gate: Gate) -> None:
    """Withdraw a gate whose task does not wait for it. Raises `ConflictError` unless it was decided before."""
    if gates.store.withdraw(gate.id, why="the agent does not wait for it any more"):
        raise errors.ConflictError(
            f"{gate.subject} does not wait for this permission any more: {gate.title}",
            status=409,
            remedy=f"see: coatcheck status {gate.subject}",
        )
