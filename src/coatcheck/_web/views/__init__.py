"""The views: one module for each, whose `ROUTES` are registrations of `_web.routing`.

To add one: write ``views/NAME.py`` with functions from `PageRequest` to a response and its `ROUTES`, a template that
extends ``base.html``, and name the module in `VIEWS`. ``request.site`` has the store, clients and the checkout.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from . import actions, audit_log, checkout, compare, fleet_items, fleets, gates, hooks, settings, submit, task, tasks

if TYPE_CHECKING:
    from ..routing import Registration


class ViewModule(Protocol):
    """A module of this package."""

    @property
    def ROUTES(self) -> Sequence[Registration]:  # noqa: N802 - a constant of a module
        """The routes of the view."""
        ...


# In the order of their routes: a path with a variable part comes after those that it would match.
VIEWS: Sequence[ViewModule] = (
    *(tasks, compare, task, actions, submit, gates, checkout, settings),
    *(fleet_items, fleets, hooks, audit_log),
)
