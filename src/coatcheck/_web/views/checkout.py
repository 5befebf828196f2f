"""The checkout that patches are applied to: its state, what was applied, and undoing that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from starlette.responses import Response

from ..._app.unseen_work import read_work_tree
from ..._patches import undo_journal
from ..._patches.checkout import Checkout
from .. import operations
from ..formatting import plural
from ..page_request import PageRequest
from ..rendering import render
from ..routing import action, page
from ..sessions import Notice
from .actions import done

if TYPE_CHECKING:
    from ..._app.apply import UndoReport


class Applied(NamedTuple):
    """An application that can be undone: the ref of its task where it is known, the attempt, and the paths."""

    task: str | None
    attempt: int | None
    paths: Sequence[str]
    commit: bool


def show_checkout(request: PageRequest) -> Response:
    """Show the state of the checkout, and the applications that can be undone, the newest first."""
    root = request.site.checkout
    if root is None:
        return render(request, "checkout.html", tree=None, applied=())
    return render(request, "checkout.html", tree=read_work_tree(root), applied=applications(root))


def applications(root: str) -> Sequence[Applied]:
    """Return the applications in the checkout at *root* that can be undone, the newest first."""
    journals = undo_journal.applied(Checkout.at(root))
    return [
        Applied(
            each.source.task if each.source else None,
            each.source.attempt if each.source else None,
            [step.path for step in each.steps],
            each.commit is not None,
        )
        for each in reversed(journals)
    ]


def undo(request: PageRequest) -> Response:
    """Undo the last application."""
    return done(request, undone_notice(operations.undo(request.site, via="web")), "/checkout")


def undone_notice(report: UndoReport) -> Notice:
    """Return what undoing did."""
    result = report.result
    lines = [f"{'removed' if path in report.removed else 'restored':10}  {path}" for path in result.restored]
    lines += [f"{'skipped':10}  {path}: it was edited since" for path in result.refused]
    lines += [f"took back the commit {result.commit[:7]}"] if result.commit else []
    lines += [f"removed the branch {result.branch}"] if result.branch else []
    lines += [f"kept the branch {result.kept_branch}: it has other commits now"] if result.kept_branch else []
    text = f"Undone: {plural(len(result.restored), 'file')} restored."
    return Notice(text, tuple(lines), is_error=not report.is_complete)


ROUTES = (page("/checkout", show_checkout), action("/checkout/undo", undo))
