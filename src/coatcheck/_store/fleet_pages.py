"""What the pages of a fleet read from its tables: counts, times, and the items of one page. Methods block.

Guarantee: the cost of a page of items does not depend on the length of their prompts, patches and reviews.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from .._model.fleets import CandidateState, FleetItem, ItemState
from .fleet_rows import ITEM_COLUMNS, item_of

if TYPE_CHECKING:
    from .database import Database


class CandidateTimes(NamedTuple):
    """A candidate without its texts: `ref` is its task as text."""

    id: int
    provider: str
    state: CandidateState
    ref: str | None
    submitted_at: datetime | None
    ended_at: datetime | None


class ItemFilter(NamedTuple):
    """Selects items: those in *state*, and with *text* in their key or repository."""

    state: ItemState | None = None
    text: str = ""


class FleetPages:
    """The tables of fleets in a database, read for pages."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def wave_counts(self, fleet: int) -> Sequence[tuple[int, ItemState, int]]:
        """Return how many items of each wave are in each state, the first wave first."""
        query = "SELECT wave, state, COUNT(*) FROM fleet_item WHERE fleet = ? GROUP BY wave, state ORDER BY wave, state"
        with self._database.reading() as transaction:
            return [(wave, ItemState(state), count) for wave, state, count in transaction.rows(query, (fleet,))]

    def candidate_times(self, fleet: int) -> Sequence[CandidateTimes]:
        """Return every candidate of a fleet, the oldest first."""
        query = (
            "SELECT id, provider, state, task, submitted_at, ended_at FROM fleet_candidate WHERE fleet = ? ORDER BY id"
        )
        with self._database.reading() as transaction:
            rows = transaction.rows(query, (fleet,))
        return [
            CandidateTimes(id, provider, CandidateState(state), ref, _moment(submitted), _moment(ended))
            for id, provider, state, ref, submitted, ended in rows
        ]

    def chosen_candidates(self, fleet: int) -> frozenset[int]:
        """Return the numbers of the candidates that are chosen."""
        query = "SELECT chosen FROM fleet_item WHERE fleet = ? AND chosen IS NOT NULL"
        with self._database.reading() as transaction:
            return frozenset(number for (number,) in transaction.rows(query, (fleet,)))

    def delivery_times(self, fleet: int) -> Sequence[datetime]:
        """Return when the items that are delivered were."""
        query = "SELECT changed_at FROM fleet_item WHERE fleet = ? AND state = 'delivered'"
        with self._database.reading() as transaction:
            return [datetime.fromtimestamp(at, UTC) for (at,) in transaction.rows(query, (fleet,))]

    def item(self, fleet: int, id: int) -> FleetItem | None:
        """Return an item of a fleet by its number, None where the fleet has none of this number."""
        query = f"SELECT {ITEM_COLUMNS} FROM fleet_item WHERE fleet = ? AND id = ?"  # noqa: S608 - ours
        with self._database.reading() as transaction:
            row = transaction.row(query, (fleet, id))
        return None if row is None else item_of(row)

    def items(
        self, fleet: int, filter: ItemFilter, *, limit: int, first: int = 0, after: int = 0
    ) -> tuple[Sequence[FleetItem], int]:
        """Return items that *filter* selects, in the order of the file, and how many it selects in all.

        The items begin at the position *first*, or after the item with the number *after*.
        """
        conditions: list[str] = ["fleet = ?"]
        values: list[object] = [fleet]
        if filter.state is not None:
            conditions.append("state = ?")
            values.append(filter.state.value)
        if filter.text:
            conditions.append("(LOWER(item_key) LIKE ? ESCAPE '!' OR LOWER(repository) LIKE ? ESCAPE '!')")
            values += [_containing(filter.text)] * 2
        where = " AND ".join(conditions)
        page = f"SELECT {ITEM_COLUMNS} FROM fleet_item WHERE {where} AND id > ? ORDER BY id LIMIT ? OFFSET ?"  # noqa: S608 - ours
        with self._database.reading() as transaction:
            ((count,),) = transaction.rows(f"SELECT COUNT(*) FROM fleet_item WHERE {where}", values)  # noqa: S608 - ours
            return [item_of(row) for row in transaction.rows(page, (*values, after, limit, first))], count


def _containing(text: str) -> str:
    """Return the pattern of LIKE for texts that contain *text*, with ``!`` before its special characters."""
    escaped = text.lower().replace("!", "!!").replace("%", "!%").replace("_", "!_")
    return f"%{escaped}%"


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
