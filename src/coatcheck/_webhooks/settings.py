"""Webhooks of this user: add and remove hooks, set secrets, show deliveries.

Guarantee: a secret is returned once, by the function that creates it, and is stored in the secrets file alone.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from .. import errors
from .._model.events import EVENT_TYPES
from .._protocol import standard_webhooks as standard
from .._runtime.config import state_dir, store_location
from .._runtime.system_clock import SystemClock
from .._store.hooks import ALL_KINDS, Hook, HookDelivery, HookStore
from .._store.location import open_database
from .._store.received import ReceivedStore
from .._values.locked_property import locked_cached_property
from .._values.value import JsonFields, Value
from .secrets_file import SecretsFile
from .senders import all_senders, sender_named
from .targets import read_target

if TYPE_CHECKING:
    from .._app.workspace import Workspace
    from .._protocol.effects import Clock
    from .._store.database import Database

SECRETS_FILE = "hooks.json"


class NewHook(Value, frozen=True, kw_only=True):
    """A hook that was added or got a new secret, with the secret, which is shown this once."""

    hook: Hook
    secret: str

    _json: ClassVar[JsonFields] = {"hook": "hook object", "secret": "its secret, shown this once"}
    _hidden: ClassVar[frozenset[str]] = frozenset({"secret"})


class HookSettings:
    """The hooks, deliveries and secrets of one store at *location*; *folder* has the secrets. Methods block."""

    def __init__(self, location: str, *, folder: str, environ: Mapping[str, str], clock: Clock | None = None) -> None:
        self.location, self._folder, self._environ = location, folder, environ
        self.clock = clock or SystemClock()

    @locked_cached_property
    def database(self) -> Database:
        """The store."""
        return open_database(self.location)

    @property
    def hooks(self) -> HookStore:
        """The hooks and deliveries in the store."""
        return HookStore(self.database, clock=self.clock)

    @property
    def received(self) -> ReceivedStore:
        """The deliveries in the store that arrived."""
        return ReceivedStore(self.database, time=self.clock.time)

    @property
    def secrets(self) -> SecretsFile:
        """The file of secrets, and those of the environment."""
        return SecretsFile(os.path.join(self._folder, SECRETS_FILE), environ=self._environ)

    def close(self) -> None:
        """Close the store."""
        if (database := self.__dict__.get("database")) is not None:
            database.close()

    def add(self, url: str, kinds: Sequence[str], *, allowed: Sequence[str]) -> NewHook:
        """Add a hook for events of *kinds* (all without any). Raises `ConfigurationError`."""
        read_target(url, allowed=allowed)
        unknown = [kind for kind in kinds if kind not in EVENT_TYPES]
        if unknown:
            raise errors.ConfigurationError(
                f"there is no event {unknown[0]!r}", remedy=f"events: {', '.join(sorted(EVENT_TYPES))}"
            )
        now = self.clock.time()
        hook = Hook(
            id=f"hook_{secrets.token_hex(4)}",
            url=url,
            kinds=tuple(kinds) or (ALL_KINDS,),
            created_at=datetime.fromtimestamp(now, UTC),
        )
        secret = standard.new_secret()
        self.secrets.add(hook.id, secret, now=now)
        self.hooks.add(hook)
        return NewHook(hook=hook, secret=secret)

    def rotate(self, id: str) -> NewHook:
        """Give a hook a new secret; for a day its messages are signed with both."""
        hook, secret = self.hooks.get(id), standard.new_secret()
        self.secrets.add(id, secret, now=self.clock.time())
        return NewHook(hook=hook, secret=secret)

    def remove(self, id: str) -> None:
        """Remove a hook, its deliveries and its secrets. Raises `ConfigurationError` where there is none."""
        self.hooks.get(id)
        self.hooks.remove(id)
        self.secrets.remove(id)

    def replay(self, id: str) -> None:
        """Make a delivery due again. Raises `ConfigurationError` where there is none."""
        if not self.hooks.replay(id):
            raise errors.ConfigurationError(
                f"there is no sent delivery {id!r}", remedy="see the deliveries: coatcheck hooks log"
            )

    def test(self, id: str, *, allowed: Sequence[str]) -> HookDelivery:
        """Send ``webhook.test`` to a hook now, once; return the delivery. Raises `ConfigurationError` without a hook."""
        from .outbox import post_test

        hook, message = self.hooks.get(id), f"msg_{id}_test_{secrets.token_hex(4)}"
        result = post_test(hook, message, self.secrets.get(id, now=self.clock.time()), self.clock.time(), allowed)
        self.hooks.record_test(id, message, status=result.status, detail=result.error, is_sent=result.is_success)
        return next(each for each in self.hooks.list_deliveries(hook=id) if each.id == message)

    def switch(self, id: str, *, is_on: bool) -> Hook:
        """Switch a hook on or off; its failures are counted from 0. Raises `ConfigurationError` where there is none."""
        self.hooks.get(id)
        self.hooks.switch(id, is_on=is_on)
        return self.hooks.get(id)

    def deliveries(self, *, hook: str | None, limit: int, before: HookDelivery | None = None) -> Sequence[HookDelivery]:
        """Return the newest deliveries, of one hook or sender where *hook* is given; those that come after *before*.

        Raises `ConfigurationError` where there is no such hook or sender.
        """
        if hook is not None and hook not in all_senders():
            self.hooks.get(hook)
        return self.hooks.list_deliveries(hook=hook, limit=limit, before=before)

    def use_urls(self, urls: Sequence[str], *, allowed: Sequence[str]) -> Sequence[tuple[Hook, str | None]]:
        """Send every event to *urls* and to no other address; return their hooks, with the secrets of new ones."""
        known = {hook.url: hook for hook in self.hooks.list_hooks()}
        for url, hook in known.items():
            self.hooks.switch(hook.id, is_on=url in urls)
        used: list[tuple[Hook, str | None]] = []
        for url in dict.fromkeys(urls):
            new = None if url in known else self.add(url, (), allowed=allowed)
            used.append((known[url], None) if new is None else (new.hook, new.secret))
        return used

    def set_sender_secret(self, sender: str, secret: str) -> None:
        """Accept deliveries of *sender* that are signed with *secret*; a former one is valid for a day.

        Raises `ConfigurationError` for an unknown sender or a secret that is not one.
        """
        sender_named(sender).signature.read_secret(secret)
        self.secrets.add(f"in:{sender}", secret, now=self.clock.time())

    def remove_sender_secret(self, sender: str) -> bool:
        """Accept no deliveries of *sender* any more; False where none were accepted."""
        return self.secrets.remove(f"in:{sender}")

    def senders(self) -> Sequence[str]:
        """Return the senders whose deliveries are accepted."""
        return [name for name in all_senders() if self.secrets.get(f"in:{name}", now=self.clock.time())]


class WebhookSettings(HookSettings):
    """The hooks, deliveries and secrets of this user."""

    def __init__(self, workspace: Workspace, *, clock: Clock | None = None) -> None:
        folder = state_dir(workspace.environ)
        super().__init__(store_location(workspace.config), folder=folder, environ=workspace.environ, clock=clock)
        self.workspace = workspace
