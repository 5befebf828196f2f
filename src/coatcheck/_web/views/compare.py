"""Candidates side by side: the attempts of a task, or those of a review, with their diffs, their differences and checks."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from markupsafe import Markup
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from ... import errors
from ..._patches.hidden_characters import escape_lines
from ..candidate_sets import CandidateSet
from ..check_jobs import CheckJob
from ..check_results import check_log
from ..comparison import Selection, item_set, review_set, select, table_of, task_set
from ..diffs.candidate_files import FileRow
from ..diffs.file_lines import Gap
from ..diffs.file_list import file_list
from ..diffs.file_section import body_html, rows_of
from ..diffs.version_notes import links_html, note_html
from ..page_request import PageRequest
from ..rendering import redirect, render
from ..review_actions import begin_checks, commands_of, record_choice
from ..routing import action, page
from ..sessions import Notice

if TYPE_CHECKING:
    from ..._review.score_card import ScoreCard
    from ..comparison import Find

# So many rows are on a page of the table of files.
ROWS = 40
MOST_REVIEWS = 200

_GAP = re.compile(r"(\d{1,9})-(\d{1,9})([+-]\d{1,9})?", re.ASCII)


def list_reviews(request: PageRequest) -> Response:
    """Show the newest reviews."""
    reviews = request.site.reviews.list_reviews(limit=MOST_REVIEWS)
    return render(request, "reviews.html", reviews=reviews, most=MOST_REVIEWS)


def show(request: PageRequest, find: Find) -> Response:
    """Show the candidates, the table of their files, and the files of one diff."""
    selected, query = select(request, find(request)), request.query
    candidates = selected.candidates
    table = table_of(request.site, candidates)
    rows = {row.anchor: row for row in table.rows} if selected.against is None else {}
    files = file_list(
        selected.files,
        selected.file_view,
        number=query.number("page") or 1,
        anchor=query.get("file") or None,
        part=(query.number("part") or 1) - 1,
        notes_of=lambda file: _notes(selected, rows.get(file.anchor)),
    )
    job = request.site.check_jobs.get(candidates.path)
    return render(
        request,
        "compare.html",
        selected=selected,
        candidates=candidates,
        table=table,
        rows=_rows_page(table.differing, query.number("rows") or 1),
        files=files,
        sections=Markup(files.html),  # noqa: S704 - made of escaped parts by `_web.diffs`
        **_checks(candidates, job),
    )


def _notes(selected: Selection, row: FileRow | None) -> tuple[str, str]:
    number = selected.shown.number
    return note_html(row, number), links_html(row, number, selected.links)


def _rows_page(rows: tuple[FileRow, ...], number: int) -> dict[str, Any]:
    pages = max(-(-len(rows) // ROWS), 1)
    number = min(number, pages)
    return {"shown": rows[(number - 1) * ROWS : number * ROWS], "number": number, "pages": pages}


def _checks(candidates: CandidateSet, job: CheckJob | None) -> dict[str, Any]:
    """Return the state of the checks, and the score cards by the names of candidates."""
    cards: dict[str, ScoreCard] = {}
    if job is not None and job.ranking is not None:
        cards = {card.candidate.name: card for card in job.ranking.cards}
    return {
        "job": job,
        "cards": cards,
        "ranking": job.ranking if job else None,
        "is_old": job is not None and job.key != candidates.key,
        "commands": "\n".join(job.commands if job else commands_of(candidates)),
    }


def show_checks(request: PageRequest, find: Find) -> Response:
    """Return the cards and the state of the checks alone: what the script loads while they run."""
    candidates = find(request)
    job = request.site.check_jobs.get(candidates.path)
    selected = select(request, candidates)
    table = table_of(request.site, candidates)
    checks = _checks(candidates, job)
    return render(request, "compare_cards.html", selected=selected, candidates=candidates, table=table, **checks)


def show_part(request: PageRequest, find: Find) -> Response:
    """Return a part of the rows of a file."""
    selected = select(request, find(request))
    file = selected.file(request.query.get("file"))
    number = request.query.get("part", "0")
    part = int(number) if number.isascii() and number.isdecimal() and len(number) < 10 else 0
    return HTMLResponse(body_html(file, selected.file_view, part=part, is_fragment=True))


def show_lines(request: PageRequest, find: Find) -> Response:
    """Return lines of the base between two hunks."""
    selected = select(request, find(request))
    file = selected.file(request.query.get("file"))
    match = _GAP.fullmatch(request.query.get("lines"))
    if match is None or file.change is None:
        raise errors.ConfigurationError("lines is FIRST-LAST", remedy="open the comparison again")
    gap = Gap(int(match[1]), int(match[2]), int(match[3] or 0))
    return HTMLResponse(rows_of(file, selected.file_view).lines(gap, request.query.get("side")))


def show_text(request: PageRequest, find: Find) -> Response:
    """Return the text of a file's diff, which browsers show and do not interpret."""
    selected = select(request, find(request))
    return PlainTextResponse(selected.file(request.query.get("file")).text, media_type="text/plain; charset=utf-8")


def show_log(request: PageRequest, find: Find) -> Response:
    """Return everything that a check of a candidate has printed, hidden characters as escapes."""
    number, name = request.query.number("candidate") or 0, request.query.get("check")
    return PlainTextResponse(escape_lines(check_log(request.site, find(request), number, name)))


def check(request: PageRequest, find: Find) -> Response:
    """Run the commands of the form on the base and on every candidate."""
    candidates = find(request)
    is_started = begin_checks(request.site, candidates, request.form.text("checks").splitlines(), via="web")
    if request.session and not is_started:
        request.session.notify(Notice("The checks are running already.", is_error=True))
    return _to_checks(request, candidates)


def choose(request: PageRequest, find: Find) -> Response:
    """Record which candidate of a review a person has chosen; nothing is applied."""
    candidates = find(request)
    chosen = candidates.at(request.form.number("candidate") or 0)
    record_choice(request.site, candidates, chosen, via="web")
    if request.session:
        request.session.notify(Notice(f"{chosen.label} is recorded as the choice; nothing was applied."))
    return redirect(f"{candidates.path}?candidate={chosen.number}")


def stop(request: PageRequest, find: Find) -> Response:
    """Stop the checks."""
    candidates = find(request)
    job = request.site.check_jobs.get(candidates.path)
    if job is not None:
        job.scope.cancel()
    return _to_checks(request, candidates)


def _to_checks(request: PageRequest, candidates: CandidateSet) -> Response:
    """Return to the page on which the form was."""
    number = request.form.number("candidate")
    return redirect(f"{candidates.path}{f'?candidate={number}' if number else ''}#checks")


_PAGES = {
    "": show,
    "/cards": show_checks,
    "/part": show_part,
    "/lines": show_lines,
    "/raw": show_text,
    "/log": show_log,
}
_ACTIONS = {"/check": check, "/stop": stop, "/choose": choose}


def _bound(view: Callable[[PageRequest, Find], Response], find: Find) -> Callable[[PageRequest], Response]:
    return lambda request: view(request, find)


ROUTES = (
    page("/reviews", list_reviews),
    *(
        register(base + path, _bound(view, find))
        for base, find in (
            ("/tasks/{ref:path}/compare", task_set),
            ("/reviews/{name}", review_set),
            ("/fleets/{name}/items/{id}/compare", item_set),
        )
        for register, views in ((page, _PAGES), (action, _ACTIONS))
        for path, view in views.items()
    ),
)
