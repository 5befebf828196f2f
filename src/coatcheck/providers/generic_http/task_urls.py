"""The address of a task, and the id that contains it: a service's id, or an address of its response.

Invariants:

- A ref alone identifies a task: an address is in the id, as short as its base URL makes it.
- An address at another origin is requested without credentials, and never without encryption where the service has it.
"""

from __future__ import annotations

from urllib.parse import quote, unquote, urljoin

import msgspec

from ...provider import Request, TaskRef, errors, origin_of

# What an id may hold as it is: everything that RFC 3986 leaves to a path segment, less what `TaskRef` refuses.
_PLAIN = "~:@!$&'()*+,;=-._"


class Addresses(msgspec.Struct, frozen=True):
    """The addresses of one service."""

    name: str
    base_url: str

    def ref(self, native: str) -> TaskRef:
        """Return the ref of what the service calls *native*: an id, or an address as `shortened`."""
        return TaskRef(self.name, quote(native, safe=_PLAIN))

    def native(self, ref: TaskRef) -> str:
        """Return what the service calls it."""
        return unquote(ref.id)

    def shortened(self, location: str, *, requested: str) -> str:
        """Return the address that *location* means in the answer to *requested*: relative to our base URL where it is below.

        Raises `UnreadableResponseError` for what is no address, or one that must not be requested.
        """
        try:
            url = urljoin(requested, location)
            self.request_to(url)
        except (
            ValueError,
            errors.ConfigurationError,
        ) as error:  # ValueError: of a port or an IPv6 address that is none
            reason = f": {error}" if isinstance(error, errors.ConfigurationError) else ""
            raise errors.UnreadableResponseError(
                f"{self.name}: the answer names a place that cannot be requested for the task{reason}"
            ) from None
        base = f"{self.base_url}/"
        if url.startswith(base):
            return url.removeprefix(base)
        if origin_of(url) == origin_of(base):
            return "/" + url.partition("://")[2].partition("/")[2]
        return url

    def url_of(self, address: str) -> str:
        """Return the URL of a shortened address."""
        if "://" in address:
            return address
        if address.startswith("/"):
            return urljoin(self.base_url, address)
        return f"{self.base_url}/{address}"

    def request_to(self, url: str, *, method: str = "GET") -> Request:
        """Return a request to *url*; raises `ConfigurationError` for an address that must not be requested."""
        if not (url.isascii() and url.isprintable()) or " " in url:
            raise errors.ConfigurationError(f"{self.name}: this is not the address of a task")
        scheme, host, _ = origin_of(url)
        if scheme not in ("http", "https") or not host:
            raise errors.ConfigurationError(f"{self.name}: this is not the address of a task")
        if scheme == "http" and self.base_url.startswith("https:"):
            raise errors.ConfigurationError(f"{self.name} names {host} without encryption; it is not requested there")
        is_ours = origin_of(url) == origin_of(self.base_url)
        return Request(method, url.partition("://")[2].partition("?")[0], url=url, is_public=not is_ours)
