"""What a comparison shows: the diff of a candidate, or how it differs from another one, and what is kept between requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

from .. import errors
from .._patches.checkout import Checkout
from .._patches.git import GitError
from .candidate_sets import Cache, CandidateSet, CandidateSets, Shown
from .diffs.base_files import BaseReader, CommitFiles, ResultFiles
from .diffs.candidate_files import CandidateFiles, candidate_files
from .diffs.file_rows import UNIFIED, VIEWS
from .diffs.file_section import DiffFile, FileView, files_of, files_of_interdiff
from .diffs.interdiff import interdiff
from .diffs.links import DiffLinks
from .fleet_lookup import item_of
from .page_errors import PageNotFoundError

if TYPE_CHECKING:
    from .._patches.parse import Patch
    from .page_request import PageRequest
    from .site import Site

    Find: TypeAlias = Callable[[PageRequest], CandidateSet]

# So many diffs, parsed and compared, are kept.
KEPT = 8


class Comparisons:
    """What the views of one site keep between requests."""

    def __init__(self, site: Site) -> None:
        self.sets = CandidateSets(site)
        self.diffs = Cache(KEPT)


_COMPARISONS: WeakKeyDictionary[Site, Comparisons] = WeakKeyDictionary()


def comparisons(site: Site) -> Comparisons:
    """Return what is kept for *site*."""
    return _COMPARISONS.setdefault(site, Comparisons(site))


def task_set(request: PageRequest) -> CandidateSet:
    """Return the attempts of the task that the path names."""
    return comparisons(request.site).sets.of_task(request.ref)


def review_set(request: PageRequest) -> CandidateSet:
    """Return the candidates of the review that the path names."""
    return comparisons(request.site).sets.of_review(request.parameters["name"])


def item_set(request: PageRequest) -> CandidateSet:
    """Return the candidates of the item of a fleet that the path names."""
    return comparisons(request.site).sets.of_item(*item_of(request))


class Selection(NamedTuple):
    """What a request shows: the diff of a candidate, or with *against* its difference from another one.

    With `is_differing` the files that all candidates change in the same way, `hidden` of them, are left out.
    """

    candidates: CandidateSet
    shown: Shown
    against: Shown | None
    view: str
    files: Sequence[DiffFile]
    file_view: FileView
    problem: str = ""
    is_differing: bool = False
    hidden: int = 0

    @property
    def links(self) -> DiffLinks:
        """The addresses of this diff."""
        return self.file_view.links

    def file(self, anchor: str) -> DiffFile:
        """Return the file *anchor*. Raises `NotFoundError`."""
        file = next((each for each in self.files if each.anchor == anchor), None)
        if file is None:
            raise PageNotFoundError("the diff has no such file", remedy="open the comparison again")
        return file


def select(request: PageRequest, candidates: CandidateSet) -> Selection:
    """Return what the query selects."""
    query = request.query
    shown = candidates.at(query.number("candidate") or _first(candidates))
    number = query.number("against")
    against = candidates.at(number) if number and number != shown.number else None
    view = query.get("view") if query.get("view") in VIEWS else UNIFIED
    parameters = {"candidate": str(shown.number), "view": view}
    hides_space = query.get("space") == "hidden"
    if hides_space:
        parameters["space"] = "hidden"
    if against:
        parameters["against"] = str(against.number)
    files, reader, problem = _diff(request.site, candidates, shown, against)
    is_differing = not against and query.get("only") == "differing"
    if is_differing:
        parameters["only"] = "differing"
        same = {row.anchor for row in table_of(request.site, candidates).same}
        visible = [file for file in files if file.anchor.partition("-")[0] not in same]
        files, hidden = visible, len(files) - len(visible)
    else:
        hidden = 0
    file_view = FileView(
        DiffLinks(candidates.path, parameters),
        view,
        reader,
        has_all_context=query.get("context") == "all",
        hides_space=hides_space,
    )
    return Selection(candidates, shown, against, view, files, file_view, problem, is_differing, hidden)


def _first(candidates: CandidateSet) -> int:
    """Return the number of the first candidate with a patch."""
    return next((each.number for each in candidates.shown if each.candidate.patch), 1)


def _diff(
    site: Site, candidates: CandidateSet, shown: Shown, against: Shown | None
) -> tuple[Sequence[DiffFile], BaseReader | None, str]:
    """Return the files of the diff, the reader of what they begin at, and why there are none."""
    key = ("diff", candidates.key, shown.number, against and against.number)
    try:
        files, reader = comparisons(site).diffs.get(key, lambda: _make_diff(candidates, shown, against))
    except errors.PatchError as error:
        return (), None, f"the diff cannot be read: {error}"
    missing = next((each for each in (shown, against) if each and each.candidate.patch is None), None)
    problem = f"{missing.label} has no diff: {missing.candidate.error or 'the reason is not known'}" if missing else ""
    return files, reader, problem


def _make_diff(
    candidates: CandidateSet, shown: Shown, against: Shown | None
) -> tuple[Sequence[DiffFile], BaseReader | None]:
    patch = shown.candidate.patch
    reader = _reader(candidates.root, shown.candidate.base)
    if patch is None or (against and against.candidate.patch is None):
        return (), reader
    if against is None or against.candidate.patch is None:
        return files_of(patch.files), reader
    other = against.candidate.patch
    names = f"candidate {against.number}", f"candidate {shown.number}"
    return files_of_interdiff(interdiff(other, patch, reader), names), ResultFiles(other, reader)


def _reader(root: str | None, base: str | None) -> BaseReader | None:
    if root is None:
        return None
    try:
        return CommitFiles(Checkout.at(root), base)
    except GitError:
        return None


def table_of(site: Site, candidates: CandidateSet) -> CandidateFiles:
    """Return the files of all candidates."""
    patches = [each.candidate.patch for each in candidates.shown]
    return comparisons(site).diffs.get(("files", candidates.key), lambda: candidate_files(patches))


def patch_of(candidates: CandidateSet, number: int) -> Patch:
    """Return the patch of candidate *number*. Raises `PageNotFoundError` where it has none."""
    shown = candidates.at(number)
    if shown.candidate.patch is None:
        raise PageNotFoundError(f"{shown.label} has no diff: {shown.candidate.error}", remedy="choose another one")
    return shown.candidate.patch


def difference(candidates: CandidateSet, left: int, right: int) -> bytes:
    """Return the diff from the result of candidate *left* to that of candidate *right*."""
    for number in (left, right):
        patch_of(candidates, number)
    files, _ = _make_diff(candidates, candidates.at(right), candidates.at(left))
    return b"".join(dict.fromkeys(file.text for file in files))
