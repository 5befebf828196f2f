"""Find the source that a person means: its name, or the repository behind it.

Names are never parsed: the service sends ``sources/github/OWNER/REPO``, the documentation has
``sources/github-owner-repo``. A constructed name is only requested; the name in the response is used.

See docs/reference/protocols/jules.md, "1.5 Pagination, filters, order" and "2.1 Source".
"""

from __future__ import annotations

from collections.abc import Iterable

from ...provider import Environment, encoded, errors, repository_named
from .endpoints import SITE

PREFIX = "sources/"


def label_of(source: str) -> str:
    """Return the display name of a source."""
    return source.removeprefix(PREFIX).removeprefix("github/")


def path_of(wanted: str) -> str:
    """Return where a source named *wanted* would be: a source's name or id, an ``owner/repo``, or a remote's URL.

    Raises `ConfigurationError` for the URL of another host.
    """
    repository = repository_named(wanted)
    if repository is None and "://" in wanted:
        raise errors.ConfigurationError(f"{wanted!r} names no repository on GitHub", remedy="give OWNER/REPO")
    if repository is not None and not wanted.startswith(PREFIX):
        name = f"{PREFIX}github/{repository}"
    else:
        name = wanted if wanted.startswith(PREFIX) else PREFIX + wanted
    return "/" + "/".join(map(encoded, name.split("/")))


def chosen(known: Iterable[Environment], wanted: str) -> Environment:
    """Return the source of *known* that *wanted* means. Raises `ConfigurationError` with the way to connect one."""
    lower = (repository_named(wanted) or wanted).lower()
    for source in known:
        if lower in {source.id.lower(), source.id.lower().removeprefix(PREFIX), (source.label or "").lower()}:
            return source
    raise errors.ConfigurationError(
        f"Jules has no source for {wanted!r}",
        remedy=f"connect the repository at {SITE}, or see: coatcheck environments --provider jules",
    )
