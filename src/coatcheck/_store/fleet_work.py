"""What a fleet has to do next, read from its tables, and the results of reviews."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .._model.fleets import SWEPT_CANDIDATES, UNSETTLED_CANDIDATES, CandidateState, FleetCandidate, ItemState
from .blobs import get_blob
from .fleet_planning import keep_text
from .fleet_rows import CANDIDATE_COLUMNS, candidate_of
from .fleets import move_candidate, move_item

if TYPE_CHECKING:
    from .._model.events import AnyEvent
    from .._patches.changed_lines import ChangedLines
    from .._protocol.effects import Clock
    from .database import Database

_UNSETTLED = ", ".join(f"'{state.value}'" for state in sorted(UNSETTLED_CANDIDATES))


class FleetWork:
    """Due work and reviews of fleets in a database. Methods block."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._database, self._clock = database, clock

    def planned(self, fleet: int, provider: str, *, wave: int, limit: int) -> Sequence[FleetCandidate]:
        """Return candidates that are to be submitted to a service: of items of the waves that have begun."""
        columns = ", ".join(f"fleet_candidate.{name}" for name in CANDIDATE_COLUMNS.split(", "))
        query = (
            f"SELECT {columns} FROM fleet_candidate JOIN fleet_item ON fleet_item.id = item"  # noqa: S608 - ours
            " WHERE fleet_candidate.fleet = ? AND fleet_candidate.state = 'planned' AND provider = ? AND wave <= ?"
            " ORDER BY fleet_candidate.id LIMIT ?"
        )
        return [candidate_of(row) for row in self._database.read(query, (fleet, provider, wave, limit))]

    def reviewable(self, fleet: int, *, limit: int) -> Sequence[int]:
        """Return the numbers of open items of which every candidate has ended."""
        query = (
            "SELECT id FROM fleet_item WHERE fleet = ? AND state = 'open' AND EXISTS"  # noqa: S608 - ours
            " (SELECT 1 FROM fleet_candidate WHERE item = fleet_item.id) AND NOT EXISTS"
            f" (SELECT 1 FROM fleet_candidate WHERE item = fleet_item.id AND state IN ({_UNSETTLED})) LIMIT ?"
        )
        return [row[0] for row in self._database.read(query, (fleet, limit))]

    def is_settled(self, item: int) -> bool:
        """Whether every candidate of an item has ended."""
        query = f"SELECT 1 FROM fleet_candidate WHERE item = ? AND state IN ({_UNSETTLED}) LIMIT 1"  # noqa: S608 - ours
        return not self._database.read(query, (item,))

    def accounts_in_use(
        self, fleet: int, *, states: Collection[CandidateState] = SWEPT_CANDIDATES
    ) -> Sequence[tuple[str, str]]:
        """Return the accounts that have candidates of a fleet in *states*: those whose tasks are polled."""
        query = (
            "SELECT DISTINCT provider, account FROM fleet_candidate"  # noqa: S608 - marks
            f" WHERE fleet = ? AND state IN ({', '.join('?' * len(states))})"
        )
        parameters = (fleet, *(state.value for state in states))
        return [(provider, account or "") for provider, account in self._database.read(query, parameters)]

    def record_review(
        self,
        fleet: int,
        item: int,
        state: ItemState,
        *,
        review: Mapping[str, Any],
        chosen: int | None,
        why: str,
        events: Iterable[AnyEvent] = (),
    ) -> bool:
        """Record what a review of an open item has found; its candidates are verified."""
        with self._database.writing(is_durable=False) as transaction:
            transaction.lock_events()
            now = self._clock.time()
            if not move_item(transaction, item, ItemState.OPEN, state, at=now, why=why, chosen=chosen, events=events):
                return False
            number = keep_text(transaction, fleet, json.dumps(review).encode())
            transaction.change("UPDATE fleet_item SET review = ? WHERE id = ?", (number, item))
            query = "SELECT id FROM fleet_candidate WHERE item = ? AND state = 'ended'"
            for (candidate,) in transaction.rows(query, (item,)):
                move_candidate(transaction, candidate, CandidateState.ENDED, CandidateState.VERIFIED, at=now)
        return True

    def review(self, item: int) -> dict[str, Any] | None:
        """Return what the last review of an item has found, None where there was none."""
        with self._database.reading() as transaction:
            ((number,),) = transaction.rows("SELECT review FROM fleet_item WHERE id = ?", (item,))
            document: dict[str, Any] | None = None if number is None else json.loads(get_blob(transaction, number))
        return document

    def changed_lines(
        self, fleet: int, states: Iterable[ItemState]
    ) -> Mapping[int, tuple[int, Sequence[ChangedLines]]]:
        """Return by item how many lines its chosen patch changes, and which of the base; for items in *states*."""
        from .._patches.changed_lines import ChangedLines  # the parser of patches, which a status does not need

        names = [state.value for state in states]
        query = (
            "SELECT fleet_item.id, insertions + deletions, hunks FROM fleet_item"  # noqa: S608 - marks
            " JOIN fleet_candidate ON fleet_candidate.id = chosen JOIN fleet_patch ON digest = patch"
            f" WHERE fleet_item.fleet = ? AND fleet_item.state IN ({', '.join('?' * len(names))})"
        )
        with self._database.reading() as transaction:
            rows = transaction.rows(query, (fleet, *names))
        return {item: (size, [ChangedLines(*each) for each in json.loads(hunks)]) for item, size, hunks in rows}

    def reviews(self, fleet: int) -> dict[int, dict[str, Any]]:
        """Return what the last review of each item has found, by the numbers of the items that were reviewed."""
        query = "SELECT id, review FROM fleet_item WHERE fleet = ? AND review IS NOT NULL"
        with self._database.reading() as transaction:
            rows = transaction.rows(query, (fleet,))
            return {item: json.loads(get_blob(transaction, number)) for item, number in rows}
