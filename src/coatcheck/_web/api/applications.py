"""Apply a patch to the checkout of the server, or show what that would do: shared by tasks and candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..._app.apply import ApplyOptions
from ..._values.json_fields import to_object
from .. import operations
from .endpoints import TEXT, TEXTS, Call, Schema, fields, many, ref

if TYPE_CHECKING:
    from ..._model.tasks import Task
    from .bodies import CandidateApplication

APPLICATION: Schema = {"allOf": [ref("AppliedPatch"), fields(left_out=TEXTS, findings=many("Finding"), digest=TEXT)]}


def apply_attempt(call: Call, task: Task, attempt: int | None) -> Any:
    """Apply the patch of an attempt as the body requests; nothing is changed where it has `check`."""
    body: CandidateApplication = call.body
    site = call.request.site
    options = ApplyOptions.of(
        index=body.index,
        commit=body.commit,
        markers=body.markers,
        branch=body.branch,
        include=body.include,
        exclude=body.exclude,
    )
    preview = operations.preview(site, task, attempt, options)
    report = preview.report
    if not body.check:
        report = operations.apply(site, task, attempt, options, digest=body.digest, via="api")
    return {
        **to_object(report.applied),
        "left_out": list(report.left_out),
        "findings": [to_object(each) for each in report.findings],
        "digest": preview.digest,
    }
