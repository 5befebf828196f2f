"""The services of a review: a client with a journal of reviews for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from .. import errors
from .service_threads import ServiceThreads

if TYPE_CHECKING:
    from .._protocol.intents import Journal
    from .._runtime.client import Client
    from .._store.reviews import ReviewJournal, ReviewStore

# Opens a client of a service, which records its submissions in a journal.
OpenClient: TypeAlias = Callable[[str, "Journal"], "AbstractContextManager[Client]"]


class Services(NamedTuple):
    """The clients of a review, the journal of each, and the threads that use them.

    `unavailable` are the services that have no client, such as a local cloud that does not run, and why.
    """

    clients: Mapping[str, Client]
    journals: Mapping[str, ReviewJournal]
    threads: ServiceThreads
    unavailable: Mapping[str, errors.CoatcheckError]


@contextmanager
def open_services(
    names: Sequence[str], store: ReviewStore, open_client: OpenClient, *, template: tuple[str, str] | None = None
) -> Iterator[Services]:
    """Open a client of each service, with a journal of reviews; *template* is that of the prompt, and its digest."""
    with ExitStack() as stack:
        journals = {name: store.journal(template=template) for name in names}
        clients: dict[str, Client] = {}
        unavailable: dict[str, errors.CoatcheckError] = {}
        for name in names:
            try:
                clients[name] = stack.enter_context(open_client(name, journals[name]))
            except errors.CoatcheckError as error:
                unavailable[name] = error
        yield Services(clients, journals, ServiceThreads(clients), unavailable)
