"""The commit that candidates are checked on: the given one, else the one that tasks report, else HEAD of the checkout."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .._patches.revisions import find_commit
from ..errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .candidates import Candidate

# What a service reports is the id of a commit, whole or abbreviated, and no other revision (gitrevisions(7)).
_ID = re.compile(r"[0-9a-f]{7,64}")
# The length of commit ids in sentences (git's core.abbrev for small repositories is 7).
SHORT_ID = 10


class ReviewBase(NamedTuple):
    """The id of a commit, and a sentence where it is not obvious why it is this one."""

    commit: str
    note: str | None = None


def choose_base(
    repository: Path, candidates: Sequence[Candidate], revision: str | None, *, environ: Mapping[str, str] | None = None
) -> ReviewBase:
    """Return the base of *candidates*; *revision* is the person's choice. Raises `ConfigurationError`."""
    if revision is not None:
        commit = find_commit(repository, revision, environ=environ)
        if commit is None:
            raise ConfigurationError(
                f"there is no commit {revision!r} in {repository}", remedy="run git fetch there, or pass another base"
            )
        return ReviewBase(commit)
    reported = Counter(candidate.base for candidate in candidates if candidate.patch and candidate.base)
    found = {base: find_commit(repository, base, environ=environ) if _ID.fullmatch(base) else None for base in reported}
    known = [(base, commit) for base, _ in reported.most_common() if (commit := found[base]) is not None]
    if known:
        base, commit = known[0]
        note = (
            f"the tasks report {len(reported)} bases; all are checked on {base[:SHORT_ID]}"
            if len(reported) > 1
            else None
        )
        return ReviewBase(commit, note)
    return _head(repository, list(reported), environ)


def _head(repository: Path, missing: Sequence[str], environ: Mapping[str, str] | None) -> ReviewBase:
    """Return HEAD, and why it is used."""
    commit = find_commit(repository, "HEAD", environ=environ)
    if commit is None:
        raise ConfigurationError(
            f"{repository} has no commit to check candidates on", remedy="commit something, or pass a base"
        )
    if missing:
        return ReviewBase(
            commit,
            f"the base that the tasks report, {missing[0][:SHORT_ID]}, is not in {repository}; run git fetch there",
        )
    return ReviewBase(commit, f"no base is reported; the candidates are checked on HEAD, {commit[:SHORT_ID]}")
