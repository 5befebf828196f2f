"""`review` checks candidates, which are attempts of tasks and patch files, ranks them, and applies the one it chooses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import click

from ... import errors
from ..._review.checks import SandboxKind
from ..apply import print_warnings
from ..best_of import EndedReview, ReviewSession, base_of, sources_of
from ..context import CommandContext, command
from ..exit_codes import ExitCode
from ..json_output import to_object
from ..stored_tasks import reading, refresh_option
from ..time_options import interval_option, seconds, timeout_of, timeout_option
from .patch import directory_option, repair_option, strip_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..._app.apply import ApplyOptions, ApplyReport
    from ..._app.candidate_reviews import CandidateSource
    from ..._app.patch_files import PatchOptions
    from ..._app.wait import WaitOptions
    from ..._review.ranking import Ranking
    from ..._review.review import ReviewRequest
    from ..._review.review_file import ReviewFile
    from ..._store.reviews import StoredReview


@command(
    "review",
    examples="""
coatcheck review codex:task_e_6a0 --check "make test"
coatcheck review codex:task_e_6a0 jules:12 ./mine.patch --check "pytest -q" --check-optional "ruff check ."
coatcheck review codex:task_e_6a0 --file ~/review.toml --apply
coatcheck review one.patch two.patch --check "make test" --markdown
coatcheck review add-dark-mode --apply
coatcheck review --list
""",
)
@click.argument("tasks", metavar="[REF|FILE|NAME]...", nargs=-1)
@click.option(
    "--check", "checks", multiple=True, metavar="COMMAND", help="A command that a candidate must pass; may be repeated."
)
@click.option(
    "--check-optional",
    "optional_checks",
    multiple=True,
    metavar="COMMAND",
    help="A command that only counts in the order; may be repeated.",
)
@click.option("--file", metavar="FILE", help="A review file with checks and rules (TOML).")
@click.option("--scorer", metavar="COMMAND", help="A command that reads the diffs as JSON and returns scores.")
@click.option("-C", "--repository", metavar="DIR", help="The repository (default: the current checkout).")
@click.option(
    "--base", metavar="COMMIT", help="Check on this commit (default: the one that the tasks report, else HEAD)."
)
@click.option("--setup", metavar="COMMAND", help="Run this on the base before the checks, with network.")
@click.option(
    "--protect", multiple=True, metavar="GLOB", help="Restore these files from the base as well; may be repeated."
)
@click.option("--allow-protected", is_flag=True, help="Choose also a candidate that changes protected files.")
@click.option("--sandbox", type=click.Choice(get_args(SandboxKind)), help="What encloses the checks (default: auto).")
@click.option("--network", is_flag=True, help="Permit the network to the checks.")
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="How many sandboxes run at once (default: 2).")
@click.option(
    "--reject",
    multiple=True,
    metavar="RULE",
    help="Reject a patch in which this rule finds something; may be repeated.",
)
@click.option("--ignore", multiple=True, metavar="RULE", help="Skip this rule; may be repeated.")
@click.option("--strict", is_flag=True, help="Reject what ordinary changes seldom do, as `apply --strict` does.")
@strip_option
@directory_option
@repair_option
@click.option("--apply", "is_applied", is_flag=True, help="Apply the candidate that is chosen.")
@click.option("--markdown", is_flag=True, help="Print Markdown, for a pull request.")
@click.option("--list", "is_list", is_flag=True, help="List the reviews of `run --on` and `submit --on`.")
@timeout_option
@interval_option
@refresh_option
def review_command(
    run: CommandContext,
    *,
    tasks: tuple[str, ...],
    is_applied: bool,
    markdown: bool,
    is_list: bool,
    refresh: bool,
    **options: Any,
) -> int:
    """Check candidates, rank them, and say which one is best and why.

    Candidates are the attempts of tasks, and patch files: ./NAME, existing paths and - (standard input). Each check runs
    on the unpatched base first, then on each candidate, in a sandbox without network. Tests and the configuration of
    checks are restored from the base before. Only a candidate that passes every required check, breaks no rule and
    changes no protected file is chosen; the exit code is 11 where there is none.

    NAME is a review that `run --on` or `submit --on` has begun: what was not submitted is submitted, all its tasks are
    waited for, and the checks are those that it was begun with, unless others are given.
    """
    if markdown and run.is_json:
        raise errors.ConfigurationError("--markdown and --json cannot be combined", remedy="pass one of them")
    if is_list or not tasks:
        return _list(run, tasks, is_list=is_list)
    output = ReviewOutput(is_applied=is_applied, is_markdown=markdown)
    stored, names = _stored_review(run, tasks)
    if stored is None:
        request, apply_options = request_of(run, _review_file(options), options)
        sources = _read_sources(run, names, options, is_refreshed=refresh)
        return finish_review(run, request, sources, apply_options, output)
    request, apply_options = request_of(run, _stored_file(stored, options), options, root=stored.root)
    with ReviewSession.continued(run, stored) as session:
        session.words = ("--apply",) if is_applied else ()
        submitted = session.complete(stored, _wait_options(run, options), is_refreshed=refresh)
        sources = [*sources_of(submitted.results), *_read_sources(run, names, options, is_refreshed=refresh)]
        return finish_review(run, request, sources, apply_options, output, ended=EndedReview(session.store, submitted))


class ReviewOutput(NamedTuple):
    """Whether the choice is applied, and whether Markdown is printed."""

    is_applied: bool
    is_markdown: bool = False


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
    ranking = _review(run, request, name=ended.review.name if ended else None)
    if ended is not None:
        ended.record(ranking)
    report = _apply(run, request, ranking, sources, apply_options) if output.is_applied and ranking.choice else None
    _print(run, ranking, report, output, ended)
    if report is not None:
        from ..apply import apply_exit_code

        return apply_exit_code(report)
    if ranking.choice is None and ended is not None and ended.needs_input:
        return ExitCode.NEEDS_INPUT
    return ExitCode.DONE if ranking.choice else ExitCode.NO_CANDIDATE


# The options of `review` that `run` has not.
NO_OPTIONS: Mapping[str, Any] = {
    **dict.fromkeys(("optional_checks", "protect", "reject", "ignore"), ()),
    **dict.fromkeys(("scorer", "repository", "base", "setup", "workers")),
    **dict.fromkeys(("strict", "network", "allow_protected"), False),
}


def prepare_review(run: CommandContext, options: Mapping[str, Any]) -> tuple[ReviewFile, ReviewRequest, ApplyOptions]:
    """Return the checks and rules of a review that begins, and the request and the options made of them.

    Raises `ConfigurationError` before anything is submitted where no check could run, or nothing could be applied.
    """
    from msgspec.structs import replace

    from ..._app.candidate_reviews import review_tools
    from ..._review.review import check_verification

    file = _review_file({"file": options["review_file"]})
    file = replace(file, verification=_verification(file, {**NO_OPTIONS, **options}))
    request, rules = request_of(run, file, {**NO_OPTIONS, "checks": (), "sandbox": None})
    applies = options.get("apply_best", False)
    if applies and not any(check.required for check in file.verification.checks):
        raise errors.ConfigurationError(
            "--apply-best needs a check to choose by", remedy="pass --check COMMAND, such as --check 'make test'"
        )
    if applies:
        run.workspace.require_root()
    check_verification(request, review_tools(run.config))
    return file, request, rules


def _list(run: CommandContext, names: Sequence[str], *, is_list: bool) -> int:
    from ..best_of import list_reviews

    if names or not is_list:
        problem = "--list takes no argument" if names else "nothing to review is named"
        raise errors.ConfigurationError(problem, remedy="pass refs, patch files, the name of a review, or --list alone")
    return list_reviews(run)


def _stored_review(run: CommandContext, names: Sequence[str]) -> tuple[StoredReview | None, Sequence[str]]:
    """Return the review that one of *names* names, and the other names."""
    from ..._app.patch_files import is_patch_file
    from ..._app.stored_reviews import find_review

    found = {
        name: review
        for name in dict.fromkeys(names)
        if not is_patch_file(name, run.process_env.folder) and (review := find_review(run.config, name))
    }
    if len(found) > 1:
        raise errors.ConfigurationError(
            f"{' and '.join(found)} are two reviews", remedy="continue one at a time, or name their tasks"
        )
    return next(iter(found.values()), None), [name for name in names if name not in found]


def _stored_file(stored: StoredReview, options: dict[str, Any]) -> ReviewFile:
    """Return the checks and rules that a review was begun with; those of --file, or of --check, replace them."""
    from msgspec.structs import replace

    from ..._review.review_file import ReviewFile

    if options["file"] or not stored.settings:
        return _review_file(options)
    file = ReviewFile.from_dict(stored.settings)
    if options["checks"] or options["optional_checks"]:
        return replace(file, verification=replace(file.verification, checks=()))
    return file


def _wait_options(run: CommandContext, options: dict[str, Any]) -> WaitOptions:
    from ..._app.wait import WaitOptions

    interval = options["interval"]
    return WaitOptions(
        timeout=timeout_of(run, options["timeout"]), interval=seconds(interval, "--interval") if interval else None
    )


def _review_file(options: dict[str, Any]) -> ReviewFile:
    import os

    from ..._review.review_file import ReviewFile, read_review_file

    return read_review_file(os.path.expanduser(options["file"])) if options["file"] else ReviewFile()


def request_of(
    run: CommandContext, file: ReviewFile, options: Mapping[str, Any], *, root: str | None = None
) -> tuple[ReviewRequest, ApplyOptions]:
    """Return the review without its candidates, and how to apply the choice; options overrule the file.

    *root* is the checkout to use outside one.
    """
    from ..._app.apply import ApplyOptions
    from ..._app.candidate_reviews import find_repository
    from ..._review.review import ReviewRequest

    rules = ApplyOptions.of(
        reject=(*file.reject, *options["reject"]),
        ignore=(*file.ignore, *options["ignore"]),
        strict=file.strict or options["strict"],
    )
    default = None if run.root else root
    repository = find_repository(_folder(run, options["repository"] or default))
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


def _folder(run: CommandContext, name: str | None) -> str:
    import os

    return os.path.join(run.process_env.folder, os.path.expanduser(name or ""))


def _verification(file: ReviewFile, options: Mapping[str, Any]) -> Any:
    from msgspec.structs import replace

    from ..._review.checks import Check
    from ..._review.review import checks_of

    optional = [Check(name=" ".join(text.split()), run=text, required=False) for text in options["optional_checks"]]
    verification = file.verification
    return replace(
        verification,
        checks=checks_of((*verification.checks, *options["checks"], *optional)),
        setup=options["setup"] or verification.setup,
        protected=(*verification.protected, *options["protect"]),
        sandbox=options["sandbox"] or verification.sandbox,
        network=options["network"] or verification.network,
    )


def _read_sources(
    run: CommandContext, names: Sequence[str], options: dict[str, Any], *, is_refreshed: bool
) -> list[CandidateSource]:
    """Return the candidates of all *names*, each name once. Raises the first error where nothing could be read."""
    from ..._app.candidate_reviews import failed_candidate
    from ..._app.patch_files import PatchOptions
    from ..several_tasks import report_errors

    if names.count("-") > 1:
        raise errors.ConfigurationError("standard input can be read once", remedy="pass - once")
    reading_options = PatchOptions(options["strip"], options["directory"], options["repair"], run.root)
    sources: list[CandidateSource] = []
    failures: list[tuple[Any, errors.CoatcheckError]] = []
    for name in dict.fromkeys(names):
        try:
            sources += _read_source(run, name, reading_options, is_refreshed=is_refreshed)
        except errors.ConfigurationError:
            raise
        except errors.CoatcheckError as error:
            failures.append((name, error))
            sources.append(failed_candidate(name, error))
    if failures and len(failures) == len(sources):
        raise failures[0][1]
    report_errors(run, failures)
    return sources


def _read_source(run: CommandContext, name: str, options: PatchOptions, *, is_refreshed: bool) -> list[CandidateSource]:
    from ..._app.candidate_reviews import read_file_candidate, read_task_candidates
    from ..._app.patch_files import is_patch_file

    folder = run.process_env.folder
    if is_patch_file(name, folder):
        return [read_file_candidate(name, folder, stdin=run.process_env.stdin.read, options=options)]
    ref = run.ref(name)
    with reading(run, ref, is_refreshed=is_refreshed) as reader:
        return read_task_candidates(reader, ref)


def _unique(sources: Sequence[CandidateSource]) -> Sequence[Any]:
    from ..._review.candidate_sources import unique

    return unique(source.candidate for source in sources)


def _review(run: CommandContext, request: ReviewRequest, *, name: str | None = None) -> Ranking:
    from ..._app.candidate_reviews import review_tools
    from ..._review.review import review_candidates
    from ..review_progress import with_progress

    tools = review_tools(run.config)
    if name is None:
        run.process_env.interruption.expect("checks that have ended are kept; run the same command again")
    return with_progress(run, lambda report, scope: review_candidates(request, tools, on_progress=report, scope=scope))


def _apply(
    run: CommandContext,
    request: ReviewRequest,
    ranking: Ranking,
    sources: Sequence[CandidateSource],
    options: ApplyOptions,
) -> ApplyReport:
    from ..._app.candidate_reviews import apply_choice

    report = apply_choice(
        request, ranking, sources, options, on_findings=lambda findings: print_warnings(run, findings)
    )
    run.console.remedy = "the patch was applied; git status shows the checkout"
    return report


def _print(
    run: CommandContext,
    ranking: Ranking,
    report: ApplyReport | None,
    output: ReviewOutput,
    ended: EndedReview | None,
) -> None:
    from ..apply import apply_document, apply_lines
    from ..review_formatting import ranking_lines

    run.note(*ranking.notes)
    if output.is_markdown:
        run.console.write(ranking.to_markdown().encode("utf-8", "backslashreplace"))
    else:
        applied = apply_document(report) if report else None
        width = run.console.width if run.console.is_terminal else None
        review = {"review": ended.document()} if ended else {}
        run.answer(
            lambda: {**review, **to_object(ranking), "applied": applied},
            lambda: [*ranking_lines(ranking, width=width), *(["", *apply_lines(report)] if report else [])],
        )
    if output.is_applied and not report:
        run.note(f"nothing was applied: {ranking.reason}")
