"""`review` checks candidates, which are attempts of tasks and patch files, ranks them, and applies the one it chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import click

from ... import errors
from ..._app.candidate_reviews import require_work_tree
from ..._app.wait import WaitOptions
from ..._review.checks import SandboxKind
from ..apply import print_repairs
from ..best_of import EndedReview, ReviewSession, list_reviews, sources_of
from ..context import CommandContext, command
from ..exit_codes import ExitCode
from ..formatting import plural
from ..option_rules import refuse_together
from ..review_results import ReviewOutput, finish_review, request_of, review_file
from ..stored_tasks import reading
from ..time_options import interval_option, seconds, timeout_of, timeout_option
from .patch import directory_option, repair_option, strip_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..._app.candidate_reviews import CandidateSource
    from ..._app.patch_files import PatchOptions
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
coatcheck review --forget add-dark-mode
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
@click.option("--forget", "is_forgotten", is_flag=True, help="Delete the reviews NAME; their tasks stay.")
@timeout_option
@interval_option
@click.option(
    "--refresh", is_flag=True, help="Read ended tasks from their services as well, and run every check again."
)
def review_command(
    run: CommandContext,
    *,
    tasks: tuple[str, ...],
    is_applied: bool,
    markdown: bool,
    is_list: bool,
    is_forgotten: bool,
    refresh: bool,
    **options: Any,
) -> int:
    """Check candidates, rank them, and print which is the best and why.

    Candidates are the attempts of tasks, and patch files: ./NAME, existing paths and - (standard input). Each check runs
    on the unpatched base first, then on each candidate, in a sandbox without network. Tests and the configuration of
    checks are restored from the base before. Only a candidate that passes every required check, breaks no rule and
    changes no protected file is chosen; the exit code is 11 where there is none.

    NAME is a review that `run --on` or `submit --on` has begun: what was not submitted is submitted, all its tasks are
    waited for, and the checks are those that it was begun with, unless others are given.
    """
    refuse_together({"--markdown": markdown, "--json": run.is_json})
    if is_forgotten:
        return _forget(run, tasks, is_list=is_list)
    if is_list or not tasks:
        return _list(run, tasks, is_list=is_list)
    output = ReviewOutput(is_applied=is_applied, is_markdown=markdown, is_refreshed=refresh)
    stored, names = _stored_review(run, tasks)
    if stored is not None:
        return _continue(run, stored, names, options, output)
    request, apply_options = request_of(run, review_file(run, options["file"]), options)
    if is_applied:
        require_work_tree(request.repository)
    sources = _read_sources(run, names, options, is_refreshed=refresh)
    return finish_review(run, request, sources, apply_options, output)


def _continue(
    run: CommandContext,
    stored: StoredReview,
    names: Sequence[str],
    options: dict[str, Any],
    output: ReviewOutput,
) -> int:
    """Submit what a review has not submitted, wait for all its tasks, and review them with the candidates *names*."""
    if stored.state == "held":
        return _continue_held(run, stored, names, options, output)
    request, apply_options = request_of(run, _stored_file(run, stored, options), options, root=stored.root)
    if output.is_applied:
        require_work_tree(request.repository)
    interval = options["interval"]
    wait = WaitOptions(
        timeout=timeout_of(run, options["timeout"]), interval=seconds(interval, "--interval") if interval else None
    )
    with ReviewSession.continued(run, stored) as session:
        session.words = ("--apply",) if output.is_applied else ()
        submitted = session.complete(stored, wait, is_refreshed=output.is_refreshed)
        sources = sources_of(submitted.results)
        sources += _read_sources(run, names, options, is_refreshed=output.is_refreshed)
        return finish_review(run, request, sources, apply_options, output, ended=EndedReview(session.store, submitted))


def _continue_held(
    run: CommandContext,
    stored: StoredReview,
    names: Sequence[str],
    options: dict[str, Any],
    output: ReviewOutput,
) -> int:
    """Continue a review whose gate is approved; print the gate where it is open. Raises where it was rejected."""
    from contextlib import closing

    from ..._app.held_reviews import gate_of_review, release_review
    from ..._app.held_work import require_approved
    from ..._app.stored_reviews import open_reviews
    from ..gates import answer_with_open_gate
    from .gates import open_gates

    with closing(open_gates(run)) as gates:
        gate = gate_of_review(gates, stored)
        if gate.state == "open":
            return answer_with_open_gate(run, gate)
        require_approved(gate)
        with closing(open_reviews(run.config)) as store:
            approved = release_review(gates, gate, store)
    return _continue(run, approved.review, names, options, output)


def _forget(run: CommandContext, names: Sequence[str], *, is_list: bool) -> int:
    """Delete reviews. Raises `ConfigurationError` where one of *names* is none, and deletes nothing then."""
    from ..._app.stored_reviews import find_review, forget_reviews

    if is_list or not names:
        raise errors.ConfigurationError(
            "--forget takes the names of reviews", remedy="list them with: coatcheck review --list"
        )
    for name in names:
        if find_review(run.config, name) is None:
            raise errors.ConfigurationError(
                f"there is no review {name!r}", remedy="list them with: coatcheck review --list"
            )
    count = forget_reviews(run.config, names)
    run.answer(lambda: {"forgotten": count}, lambda: [f"{plural(count, 'review')} forgotten."])
    return ExitCode.DONE


def _list(run: CommandContext, names: Sequence[str], *, is_list: bool) -> int:
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


def _stored_file(run: CommandContext, stored: StoredReview, options: dict[str, Any]) -> ReviewFile:
    """Return the checks and rules that a review was begun with; those of --file, or of --check, replace them."""
    from msgspec.structs import replace

    from ..._review.review_file import ReviewFile

    if options["file"] or not stored.settings:
        return review_file(run, options["file"])
    file = ReviewFile.from_dict(stored.settings)
    if options["checks"] or options["optional_checks"]:
        return replace(file, verification=replace(file.verification, checks=()))
    return file


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
        raise _also_no_review(*failures[0])
    report_errors(run, failures)
    return sources


def _also_no_review(name: str, error: errors.CoatcheckError) -> errors.CoatcheckError:
    """Return the error of a task; where *name* could be that of a review as well, its remedy says that there is none."""
    from ..._review.targets import is_review_name

    if is_review_name(name):
        no_review = f"or, if {name} is a review: there is none of this name, see coatcheck review --list"
        error.remedy = f"{error.remedy}; {no_review}" if error.remedy else no_review
    return error


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
