"""`review` checks candidates, which are attempts of tasks and patch files, ranks them, and applies the one it chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, get_args

import click

from ... import errors
from ..._review.checks import SandboxKind
from ..apply import print_repairs, print_warnings
from ..context import CommandContext, command
from ..exit_codes import ExitCode, exit_code_of
from ..json_output import error_document, to_object
from ..stored_tasks import reading
from .patch import directory_option, repair_option, strip_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..._app.apply import ApplyOptions, ApplyReport
    from ..._app.candidate_reviews import CandidateSource
    from ..._app.patch_files import PatchOptions
    from ..._review.checks import Check
    from ..._review.ranking import Ranking
    from ..._review.review import ReviewRequest
    from ..._review.review_file import ReviewFile
    from ..console import Line

    Applied: TypeAlias = ApplyReport | errors.CoatcheckError | None


@command(
    "review",
    examples="""
coatcheck review codex:task_e_6a0 --check "make test"
coatcheck review codex:task_e_6a0 jules:12 ./mine.patch --check "pytest -q" --check-optional "ruff check ."
coatcheck review codex:task_e_6a0 --file ~/review.toml --apply
coatcheck review one.patch two.patch --check "make test" --markdown
""",
)
@click.argument("tasks", metavar="REF|FILE...", nargs=-1, required=True)
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
@click.option(
    "--refresh", is_flag=True, help="Read ended tasks from their services as well, and run every check again."
)
def review_command(
    run: CommandContext, *, tasks: tuple[str, ...], is_applied: bool, markdown: bool, refresh: bool, **options: Any
) -> int:
    """Check candidates, rank them, and print which is the best and why.

    Candidates are the attempts of tasks, and patch files: ./NAME, existing paths and - (standard input). Each check runs
    on the unpatched base first, then on each candidate, in a sandbox without network. Tests and the configuration of
    checks are restored from the base before. Only a candidate that passes every required check, breaks no rule and
    changes no protected file is chosen; the exit code is 11 where there is none.
    """
    if markdown and run.is_json:
        raise errors.ConfigurationError("--markdown and --json cannot be combined", remedy="pass one of them")
    file = _review_file(run, options["file"])
    request, apply_options = _request(run, file, options)
    if is_applied:
        from ..._app.candidate_reviews import require_work_tree

        require_work_tree(request.repository)
    sources = _read_sources(run, tasks, options, is_refreshed=refresh)
    request = request._replace(candidates=_unique(sources))
    ranking = _review(run, request, is_refreshed=refresh)
    report = _apply(run, request, ranking, sources, apply_options) if is_applied and ranking.choice else None
    _print(run, ranking, report, request.verification.checks, is_applied=is_applied, is_markdown=markdown)
    return _exit_code(run, ranking, report)


def _exit_code(run: CommandContext, ranking: Ranking, report: Applied) -> int:
    """Return the exit code; the error of an application is raised, or in the document where that is printed."""
    from ..apply import apply_exit_code

    if isinstance(report, errors.CoatcheckError):
        if not run.is_json:
            raise report
        return exit_code_of(report)
    if report is not None:
        return apply_exit_code(report)
    return ExitCode.DONE if ranking.choice else ExitCode.NO_CANDIDATE


def _review_file(run: CommandContext, name: str | None) -> ReviewFile:
    import os

    from ..._review.review_file import ReviewFile, read_review_file

    return read_review_file(os.path.expanduser(name), folder=run.process_env.folder) if name else ReviewFile()


def _request(run: CommandContext, file: ReviewFile, options: dict[str, Any]) -> tuple[ReviewRequest, ApplyOptions]:
    """Return the review without its candidates, and how to apply the choice; options overrule the file."""
    from ..._app.apply import ApplyOptions
    from ..._app.candidate_reviews import find_repository
    from ..._review.review import ReviewRequest

    rules = ApplyOptions.of(
        reject=(*file.reject, *options["reject"]),
        ignore=(*file.ignore, *options["ignore"]),
        strict=file.strict or options["strict"],
    )
    repository = find_repository(_folder(run, options["repository"]))
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


def _verification(file: ReviewFile, options: dict[str, Any]) -> Any:
    from msgspec.structs import replace

    from ..._review.checks import Check
    from ..._review.command_words import words_of
    from ..._review.review import checks_of

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
    for name in _distinct(run, names):
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


def _distinct(run: CommandContext, names: Sequence[str]) -> list[str]:
    """Return *names*; a file that is named twice, in whatever way, is one candidate."""
    import os

    from ..._app.patch_files import STDIN, is_patch_file

    folder = run.process_env.folder
    paths: dict[str, str] = {}
    for name in names:
        is_path = name != STDIN and is_patch_file(name, folder)
        paths.setdefault(os.path.realpath(os.path.join(folder, name)) if is_path else name, name)
    return list(paths.values())


def _read_source(run: CommandContext, name: str, options: PatchOptions, *, is_refreshed: bool) -> list[CandidateSource]:
    from ..._app.candidate_reviews import read_file_candidate, read_task_candidates
    from ..._app.patch_files import is_patch_file

    folder = run.process_env.folder
    if is_patch_file(name, folder):
        source = read_file_candidate(name, folder, stdin=run.process_env.stdin.read, options=options)
        print_repairs(run, source.file.repairs if source.file else ())
        return [source]
    ref = run.ref(name)
    with reading(run, ref, is_refreshed=is_refreshed) as reader:
        return read_task_candidates(reader, ref)


def _unique(sources: Sequence[CandidateSource]) -> Sequence[Any]:
    from ..._review.candidate_sources import unique

    return unique(source.candidate for source in sources)


def _review(run: CommandContext, request: ReviewRequest, *, is_refreshed: bool) -> Ranking:
    from ..._app.candidate_reviews import review_tools
    from ..._review.review import review_candidates
    from ..._runtime.system_clock import SystemClock
    from ..review_progress import with_progress

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
    from ..._app.candidate_reviews import apply_choice

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
    checks: Sequence[Check],
    *,
    is_applied: bool,
    is_markdown: bool,
) -> None:
    from ..apply import apply_lines
    from ..review_formatting import ranking_lines

    run.note(*ranking.notes)
    applied: list[Line] = []
    if report is not None and not isinstance(report, errors.CoatcheckError):
        run.console.remedy = "the patch was applied; git status shows the checkout"
        applied = ["", *apply_lines(report)]
    if is_markdown:
        run.console.write(ranking.to_markdown().encode("utf-8", "backslashreplace"))
        run.note(*applied[1:])
    else:
        width = run.console.width if run.console.is_terminal else None
        run.answer(
            lambda: {**to_object(ranking), "applied": _applied_document(report)},
            lambda: [*ranking_lines(ranking, width=width), *applied],
        )
    if not any(check.required for check in checks):
        run.note("a candidate is chosen only by a check that it passes: --check COMMAND")
    if is_applied and report is None:
        run.note(f"nothing was applied: {ranking.reason}")


def _applied_document(report: Applied) -> dict[str, object] | None:
    from ..apply import apply_document

    if isinstance(report, errors.CoatcheckError):
        return error_document(report)
    return apply_document(report) if report else None
