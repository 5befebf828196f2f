"""Operations on candidates that compete: the attempts of a task, those of a review, and those of an item of a fleet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from ... import errors
from ..._model.gates import digest_of
from ..._values.json_fields import to_object
from ..check_results import check_log
from ..comparison import difference, item_set, patch_of, review_set, table_of, task_set
from ..page_errors import PageNotFoundError
from ..review_actions import begin_checks, commands_of
from .applications import APPLICATION, apply_attempt
from .bodies import CandidateApplication, LogQuery, NewChecks, PairQuery
from .endpoints import (
    BOOLEAN,
    DIFF,
    NUMBER,
    PLAIN,
    TEXT,
    TEXT_OR_NULL,
    TEXTS,
    Call,
    Endpoint,
    Schema,
    fields,
    maybe,
    ref,
)

if TYPE_CHECKING:
    from ..candidate_sets import CandidateSet, Shown
    from ..check_jobs import CheckJob
    from ..comparison import Find
    from ..diffs.candidate_files import FileRow

Answer: TypeAlias = Callable[[Call, "CandidateSet"], Any]


# --- reading ----------------------------------------------------------------------------------------------------------


def list_candidates(call: Call, candidates: CandidateSet) -> Any:
    """Return the candidates, and what each of them does to every file."""
    table = table_of(call.request.site, candidates)
    return {
        "title": candidates.title,
        "candidates": [_candidate(each) for each in candidates.shown],
        "files": [_file(row) for row in table.rows],
        "unreadable": [{"number": at + 1, "reason": reason} for at, reason in table.unreadable.items()],
    }


def _candidate(shown: Shown) -> dict[str, object]:
    return {**to_object(shown.candidate), "number": shown.number, "digest": candidate_digest(shown)}


def candidate_digest(shown: Shown) -> str | None:
    """Return the digest of a candidate's name and patch, None where it has no patch."""
    patch = shown.candidate.patch
    return None if patch is None else digest_of(shown.candidate.name, bytes(patch))


def _file(row: FileRow) -> dict[str, object]:
    cells = enumerate(row.cells, 1)
    changes = [{"number": number, **each._asdict()} for number, each in cells if each is not None]
    return {"path": row.path, "is_same": row.is_same, "changes": changes}


def get_patch(call: Call, candidates: CandidateSet) -> bytes:
    """Return the bytes of the diff of the candidate that the path names."""
    return bytes(patch_of(candidates, number_of(call)))


def number_of(call: Call) -> int:
    """Return the number of the candidate that the path names. Raises `PageNotFoundError`."""
    text = call.request.parameters["number"]
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise PageNotFoundError(f"there is no candidate {text}", remedy="candidates have numbers from 1")
    return int(text)


def get_difference(call: Call, candidates: CandidateSet) -> bytes:
    """Return the diff that leads from the result of one candidate to that of another."""
    return difference(candidates, call.query.left, call.query.right)


# --- checks -----------------------------------------------------------------------------------------------------------


def get_checks(call: Call, candidates: CandidateSet) -> Any:
    """Return the last checks that this server has run: how far they are, and at the end the ranking."""
    job = call.request.site.check_jobs.get(candidates.path)
    return {"checks": job and _checks(job, candidates), "commands": list(commands_of(candidates))}


def _checks(job: CheckJob, candidates: CandidateSet) -> dict[str, object]:
    return {
        "commands": list(job.commands),
        "is_running": job.is_running,
        "running": [{"candidate": candidate, "check": check} for candidate, check in job.running],
        "ended": job.ended,
        "error": job.error and str(job.error),
        "remedy": job.error and job.error.remedy,
        "is_outdated": job.key != candidates.key,
        "ranking": job.ranking and to_object(job.ranking),
    }


def start_checks(call: Call, candidates: CandidateSet) -> Any:
    """Start commands on the base and on every candidate. Raises `ConflictError` while checks run."""
    body: NewChecks = call.body
    commands = body.commands or commands_of(candidates)
    if not begin_checks(call.request.site, candidates, commands, via="api"):
        raise errors.ConflictError(
            "the checks are running already", status=409, remedy="wait for their end, or stop them"
        )
    return get_checks(call, candidates)


def stop_checks(call: Call, candidates: CandidateSet) -> Any:
    """Request that the checks end."""
    job = call.request.site.check_jobs.get(candidates.path)
    if job is not None:
        job.scope.cancel()
    return get_checks(call, candidates)


def get_log(call: Call, candidates: CandidateSet) -> bytes:
    """Return what a check of a candidate has printed."""
    return check_log(call.request.site, candidates, call.query.candidate, call.query.check).encode()


# --- applying ---------------------------------------------------------------------------------------------------------


