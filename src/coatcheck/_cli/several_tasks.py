"""Commands that take several tasks: do the same for each, with one client per provider or local server.

Invariants:

- one task is answered as if the command took one; several are one document with `tasks`, in the order given;
- a task that fails does not stop the others: its error is a line on stderr, and an object ``{"ref", "error"}`` with
  ``--json``; the exit code is that of the first error;
- a task that is given twice is handled once;
- an interrupted command prints what was done before (`printed_when_interrupted`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Sized
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from .. import errors
from .exit_codes import ExitCode, exit_code_of

if TYPE_CHECKING:
    from .._model.tasks import TaskRef
    from .._runtime.client import Client
    from .console import Line
    from .context import CommandContext

T = TypeVar("T")
Result: TypeAlias = tuple["TaskRef", T | errors.CoatcheckError]


def refs_of(run: CommandContext, texts: Sequence[str]) -> list[TaskRef]:
    """Return the tasks that *texts* name, each once. Raises `ConfigurationError`."""
    return list(dict.fromkeys(run.ref(text) for text in texts))


def groups_of(run: CommandContext, refs: Sequence[TaskRef]) -> list[list[TaskRef]]:
    """Return *refs* in groups that one client can handle: of one provider, and of one local server."""
    from .._app.task_lookup import local_server_url

    groups: dict[tuple[str, str | None], list[TaskRef]] = {}
    for ref in refs:
        url = local_server_url(ref.provider, run.workspace, refs=[ref]) if len(refs) > 1 else None
        groups.setdefault((ref.provider, url), []).append(ref)
    return list(groups.values())


def for_each(
    run: CommandContext, refs: Sequence[TaskRef], act: Callable[[Client, TaskRef], T], *, is_raised: bool | None = None
) -> Iterator[Result[T]]:
    """Yield what *act* returns for each task, or the error that it raises.

    With *is_raised* an error is raised; None stands for a single task.
    """
    is_raised = len(refs) == 1 if is_raised is None else is_raised
    for group in groups_of(run, refs):
        with run.client(group[0].provider, refs=group) as client:
            for ref in group:
                try:
                    yield ref, act(client, ref)
                except errors.CoatcheckError as error:
                    if is_raised:
                        raise
                    yield ref, run.in_context(error, provider=ref.provider, refs=[ref])


@contextmanager
def printed_when_interrupted(run: CommandContext, results: Sized, answer: Callable[[], object]) -> Iterator[None]:
    """Call *answer*, which prints *results*, where the block ends with an error and there are some."""
    try:
        yield
    except BaseException:
        if results:
            answer()
            run.process_env.has_result = True
        raise


def answer_each(
    run: CommandContext,
    results: Sequence[Result[T]],
    document: Callable[[T], dict[str, Any]],
    lines: Callable[[T], list[Line]],
    *,
    is_long: bool = False,
    gap: bool = False,
    is_one: bool | None = None,
) -> ExitCode:
    """Print the results of `for_each` in the order of their tasks; return the exit code of the first error.

    *gap* puts a blank line between two tasks. *is_one* is whether the command was given a single task; None stands for
    a single result.
    """
    if is_one or (is_one is None and len(results) == 1):
        (_, value), *_ = results
        if not isinstance(value, errors.CoatcheckError):
            run.answer(lambda: document(value), lambda: lines(value), is_long=is_long)
            return ExitCode.DONE
    run.answer(
        lambda: {"tasks": [document_of(ref, value, document) for ref, value in results]},
        lambda: _joined(
            [lines(value) for _, value in results if not isinstance(value, errors.CoatcheckError)], gap=gap
        ),
        is_long=is_long,
    )
    return report_errors(run, results)


def report_errors(run: CommandContext, results: Sequence[Result[Any]]) -> ExitCode:
    """Print the errors among *results* on stderr, and return the exit code of the first."""
    from .app import one_line

    failed = [(ref, value) for ref, value in results if isinstance(value, errors.CoatcheckError)]
    for ref, error in failed:
        message = one_line(error, exit_code_of(error))
        run.console.note(f"coatcheck: {message}" if str(ref) in message else f"coatcheck: {ref}: {message}")
    return exit_code_of(failed[0][1]) if failed else ExitCode.DONE


def document_of(ref: TaskRef, value: Any, document: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """Return the object of one result of several: its document, or its error."""
    if not isinstance(value, errors.CoatcheckError):
        return document(value)
    from .json_output import error_document

    return {"ref": str(ref), **error_document(value)}


def _joined(blocks: Sequence[Sequence[Line]], *, gap: bool) -> list[Line]:
    lines: list[Line] = []
    for block in blocks:
        lines += [""] if gap and lines else []
        lines += block
    return lines
