"""Where the service is, and how its tasks are addressed (codex-wham.md 1.1 and 8)."""

from __future__ import annotations

import re

import msgspec

from ... import errors
from ..._model.tasks import TaskRef

DEFAULT_BASE_URL = "https://chatgpt.com/backend-api"

# Only these get the missing path appended; the official client compares the start of the text (1.1).
_HOMES = ("https://chatgpt.com", "https://chat.openai.com")

# What the base URL contains decides how paths begin (1.1).
_BACKEND, _API = "/backend-api", "/api/codex"

# Ids of every form seen (2.3); `~` goes into the path as it is (2.4). Anything else is percent-encoded.
_PLAIN_SEGMENT = re.compile(r"[A-Za-z0-9_.~-]*[A-Za-z0-9_~-][A-Za-z0-9_.~-]*")
_BASE_URL = re.compile(r"https?://[^/?#@\s]+(?:/[^?#\s]*)?", re.IGNORECASE)


class Service(msgspec.Struct, frozen=True):
    """One deployment of the service: the word in front of its refs, its base URL, how its paths begin."""

    name: str
    base_url: str
    prefix: str

    @classmethod
    def at(cls, base_url: str, *, name: str) -> Service:
        """Return the service at *base_url*, normalised as the official client does (1.1).

        One difference: a base that ends in ``/api/codex`` is taken for what it means and not doubled.
        Raises `ConfigurationError` for what is no plain http or https URL.
        """
        base = base_url.strip().rstrip("/")
        if not _BASE_URL.fullmatch(base):
            raise errors.ConfigurationError(
                f"the base URL of {name} is not usable",
                remedy="give http(s)://HOST[:PORT][/PATH] without user information, a query or a fragment",
            )
        if base.startswith(_HOMES) and _BACKEND not in base:
            base += _BACKEND
        if _BACKEND in base:
            return cls(name, base, "/wham")
        return cls(name, base.removesuffix(_API).rstrip("/"), _API)

    def path(self, *segments: str) -> str:
        """Return the path of a route; each segment is encoded where it must be."""
        return "/".join((self.prefix, *map(encoded, segments)))

    def ref(self, id: str) -> TaskRef:
        """Return the ref of the task *id*."""
        return TaskRef(self.name, id)

    def url_of(self, id: str) -> str:
        """Return the page on which people see the task *id* (8)."""
        site = self.base_url.removesuffix(_BACKEND).removesuffix(_API)
        return f"{site}/codex/tasks/{encoded(id)}"


def encoded(segment: str) -> str:
    """Return *segment* so that it is one segment of a path, whatever it holds."""
    if _PLAIN_SEGMENT.fullmatch(segment):
        return segment
    from urllib.parse import quote  # ids that need it are rare

    # URL parsers also resolve "%2e%2e", so dots alone are encoded twice: nobody has such an id anyway.
    return quote(segment, safe="~") if segment.strip(".") else segment.replace(".", "%252E")
