"""Submit a task: from a prompt or a template, at once or once somebody approves it.

Guarantee: a form submits once, however often the browser sends it; a form that was refused keeps what was written.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING

from starlette.responses import Response

from ... import errors
from ..._app.submit import SubmitOptions
from ..._app.templates import list_templates
from ..._runtime.provider_lookup import provider_names
from .. import operations
from ..error_pages import status_of
from ..page_request import Fields, PageRequest
from ..rendering import render, task_url
from ..routing import action, page
from ..sessions import Notice
from .actions import done

if TYPE_CHECKING:
    from ..._app.templates import FoundTemplate

ARGUMENT = "arg."


def show_form(request: PageRequest) -> Response:
    """Show the form; ``?template=NAME`` has the fields of its arguments."""
    return _form(request, request.query)


def _form(request: PageRequest, fields: Fields, error: errors.CoatcheckError | None = None) -> Response:
    site = request.site
    found = list_templates(site.template_folders)
    return render(
        request,
        "submit.html",
        status=200 if error is None else status_of(error),
        fields=fields,
        error=error,
        providers=provider_names(site.config),
        templates=found,
        template=_chosen(found, fields.get("template")),
        once=secrets.token_urlsafe(16),
        defaults={name: site.config.get(name) for name in ("environment", "branch", "attempts")},
    )


def _chosen(found: Sequence[FoundTemplate], name: str) -> FoundTemplate | None:
    """Return the template that was chosen, None where none was. Raises `ConfigurationError`."""
    chosen = next((each for each in found if each.name == name), None)
    if name and chosen is None:
        raise errors.ConfigurationError(
            f"there is no template {name!r}", remedy="choose one of the list, or write one: coatcheck help templates"
        )
    if chosen is not None and chosen.error is not None:
        raise chosen.error
    return chosen


def submit(request: PageRequest) -> Response:
    """Submit what the form has."""
    form, session = request.form, request.session
    once = form.get("once")
    if not once:
        raise errors.ConfigurationError("this is not the whole form", remedy="load the page, and fill in its form")
    if session is not None and not session.begin(once):
        text = "This form was sent before; the task is in the list."
        return done(request, Notice(text), session.result_of(once) or "/")
    try:
        submitted = operations.submit(request.site, _submission(form), via="web")
    except errors.CoatcheckError as error:
        if session is not None and not isinstance(error, errors.SubmissionUncertainError):
            session.release(once)
        return _form(request, form, error)
    warning = f" {submitted.warning}" if submitted.warning else ""
    if submitted.gate is not None:
        path = f"/gates/{submitted.gate.id}"
        notice = Notice(f"The task waits for a decision; nothing was sent.{warning}")
    else:
        path = task_url(submitted.task.ref if submitted.task else "")
        notice = Notice(f"The task was submitted.{warning}")
    if session is not None:
        session.finish(once, path)
    return done(request, notice, path)


def _submission(form: Fields) -> operations.Submission:
    template = form.get("template") or None
    options = SubmitOptions(
        environment=form.get("environment") or None,
        repository=form.get("repository") or None,
        branch=form.get("branch") or None,
        attempts=form.number("attempts"),
        mode="ask" if form.has("ask") else "code",
        model=form.get("model") or None,
        title=form.get("title") or None,
        requires_approval=form.has("plan") or None,
        open_pull_request=form.has("pull_request") or None,
    )
    prompt = form.text("prompt")
    if template is None and not prompt.strip():
        raise errors.ConfigurationError("the prompt is empty", remedy="write what the agent has to do")
    names = dict.fromkeys(name for name, value in form.pairs if name.startswith(ARGUMENT) and value.strip())
    arguments = {name.removeprefix(ARGUMENT): form.text(name) for name in names} if template else {}
    return operations.Submission(
        prompt="" if template else prompt,
        options=options,
        provider=form.get("provider") or None,
        template=template,
        arguments=arguments,
        is_held=form.has("gate"),
    )


ROUTES = (page("/submit", show_form), action("/submit", submit))
