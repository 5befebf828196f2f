"""Repeat the checks of a change that was rebased onto the present commit of its branch."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from .. import errors
from .._review.candidates import Candidate
from .._workspaces.cancellation import CancelScope

if TYPE_CHECKING:
    from .._model.fleets import FleetItem
    from .context import FleetContext
    from .merge_queue import Fitted
    from .reviewing import ItemReview, Review


class RebasedCheckError(errors.PatchConflictError):
    """A change that passed its checks does not pass them on the present commit of its branch."""


class RebasedCheck:
    """Checks rebased changes with *review*, each in a thread."""

    def __init__(self, context: FleetContext, review: Review) -> None:
        self._context, self._review = context, review

    async def __call__(self, item: FleetItem, fitted: Fitted) -> None:
        """Raise `RebasedCheckError` for a change that passed the required checks before it was rebased, and fails them now."""
        if not self._was_checked(item):
            return
        scope = CancelScope()
        try:
            review = await asyncio.to_thread(self._reviewed, item, fitted, scope)
        except asyncio.CancelledError:
            scope.cancel()
            raise
        if not review.is_automatic:
            raise RebasedCheckError(
                f"rebased onto {fitted.base[:10]}, the present commit of its branch, it is not chosen any more: {review.why}",
                remedy=f"send it back to work: coatcheck fleet retry {self._context.fleet.name} {item.key!r}",
            )

    def _was_checked(self, item: FleetItem) -> bool:
        """Whether the last review of the item has chosen its change: what a person approved unchecked stays so."""
        document = self._context.work.review(item.id) if self._context.spec.verification.checks else None
        return bool(document and document.get("choice"))

    def _reviewed(self, item: FleetItem, fitted: Fitted, scope: CancelScope) -> ItemReview:
        chosen = self._context.store.candidate(item.chosen or 0)
        candidate = Candidate(
            name=str(chosen.ref), ref=chosen.ref, patch=fitted.patch, base=fitted.base, ended_at=chosen.ended_at
        )
        return self._review(msgspec.structs.replace(item, base_commit=fitted.base), [candidate], scope)
