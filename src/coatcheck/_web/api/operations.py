"""The operations of the API; the page has the same, by the same functions."""

from __future__ import annotations

from typing import Any, get_args

from ..._app.gate_decisions import Outcome
from ..._app.outcomes import choose_patch
from ..._app.setting_list import descriptions_of, resolve_setting
from ..._app.submit import SubmitOptions
from ..._app.templates import list_templates
from ..._app.unseen_work import read_work_tree
from ..._model.states import TaskState
from ..._store.history import HistoryEntry, HistoryFilter
from ..._values.json_fields import jsonable, to_object
from ..._version import __version__
from .. import operations
from ..poller import poll_task
from ..views.checkout import applications
from ..views.task import require_entry
from . import audit_log, candidates, comparisons, events, fleets, hooks, reviews
from .applications import APPLICATION, apply_attempt
from .bodies import AttemptQuery, GateQuery, NewApplication, NewDecision, NewMessage, NewTask, TaskQuery
from .endpoints import (
    BOOLEAN,
    DIFF,
    NUMBER,
    TEXT,
    TEXT_OR_NULL,
    TEXTS,
    Call,
    Endpoint,
    Schema,
    fields,
    many,
    maybe,
    ref,
)


def list_tasks(call: Call) -> Any:
    """Return a page of the tasks in the store."""
    query: TaskQuery = call.query
    states = (TaskState(query.state),) if query.state else ()
    chosen = HistoryFilter(provider=query.provider, states=states, text=query.q)
    page = call.request.site.history.list(chosen, limit=query.limit, cursor=query.cursor)
    return {"tasks": [_entry(each, is_summary=True) for each in page.items], "cursor": page.cursor}


def _entry(entry: HistoryEntry, *, is_summary: bool = False) -> dict[str, object]:
    """Return a stored task with when it was recorded, and whether that is current."""
    task = to_object(entry.task, is_summary=is_summary)
    return {**task, "recorded_at": jsonable(entry.recorded_at), "is_current": entry.is_current}


def create_task(call: Call) -> Any:
    """Submit a task, or hold it."""
    body: NewTask = call.body
    diff = body.starting_diff
    options = SubmitOptions(
        environment=body.environment,
        repository=body.repository,
        branch=body.branch,
        attempts=body.attempts,
        mode=body.mode,
        model=body.model,
        title=body.title,
        starting_diff=None if diff is None else diff.encode(),
        requires_approval=body.requires_approval,
        open_pull_request=body.open_pull_request,
    )
    submission = operations.Submission(
        body.prompt, options, body.provider, body.template, body.arguments, is_held=body.is_held, key=body.key
    )
    submitted = operations.submit(call.request.site, submission, via="api")
    return {
        "task": submitted.task and to_object(submitted.task, is_summary=True),
        "gate": submitted.gate and to_object(submitted.gate),
        "warning": submitted.warning,
        "is_repeated": submitted.is_repeated,
    }


def get_task(call: Call) -> Any:
    """Return a task with its result, as it was recorded."""
    return _entry(require_entry(call.request))


def refresh_task(call: Call) -> Any:
    """Return a task as its service has it now."""
    ref = call.request.ref
    poll_task(call.request.site, ref)
    return _entry(require_entry(call.request))


def get_patch(call: Call) -> Any:
    """Return the bytes of the diff of an attempt."""
    task = require_entry(call.request).task
    return bytes(choose_patch(task, task.attempts, call.query.attempt).outcome.patch or b"")


def send_message(call: Call) -> Any:
    """Send a message to a task."""
    body: NewMessage = call.body
    site, is_question = call.request.site, body.mode == "ask"
    return to_object(
        operations.send_message(site, call.request.ref, body.text, is_question=is_question, via="api"), is_summary=True
    )


def cancel_task(call: Call) -> Any:
    """Request that a task stops."""
    operations.cancel(call.request.site, call.request.ref, via="api")
    return {"ref": str(call.request.ref)}


def apply_task(call: Call) -> Any:
    """Apply the patch of a task, or show what that would do."""
    return apply_attempt(call, require_entry(call.request).task, call.body.attempt)


def get_checkout(call: Call) -> Any:
    """Return the state of the checkout that patches are applied to."""
    root = call.request.site.require_checkout()
    applied = [{**each._asdict(), "paths": list(each.paths)} for each in applications(root)]
    return {"root": root, **read_work_tree(root)._asdict(), "applications": applied}


def undo(call: Call) -> Any:
    """Undo the last application in the checkout."""
    return to_object(operations.undo(call.request.site, via="api").result)


def list_gates(call: Call) -> Any:
    """Return gates."""
    query: GateQuery = call.query
    state = None if query.state == "all" else query.state
    found = call.request.site.gates.list(subject=query.subject, state=state, limit=query.limit)
    return {"gates": [to_object(each) for each in found]}


def get_gate(call: Call) -> Any:
    """Return a gate."""
    return to_object(operations.find_gate(call.request.site, call.request.parameters["id"]))


def decide_gate(call: Call) -> Any:
    """Decide a gate and carry the decision out."""
    body: NewDecision = call.body
    choice = operations.Choice(body.option, body.why, body.answer, body.digest)
    decided = operations.decide(
        call.request.site, operations.find_gate(call.request.site, call.request.parameters["id"]), choice
    )
    return {
        "gate": decided.gate and to_object(decided.gate),
        "outcome": decided.outcome,
        "ref": decided.ref and str(decided.ref),
        "submissions": [to_object(each.submission) for each in decided.submissions],
        "applied": decided.report and to_object(decided.report.applied),
    }


