"""Open the reviews in the user's store, and find one by its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .._runtime.system_clock import SystemClock
from .task_history import has_store, location_of

if TYPE_CHECKING:
    from .._protocol.effects import Clock
    from .._runtime.config import Config
    from .._store.reviews import ReviewStore, StoredReview


def open_reviews(config: Config, *, clock: Clock | None = None) -> ReviewStore:
    """Return the reviews in the store of *config*. Its methods raise `StoreError`."""
    from .._runtime.config import state_dir
    from .._store.location import open_database
    from .._store.reviews import ReviewStore

    database = open_database(location_of(config))
    return ReviewStore(database, clock=clock or SystemClock(), old_folder=state_dir(config.environ))


def known_reviews(config: Config, *, limit: int = 50) -> Sequence[StoredReview]:
    """Return the newest reviews; creates no store."""
    if not has_store(config):
        return ()
    store = open_reviews(config)
    try:
        return store.list_reviews(limit=limit)
    finally:
        store.close()


def find_review(config: Config, name: str) -> StoredReview | None:
    """Return the review *name*, None where there is none; creates no store."""
    if not has_store(config):
        return None
    store = open_reviews(config)
    try:
        return store.get(name)
    finally:
        store.close()


def forget_reviews(config: Config, names: Sequence[str]) -> int:
    """Delete reviews, and close their gates; their tasks stay. Return how many there were."""
    store = open_reviews(config)
    try:
        return store.delete(names)
    finally:
        store.close()
