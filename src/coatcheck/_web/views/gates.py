"""The decisions that are pending: listed, shown, and decided with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

from ..._app.held_reviews import is_of_review
from ..._model.gates import STATES
from .. import operations
from ..page_request import PageRequest
from ..rendering import render, task_url
from ..routing import action, page
from ..sessions import Notice
from ..timeline import entries
from .actions import applied_notice, done

if TYPE_CHECKING:
    from ..._app.gate_decisions import Decided
    from ..._model.gates import Gate

CLOSED, LOGGED = 50, 50


def show_gates(request: PageRequest) -> Response:
    """List the open gates, and the last decisions."""
    gates = request.site.gates
    closed = [gate for gate in gates.list(state=None, limit=CLOSED) if gate.state != "open"]
    log = entries(gates.log(limit=LOGGED))
    return render(request, "gates.html", gates=gates.list(), closed=closed[::-1], log=log[::-1], states=STATES)


def show_gate(request: PageRequest) -> Response:
    """Show one gate: the form while it is open, the decision afterwards."""
    return render(request, "gate.html", gate=operations.find_gate(request.site, request.parameters["id"]))


def decide(request: PageRequest) -> Response:
    """Decide a gate by the button of the form."""
    form, gate = request.form, operations.find_gate(request.site, request.parameters["id"])
    choice = operations.Choice(
        form.get("option"), form.get("why") or None, form.text("answer") or None, form.get("digest") or None
    )
    decided = operations.decide(request.site, gate, choice)
    return done(request, decided_notice(request, gate, decided), _next_path(form.get("back"), decided))


def _next_path(back: str, decided: Decided) -> str:
    """Return the page that follows: the task that was submitted, else where the form was."""
    if decided.outcome == "submitted" and decided.ref is not None:
        return task_url(decided.ref)
    is_ours = back.startswith(("/tasks/", "/gates")) and "\\" not in back and back.isascii() and back.isprintable()
    return back if is_ours else "/gates"


SENTENCES = {
    "recorded": "approved.",
    "done_before": "was approved and carried out before.",
    "plan_approved": "approved; the agent continues.",
    "plan_claimed": "approved; another process is sending the approval.",
    "permitted": "approved; the agent continues.",
    "answered": "the answer was sent; the task continues.",
    "rejected": "rejected.",
}


def decided_notice(request: PageRequest, gate: Gate, decided: Decided) -> Notice:
    """Return what a decision did."""
    if decided.report is not None:
        return applied_notice(request.site.checkout or "", decided.report)
    if decided.outcome == "submitted":
        return _submitted_notice(gate, decided)
    text = f"{gate.title}: {SENTENCES[decided.outcome]}"
    if gate.kind == "permission":
        return Notice(f"{text} The agent continues without it." if decided.outcome == "rejected" else text)
    if decided.outcome == "rejected" and decided.ref is not None:
        text += (
            " The reason was sent to the task."
            if decided.is_sent
            else " The task still waits: send it a message, or cancel it."
        )
    if gate.kind in ("wave", "delivery"):
        text += " The running fleet carries it out; without one: coatcheck fleet run FILE."
    return Notice(text)


def _submitted_notice(gate: Gate, decided: Decided) -> Notice:
    """Return what an approval has submitted: a task, or a review with what each service has refused."""
    if not is_of_review(gate):
        return Notice(f"Approved, and submitted as {decided.ref}.")
    refs = ", ".join(str(each.submission.ref) for each in decided.submissions if each.submission.ref is not None)
    failures = "; ".join(f"{each.submission.provider}: {each.error}" for each in decided.submissions if each.error)
    text = f"Approved, and submitted as {refs or 'nothing'}." + (f" Not submitted: {failures}." if failures else "")
    return Notice(text, is_error=bool(failures))


ROUTES = (page("/gates", show_gates), page("/gates/{id}", show_gate), action("/gates/{id}", decide))
