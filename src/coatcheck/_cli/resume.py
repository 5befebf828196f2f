"""What became of a submission whose answer was lost, as text and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .json_output import Fields, read, to_object

if TYPE_CHECKING:
    from .._engine.submit import ResumedSubmission


def verdict(resumed: ResumedSubmission) -> str:
    """Return in one word what is known."""
    if resumed.is_busy:
        return "busy"
    if resumed.task is not None:
        return "found"
    return "unclear" if resumed.candidates else "nothing"


RESUMED: Fields[ResumedSubmission] = {
    "summary": ("the beginning of the prompt", lambda r: r.intent.summary),
    "environment": ("the environment it was for", lambda r: r.intent.environment),
    "branch": ("the branch it was for", lambda r: r.intent.branch),
    "verdict": ('"found", "unclear", "busy" or "nothing"', verdict),
    "task": ("task object, if it was found", lambda r: r.task and to_object(r.task, is_summary=True)),
    "candidates": ("refs that it could be", lambda r: [str(ref) for ref in r.candidates]),
}


def document_of(resumed: ResumedSubmission) -> dict[str, object]:
    """Return it as a JSON object."""
    return read(RESUMED, resumed)


def line_of(resumed: ResumedSubmission) -> str:
    """Return it as a line."""
    what = repr(resumed.intent.summary)
    candidates = ", ".join(map(str, resumed.candidates))
    return {
        "busy": f"{what}: another process is still submitting it",
        "found": f"{what}: it is {resumed.task.ref if resumed.task else ''}",
        "unclear": f"{what}: it could be any of {candidates}",
        "nothing": f"{what}: nothing came of it so far; it was not sent again",
    }[verdict(resumed)]
