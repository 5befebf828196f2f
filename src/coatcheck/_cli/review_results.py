"""Check, rank and apply candidates, and print the ranking: what `review` and `run` with checks have in common."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from .. import errors
from .apply import print_warnings
from .best_of import base_of
from .exit_codes import ExitCode, exit_code_of
from .json_output import error_document, to_object

if TYPE_CHECKING:
    from .._app.apply import ApplyOptions, ApplyReport
    from .._app.candidate_reviews import CandidateSource
    from .._review.ranking import Ranking
    from .._review.review import ReviewRequest
    from .._review.review_file import ReviewFile
    from .best_of import EndedReview
    from .console import Line
    from .context import CommandContext

    Applied: TypeAlias = ApplyReport | errors.CoatcheckError | None

# The options of `review` that `run` has not.
NO_OPTIONS: Mapping[str, Any] = {
    **dict.fromkeys(("optional_checks", "protect", "reject", "ignore"), ()),
    **dict.fromkeys(("scorer", "repository", "base", "setup", "workers")),
    **dict.fromkeys(("strict", "network", "allow_protected"), False),
}


class ReviewOutput(NamedTuple):
    """Whether the choice is applied, whether Markdown is printed, and whether every check is run again."""

    is_applied: bool
    is_markdown: bool = False
    is_refreshed: bool = False


def prepare_review(run: CommandContext, options: Mapping[str, Any]) -> tuple[ReviewFile, ReviewRequest, ApplyOptions]:
    """Return the checks and rules of a review that begins, and the request and the options made of them.

    Raises `ConfigurationError` before anything is submitted where no check could run, or nothing could be applied.
    """
    from .._app.candidate_reviews import require_work_tree, review_tools
    from .._review.review import check_verification
    from .._runtime.system_clock import SystemClock

    file = begun_file(run, options)
    request, rules = request_of(run, file, {**NO_OPTIONS, "checks": (), "sandbox": None})
    if options.get("apply_best"):
        if not any(check.required for check in file.verification.checks):
            raise errors.ConfigurationError(
                "--apply-best needs a check to choose by", remedy="pass --check COMMAND, such as --check 'make test'"
            )
        require_work_tree(request.repository)
    with review_tools(run.config, clock=run.process_env.clock or SystemClock(), is_cached=False) as tools:
        check_verification(request, tools)
    return file, request, rules


def begun_file(run: CommandContext, options: Mapping[str, Any]) -> ReviewFile:
    """Return the checks and rules of a review that begins. Raises `ConfigurationError` for what cannot be read."""
    from msgspec.structs import replace

    file = review_file(run, options["review_file"])
    return replace(file, verification=_verification(file, {**NO_OPTIONS, **options}))


def review_file(run: CommandContext, path: str | None) -> ReviewFile:
    """Return what the review file at *path* sets, the defaults without one."""
    from .._review.review_file import ReviewFile, read_review_file

    return read_review_file(os.path.expanduser(path), folder=run.process_env.folder) if path else ReviewFile()


def finish_review(
    run: CommandContext,
    request: ReviewRequest,
    sources: Sequence[CandidateSource],
    apply_options: ApplyOptions,
    output: ReviewOutput,
    *,
    ended: EndedReview | None = None,
) -> int:
    """Check and rank the candidates, apply the choice, print the ranking, and return the exit code.

    *ended* is the review of several services that the candidates are of: its choice is recorded.
    """
    request = request._replace(candidates=_unique(sources))
    if ended is not None and request.base is None:
        request = request._replace(base=base_of(run, ended.review, request))
    ranking = _review(run, request, name=ended.review.name if ended else None, is_refreshed=output.is_refreshed)
    if ended is not None:
        ended.record(ranking)
    report = _apply(run, request, ranking, sources, apply_options) if output.is_applied and ranking.choice else None
    _print(run, ranking, report, request, output=output, ended=ended)
    if ranking.choice is None and ended is not None and ended.needs_input:
        return ExitCode.NEEDS_INPUT
    return _exit_code(run, ranking, report)


def _exit_code(run: CommandContext, ranking: Ranking, report: Applied) -> int:
    """Return the exit code; the error of an application is raised, or in the document where that is printed."""
    from .apply import apply_exit_code

    if isinstance(report, errors.CoatcheckError):
        if not run.is_json:
            raise report
        return exit_code_of(report)
    if report is not None:
        return apply_exit_code(report)
    return ExitCode.DONE if ranking.choice else ExitCode.NO_CANDIDATE


def request_of(
    run: CommandContext, file: ReviewFile, options: Mapping[str, Any], *, root: str | None = None
) -> tuple[ReviewRequest, ApplyOptions]:
    """Return the review without its candidates, and how to apply the choice; options overrule the file.

    *root* is the checkout that a review was begun in, None for the current one.
    """
    from .._app.apply import ApplyOptions
    from .._app.candidate_reviews import find_repository
    from .._review.review import ReviewRequest

    rules = ApplyOptions.of(
        reject=(*file.reject, *options["reject"]),
        ignore=(*file.ignore, *options["ignore"]),
        strict=file.strict or options["strict"],
    )
    repository = find_repository(_folder(run, options["repository"] or _begun_in(run, root)))
    request = ReviewRequest(
        (),
        repository,
        _verification(file, options),
        base=options["base"],
        policy=rules.policy(),
        allow_protected=file.allow_protected or options["allow_protected"],
        scorer=options["scorer"] or file.scorer,
        workers=options["workers"] or file.workers or 2,
    )
    return request, rules


def _begun_in(run: CommandContext, root: str | None) -> str | None:
    """Return *root* if it is still there, and print that it is not the current checkout."""
    if root is None or not os.path.isdir(root):
        return None
    if run.root is None or os.path.realpath(run.root) != os.path.realpath(root):
        run.note(f"the review was begun in {root}; pass --repository for another checkout")
    return root


def _folder(run: CommandContext, name: str | None) -> str:
    return os.path.join(run.process_env.folder, os.path.expanduser(name or ""))


def _verification(file: ReviewFile, options: Mapping[str, Any]) -> Any:
    from msgspec.structs import replace

    from .._review.checks import Check
    from .._review.command_words import words_of
    from .._review.review import checks_of

    optional = [Check(name=" ".join(text.split()), run=text, required=False) for text in options["optional_checks"]]
    verification = file.verification
    setup = options["setup"] or verification.setup
    for text, what in ((setup, "the setup"), (options["scorer"] or file.scorer, "the scorer")):
        if text:
            words_of(text, what)
    return replace(
        verification,
        checks=checks_of((*verification.checks, *options["checks"], *optional)),
        setup=setup,
        protected=(*verification.protected, *options["protect"]),
        sandbox=options["sandbox"] or verification.sandbox,
        network=options["network"] or verification.network,
    )


def _unique(sources: Sequence[CandidateSource]) -> Sequence[Any]:
    from .._review.candidate_sources import unique

    return unique(source.candidate for source in sources)


def _review(run: CommandContext, request: ReviewRequest, *, name: str | None, is_refreshed: bool) -> Ranking:
    from .._app.candidate_reviews import review_tools
    from .._review.review import review_candidates
    from .._runtime.system_clock import SystemClock
    from .review_progress import with_progress

    if name is None:
        run.process_env.interruption.expect("results of checks that have ended are kept; run the same command again")
    clock = run.process_env.clock or SystemClock()
    with review_tools(run.config, clock=clock, is_cached=not is_refreshed) as tools:
        return with_progress(
            run, lambda report, scope: review_candidates(request, tools, on_progress=report, scope=scope)
        )


def _apply(
    run: CommandContext,
    request: ReviewRequest,
    ranking: Ranking,
    sources: Sequence[CandidateSource],
    options: ApplyOptions,
) -> Applied:
    """Apply the choice; an error is returned, because the ranking is printed before it."""
    from .._app.candidate_reviews import apply_choice

    try:
        return apply_choice(
            request, ranking, sources, options, on_findings=lambda findings: print_warnings(run, findings)
        )
    except errors.CoatcheckError as error:
        return error


def _print(
    run: CommandContext,
    ranking: Ranking,
    report: Applied,
    request: ReviewRequest,
    *,
    output: ReviewOutput,
    ended: EndedReview | None,
) -> None:
    from .apply import apply_lines
    from .review_formatting import ranking_lines

    run.note(*ranking.notes)
    applied: list[Line] = []
    if report is not None and not isinstance(report, errors.CoatcheckError):
        run.console.remedy = "the patch was applied; git status shows the checkout"
        applied = ["", *apply_lines(report)]
    if output.is_markdown:
        run.console.write(ranking.to_markdown().encode("utf-8", "backslashreplace"))
        run.note(*applied[1:])
    else:
        width = run.console.width if run.console.is_terminal else None
        review = {"review": ended.document()} if ended else {}
        run.answer(
            lambda: {**review, **to_object(ranking), "applied": _applied_document(report)},
            lambda: [*ranking_lines(ranking, width=width), *applied],
        )
    if not any(check.required for check in request.verification.checks):
        run.note("a candidate is chosen only by a check that it passes: --check COMMAND")
    if output.is_applied and report is None:
        run.note(f"nothing was applied: {ranking.reason}")


def _applied_document(report: Applied) -> dict[str, object] | None:
    from .apply import apply_document

    if isinstance(report, errors.CoatcheckError):
        return error_document(report)
    return apply_document(report) if report else None
