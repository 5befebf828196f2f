"""`submit --batch`: print a ref for each line that was submitted, and an error for each that was not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .. import errors
from .._app.batch import BatchLine, BatchResult, read_batch, submit_batch
from .exit_codes import ExitCode, exit_code_of
from .formatting import plural
from .json_output import dump_line, error_document, to_object
from .spec_options import with_options

if TYPE_CHECKING:
    from .._app.submit import SubmitOptions
    from .._runtime.client import Client
    from .context import CommandContext


def read_lines(run: CommandContext, path: str, first: int) -> list[BatchLine]:
    """Return the lines of *path*, or of standard input for ``-``, from line number *first* on."""
    from .._files.reading import read_named_file

    try:
        if path == "-":
            data = run.process_env.stdin.read()
        else:
            data = read_named_file(os.path.join(run.process_env.folder, path))
    except OSError as error:
        raise errors.ConfigurationError(f"the batch {path} cannot be read: {error.strerror}") from None
    lines = [line for line in read_batch(data) if line.number >= first]
    if not lines:
        raise errors.ConfigurationError(
            f"{_shown(path)} has no line to submit", remedy="write a JSON string or object on each line"
        )
    return lines


def _shown(path: str) -> str:
    return "standard input" if path == "-" else path


def run_batch(
    run: CommandContext, client: Client, path: str, lines: list[BatchLine], defaults: SubmitOptions
) -> ExitCode:
    """Submit the lines, print the results as they come, and return the exit code."""
    results: list[BatchResult] = []
    warnings: set[str] = set()
    _expect_interruption(run, path, lines[0].number)
    for result in submit_batch(run.workspace, client, lines, defaults):
        results.append(result)
        if result.warning and result.warning not in warnings:
            warnings.add(result.warning)
            run.note(f"warning: {result.warning}")
        _print_result(run, path, result)
        _expect_interruption(run, path, result.number + 1)
    return _finish(run, lines, results)


def _expect_interruption(run: CommandContext, path: str, number: int) -> None:
    run.process_env.interruption.expect(
        f"line {number} may have been submitted, which coatcheck submit --resume finds out; "
        f"the next lines with: coatcheck submit --batch {path} --from-line {number + 1}"
    )


def _print_result(run: CommandContext, path: str, result: BatchResult) -> None:
    if result.task is not None:
        run.console.remedy = f"line {result.number} was submitted as {result.task.ref}"
        document = {"line": result.number, "task": to_object(result.task, is_summary=True)}
        if run.is_json:
            run.console.write_json(dump_line(document))
        else:
            run.console.show(str(result.task.ref))
        return
    error = with_options(result.error or errors.CoatcheckError())
    if run.is_json:
        run.console.write_json(dump_line({"line": result.number, **error_document(error)}))
    else:
        remedy = getattr(error, "remedy", None)
        run.console.note(f"coatcheck: {_shown(path)}, line {result.number}: {error}{f'; {remedy}' if remedy else ''}")


def _finish(run: CommandContext, lines: list[BatchLine], results: list[BatchResult]) -> ExitCode:
    """Print how many lines were submitted, and return the exit code."""
    failed = [result for result in results if result.error is not None]
    if not failed:
        return ExitCode.DONE
    submitted = len(results) - len(failed)
    numbers = ", ".join(str(result.number) for result in failed)
    rest = f"; lines from {results[-1].number + 1} on were not tried" if len(results) < len(lines) else ""
    run.note(f"submitted {submitted} of {plural(len(lines), 'line')}; failed lines: {numbers}{rest}")
    last = failed[-1]
    return exit_code_of(last.error) if last.stops_batch and last.error else ExitCode.FAILURES