def apply_candidate(call: Call, candidates: CandidateSet) -> Any:
    """Apply a candidate to the checkout, or show what that would do."""
    shown = candidates.at(number_of(call))
    patch_of(candidates, shown.number)
    if shown.task is None:
        raise errors.ConfigurationError(
            f"{shown.label} has no task in the store", remedy="deliver its item, or record tasks: history = full"
        )
    return apply_attempt(call, shown.task, shown.candidate.attempt)


# --- the operations of each kind of candidates ------------------------------------------------------------------------

FILE_CHANGE: Schema = fields(
    number=NUMBER, added=NUMBER, removed=NUMBER, status=TEXT, is_binary=BOOLEAN, version=NUMBER
)
FILE: Schema = fields(path=TEXT, is_same=BOOLEAN, changes={"type": "array", "items": FILE_CHANGE})
CANDIDATE: Schema = {"allOf": [ref("Candidate"), fields(number=NUMBER, digest=TEXT_OR_NULL)]}
UNREADABLE: Schema = fields(number=NUMBER, reason=TEXT)
CANDIDATES: Schema = fields(
    title=TEXT,
    candidates={"type": "array", "items": CANDIDATE},
    files={"type": "array", "items": FILE},
    unreadable={"type": "array", "items": UNREADABLE},
)
RUNNING: Schema = fields(candidate=TEXT_OR_NULL, check=TEXT)
RUN: Schema = fields(
    commands=TEXTS,
    is_running=BOOLEAN,
    running={"type": "array", "items": RUNNING},
    ended=NUMBER,
    error=TEXT_OR_NULL,
    remedy=TEXT_OR_NULL,
    is_outdated=BOOLEAN,
    ranking=maybe(ref("Ranking")),
)
CHECKS: Schema = fields(checks=maybe(RUN), commands=TEXTS)


class Family(NamedTuple):
    """A kind of candidates: where they are, what they are called in the names of operations, and how they are found."""

    path: str
    name: str
    of: str
    find: Find
    errors: tuple[int, ...] = (404,)


TASK = Family("/tasks/{ref}", "Task", "the attempts of a task", task_set, (404, 502))
REVIEW = Family("/reviews/{name}", "Review", "the candidates of a review", review_set)
ITEM = Family("/fleets/{name}/items/{id}", "Item", "the candidates of an item", item_set)


def bound(answer: Answer, find: Find) -> Callable[[Call], Any]:
    """Return the endpoint of an operation on the candidates that *find* finds."""
    return lambda call: answer(call, find(call.request))


def _reads_and_checks(family: Family) -> Sequence[Endpoint]:
    """Return what every kind of candidates has."""
    path, name, of, find, known = family
    return (
        Endpoint("GET", f"{path}/candidates", f"list{name}Candidates", f"All {of}, and what each does to every file", bound(list_candidates, find), CANDIDATES, errors=known),
        Endpoint("GET", f"{path}/checks", f"get{name}Checks", f"The last checks of {of} that this server has run", bound(get_checks, find), CHECKS, errors=known),
        Endpoint("POST", f"{path}/checks", f"start{name}Checks", f"Run commands on the base and on {of}", bound(start_checks, find), CHECKS, body=NewChecks, status=202, errors=known),
        Endpoint("POST", f"{path}/checks/stop", f"stop{name}Checks", f"Request that the checks of {of} end", bound(stop_checks, find), CHECKS, status=202, errors=known),
        Endpoint("GET", f"{path}/checks/log", f"get{name}CheckLog", "What a check of a candidate has printed", bound(get_log, find), TEXT, LogQuery, media_type=PLAIN, errors=known),
    )  # fmt: skip


def _patches(family: Family) -> Sequence[Endpoint]:
    """Return what tasks have under other paths (`operations`, `comparisons`)."""
    path, name, _, find, known = family
    candidate = f"{path}/candidates/{{number}}"
    return (
        Endpoint("GET", f"{path}/difference", f"get{name}Difference", "The difference between the results of two candidates", bound(get_difference, find), TEXT, PairQuery, media_type=DIFF, errors=known),
        Endpoint("GET", f"{candidate}/patch", f"get{name}Patch", "The diff of a candidate", bound(get_patch, find), TEXT, media_type=DIFF, errors=known),
        Endpoint("POST", f"{candidate}/apply", f"apply{name}Candidate", "Apply a candidate to the checkout, or show what that would do", bound(apply_candidate, find), APPLICATION, body=CandidateApplication, errors=known),
    )  # fmt: skip


ENDPOINTS: tuple[Endpoint, ...] = (
    *(endpoint for family in (TASK, REVIEW, ITEM) for endpoint in _reads_and_checks(family)),
    *(endpoint for family in (REVIEW, ITEM) for endpoint in _patches(family)),
)