def list_settings(call: Call) -> Any:
    """Return every setting, secrets hidden."""
    config = call.request.site.config.with_explicit({})
    return {"settings": [to_object(resolve_setting(config, name)) for name in descriptions_of(config)]}


def list_prompt_templates(call: Call) -> Any:
    """Return the prompt templates."""
    found = list_templates(call.request.site.template_folders)
    return {
        "templates": [
            {
                "name": each.name,
                "is_from_repository": each.is_from_repository,
                "template": each.template and to_object(each.template),
                "error": str(each.error) if each.error else None,
            }
            for each in found
        ]
    }


def create_link(call: Call) -> Any:
    """Return a link that opens the page in one browser, once."""
    return {"link": call.request.site.new_link(call.request.origin)}


def get_version(_call: Call) -> Any:
    """Return the version of the server."""
    return {"version": __version__}


STORED: Schema = {
    "recorded_at": {"type": "string", "format": "date-time"},
    "is_current": BOOLEAN,
}
STORED_TASK: Schema = {"allOf": [ref("Task"), fields(**STORED)]}
STORED_RESULT: Schema = {"allOf": [ref("TaskResult"), fields(**STORED)]}
CHECKOUT: Schema = fields(
    root=TEXT,
    branch=TEXT_OR_NULL,
    commit=TEXT_OR_NULL,
    changed=NUMBER,
    new=NUMBER,
    applications={
        "type": "array",
        "items": fields(
            task=TEXT_OR_NULL,
            attempt=maybe(NUMBER),
            paths=TEXTS,
            commit=BOOLEAN,
        ),
    },
)
SUBMITTED: Schema = fields(task=maybe(ref("Task")), gate=maybe(ref("Gate")), warning=TEXT_OR_NULL, is_repeated=BOOLEAN)
OUTCOMES: Schema = {"enum": list(get_args(Outcome))}
DECIDED: Schema = fields(
    gate=maybe(ref("Gate")),
    outcome=OUTCOMES,
    ref=TEXT_OR_NULL,
    submissions={"type": "array", "items": {"type": "object"}},
    applied=maybe(ref("AppliedPatch")),
)
SETTING: Schema = fields(name=TEXT, value=TEXT_OR_NULL, origin=TEXT)
TEMPLATE: Schema = fields(name=TEXT, is_from_repository=BOOLEAN, template=maybe({"type": "object"}), error=TEXT_OR_NULL)
TASKS: Schema = fields(tasks={"type": "array", "items": STORED_TASK}, cursor=TEXT_OR_NULL)
TASK = "/tasks/{ref}"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/version", "getVersion", "The version of the server", get_version, fields(version=TEXT)),
    Endpoint("GET", "/tasks", "listTasks", "Tasks in the store, the last submitted first", list_tasks, TASKS, TaskQuery),
    Endpoint("POST", "/tasks", "createTask", "Submit a task, or hold it for a decision", create_task, SUBMITTED, body=NewTask, status=201, errors=(403, 409, 429, 502)),
    Endpoint("GET", TASK, "getTask", "A task with its result, as it was recorded", get_task, STORED_RESULT, errors=(404, 502)),
    Endpoint("POST", TASK + "/refresh", "refreshTask", "A task as its service has it now", refresh_task, STORED_RESULT, errors=(404, 429, 502)),
    Endpoint("GET", TASK + "/patch", "getPatch", "The diff of an attempt", get_patch, TEXT, AttemptQuery, media_type=DIFF, errors=(404, 502)),
    Endpoint("POST", TASK + "/messages", "sendMessage", "Send a message: the task runs again", send_message, ref("Task"), body=NewMessage, status=201, errors=(404, 429, 502)),
    Endpoint("POST", TASK + "/cancel", "cancelTask", "Request that a task stops", cancel_task, fields(ref=TEXT), status=202, errors=(404, 429, 502)),
    Endpoint("POST", TASK + "/apply", "applyTask", "Apply a patch to the checkout, or show what that would do", apply_task, APPLICATION, body=NewApplication, errors=(404, 409, 502)),
    Endpoint("GET", "/checkout", "getCheckout", "The checkout that patches are applied to", get_checkout, CHECKOUT),
    Endpoint("POST", "/checkout/undo", "undo", "Undo the last application", undo, ref("UndoResult"), errors=(409,)),
    Endpoint("GET", "/gates", "listGates", "Decisions", list_gates, fields(gates=many("Gate")), GateQuery),
    Endpoint("GET", "/gates/{id}", "getGate", "A decision", get_gate, ref("Gate"), errors=(404,)),
    Endpoint("POST", "/gates/{id}/decision", "decideGate", "Decide, and carry the decision out", decide_gate, DECIDED, body=NewDecision, errors=(403, 404, 409, 429, 502)),
    Endpoint("GET", "/settings", "listSettings", "Every setting with its origin; secrets are hidden", list_settings, fields(settings={"type": "array", "items": SETTING})),
    Endpoint("POST", "/links", "createLink", "A link that opens the page in one browser, once", create_link, fields(link=TEXT), status=201),
    Endpoint("GET", "/templates", "listTemplates", "Prompt templates", list_prompt_templates, fields(templates={"type": "array", "items": TEMPLATE})),
    *comparisons.ENDPOINTS,
    *candidates.ENDPOINTS,
    *reviews.ENDPOINTS,
    *events.ENDPOINTS,
    *fleets.ENDPOINTS,
    *hooks.ENDPOINTS,
    *audit_log.ENDPOINTS,
)  # fmt: skip
