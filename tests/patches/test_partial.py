from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from coatcheck._patches.parse import Patch
from coatcheck.errors import PatchConflictError, PatchError

if TYPE_CHECKING:
    from .conftest import Repository, Tree

TEN = b"".join(b"line %d\n" % number for number in range(10))
FOUR = TEN.replace(b"line 4\n", b"line four\n")
OTHER_FOUR = TEN.replace(b"line 4\n", b"IV\n")

# What the tree has beside `fits`, what is not committed of it, what the patch makes of it, and the kind of refusal.
LEFT: dict[str, tuple[Tree, Tree, Tree, str]] = {
    "conflict": ({"x": OTHER_FOUR}, {}, {"x": FOUR}, "both modified"),
    "dirty": ({"x": TEN}, {"x": b"mine\n"}, {"x": FOUR}, "dirty"),
    "untracked": ({}, {"x": b"mine\n"}, {"x": FOUR}, "untracked"),
    "deleted": ({}, {}, {"x": FOUR}, "deleted by us"),
    "both added": ({"x": OTHER_FOUR}, {}, {"x": FOUR}, "both added"),
}
BASES: dict[str, Tree] = {"untracked": {}, "both added": {}}


OPTIONS: tuple[dict[str, bool], ...] = ({}, {"index": True}, {"markers": True}, {"check": True})


@pytest.mark.parametrize("name", LEFT)
def test_an_application_is_all_or_an_error(name: str, repository: Repository) -> None:
    """Where one file cannot be patched an error names it, and nothing is changed; a partial result has to be wanted."""
    ours, edited, theirs, kind = LEFT[name]
    patch = repository.diff({"fits": TEN, **BASES.get(name, {"x": TEN})}, {"fits": FOUR, **theirs})
    base = repository.git("rev-parse", "HEAD~1").decode().strip()
    repository.git("reset", "--quiet", "--hard", base)
    repository.commit({"fits": TEN, **ours})
    repository.put(edited)
    before = repository.tree(), repository.git("ls-files", "--stage")
    resolve_snapshot = Patch(patch).verify(base=repository.folder)
    for options in OPTIONS:
        with pytest.raises(PatchConflictError) as caught:
            resolve_snapshot.apply(repository.folder, base=base, **options)  # type: ignore[arg-type]
    unchanged = repository.tree(), repository.git("ls-files", "--stage")
    done = resolve_snapshot.apply(repository.folder, base=base, partial=True)

    assert (("x",), before, {"fits": "", "x": kind}, FOUR) == (
        caught.value.files,
        unchanged,
        {each.path: each.kind for each in done.files},
        repository.tree()["fits"][1],
    )


def test_the_error_has_what_became_of_every_file(repository: Repository) -> None:
    """Who catches the error can look at each file's reason."""
    repository.commit({"fits": TEN})
    repository.put({"x": b"mine\n"})
    patch = repository.git("diff", "--no-index", "/dev/null", "x", accept=(1,))
    repository.put({"x": b"other\n"})
    with pytest.raises(PatchConflictError, match=r"1 of 1 files do not fit: x \(untracked: ") as caught:
        Patch(patch).verify().apply(repository.folder)

    assert ("untracked", True, "nothing was changed") == (
        caught.value.result.files[0].kind,  # type: ignore[attr-defined]
        isinstance(caught.value, PatchError),
        caught.value.remedy,
    )


def test_what_is_there_already_is_no_error(repository: Repository) -> None:
    """A patch that is applied already is complete."""
    patch = repository.diff({"x": TEN}, {"x": FOUR})

    assert Patch(patch).verify(base=repository.folder).apply(repository.folder).is_complete
