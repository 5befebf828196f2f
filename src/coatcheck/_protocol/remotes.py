"""The remotes of a checkout, from git's configuration: the addresses that git uses and the repository of each. Pure.

Guarantee: ``url.<base>.insteadOf`` and ``pushInsteadOf`` are applied as git applies them (git-config(1), url.*): the
longest match wins, ``pushInsteadOf`` is for push addresses that ``remote.<name>.pushurl`` does not set.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from .repositories import repository_of

# The pattern for `git config --get-regexp`.
SETTINGS = r"^(remote\..*\.(url|pushurl)|url\..*\.(insteadof|pushinsteadof))$"

_SSH = re.compile(
    r"(?:(?:git\+)?ssh(?:\+git)?://(?:[^/@\s]*@)?(?P<host>[^/:@\s\[\]]+)(?P<rest>(?::\d+)?/.*)"
    r"|(?:[^/@\s:]*@)?(?P<scp>[^/:@\s\[\]]+):(?P<path>(?!//).*))",
    re.IGNORECASE | re.DOTALL,
)
# What may be given to ssh: a name that cannot be an option and holds nothing special.
_ALIAS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


class Remote(NamedTuple):
    """A remote and the ``owner/repo`` on GitHub that it names, None where it names none."""

    name: str
    repository: str | None


class _Rewrites(NamedTuple):
    """Pairs of (what is replaced, what replaces it)."""

    fetch: tuple[tuple[str, str], ...]
    push: tuple[tuple[str, str], ...]


def read_remotes(settings: Iterable[tuple[str, str]], *, host_of: Callable[[str], str]) -> tuple[Remote, ...]:
    """Return the remotes in *settings* (name, value), in the order of the configuration.

    *host_of* returns the host that ssh connects to for a name (an alias in ``~/.ssh/config``). Of a remote, the
    address that is fetched from decides; then the address as it is written, before git rewrites it; then the address
    that is pushed to.
    """
    settings = tuple(settings)
    rewrites = _read_rewrites(settings)
    remotes: dict[str, dict[str, list[str]]] = {}
    for key, value in settings:
        section, _, rest = key.partition(".")
        name, _, variable = rest.rpartition(".")
        if section == "remote":
            kinds = remotes.setdefault(name, {"url": [], "pushurl": []})
            # an empty value drops the earlier ones (git-config(1), remote.<name>.url)
            kinds[variable] = [*kinds[variable], value] if value else []
    return tuple(Remote(name, _first(_addresses(kinds, rewrites), host_of=host_of)) for name, kinds in remotes.items())


def _read_rewrites(settings: Iterable[tuple[str, str]]) -> _Rewrites:
    rules: Mapping[str, list[tuple[str, str]]] = {"insteadof": [], "pushinsteadof": []}
    for key, value in settings:
        section, _, rest = key.partition(".")
        base, _, variable = rest.rpartition(".")
        if section == "url" and value:
            rules[variable].append((value, base))
    return _Rewrites(tuple(rules["insteadof"]), tuple(rules["pushinsteadof"]))


def _rewritten(url: str, pairs: Iterable[tuple[str, str]]) -> str | None:
    """Return *url* with the longest matching beginning replaced, None where none matches."""
    best = max((pair for pair in pairs if url.startswith(pair[0])), key=lambda pair: len(pair[0]), default=None)
    return best and best[1] + url.removeprefix(best[0])


def _addresses(kinds: Mapping[str, list[str]], rewrites: _Rewrites) -> Iterable[str]:
    for url in kinds["url"]:
        yield _rewritten(url, rewrites.fetch) or url
    yield from kinds["url"]
    for url in kinds["pushurl"]:
        yield _rewritten(url, rewrites.fetch) or url
    if not kinds["pushurl"]:
        for url in kinds["url"]:
            if pushed := _rewritten(url, rewrites.push):
                yield pushed


def _first(urls: Iterable[str], *, host_of: Callable[[str], str]) -> str | None:
    """Return the first repository that one of *urls* names, by itself before through ssh's aliases."""
    urls = tuple(urls)
    direct = next(filter(None, map(repository_of, urls)), None)
    return direct or next(filter(None, (repository_of(_resolved(url, host_of)) for url in urls)), None)


def _resolved(url: str, host_of: Callable[[str], str]) -> str:
    """Return an ssh address with the host that ssh connects to; any other address as it is."""
    match = _SSH.fullmatch(url.strip())
    alias = match and (match["host"] or match["scp"])
    if not match or not alias or not _ALIAS.fullmatch(alias):
        return url
    rest = match["rest"] if match["host"] else f"/{match['path'].lstrip('/')}"
    return f"ssh://{host_of(alias)}{rest}"
