"""Check a patch against a policy before it is used.

The rules read the diff, and of the checkout only what the diff does not contain: whether a path
goes through a symbolic link, and whether the hunks fit. What the rules mean is in `policy`; what a name can hide, in
`paths`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from ..errors import PatchError, PatchRejectedError
from . import content_rules, path_rules, secret_rules, size_rules, symlink_rules
from .checkout_strip_level import paths_of, settle
from .file_change import ChangeStatus, FileChange
from .header import BinaryForm
from .hunk_match import misfits
from .path_patterns import matcher
from .policy import Finding, Policy
from .work_tree import read_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .apply_results import AppliedPatch

    # Rule, path, line, detail: a finding before a policy weighs it.
    Suspicion = tuple[str, str, int | None, str]

_TYPE_BITS, _LINK, _SUBMODULE = 0o170000, 0o120000, 0o160000
# git keeps two modes of files (cache.h, create_ce_mode); 0o100664 is in old repositories.
_KNOWN_MODES = frozenset({None, 0o100644, 0o100664, 0o100755, _LINK, _SUBMODULE})

# limits.h of Linux, PATH_MAX: the longest path that a system call takes, with its end (bytes).
_PATH_MAX = 4096

# diffcore.h, MINIMUM_BREAK_SIZE: the replacement of a shorter file is no finding.
_SHORT_FILE = 400


class VerifiedPatch(NamedTuple):
    """A patch that a policy accepts, with the findings. `Patch.verify` returns it."""

    changes: tuple[FileChange, ...]
    findings: tuple[Finding, ...]
    policy: Policy

    def apply(
        self,
        checkout: str | os.PathLike[str],
        *,
        index: bool = False,
        three_way: bool = True,
        check: bool = False,
        markers: bool = False,
        partial: bool = False,
        base: str | None = None,
        task: object = None,
        attempt: int = 1,
        commit: str | None = None,
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
    ) -> AppliedPatch:
        """Write the patch into the work tree of *checkout*, as git would: all of it, or nothing and an error.

        With *partial*, file by file: what fits is applied, and the result lists the others. Nothing is
        staged unless *index*; nothing is written when *check*, not even a temporary file in the checkout. What does not
        fit is merged with the change since *base* (a commit; else the blobs the patch names) when *three_way*; a file
        in conflict is left as it is, or gets markers when *partial* and *markers*. Files with uncommitted changes are
        skipped. *task* (its ref) and *attempt* identify the origin of the patch, so that another attempt of the same
        task is refused while this one is applied and not committed. With *commit*, a message, the patch is also committed
        to the current branch, alone and only where all of it was applied. `undo` reverts it, the commit included.

        Raises `PatchConflictError`, with the files, where not everything can be applied; also while an earlier
        application is unfinished, another attempt of the task is applied, another git holds the index, or the disk
        refuses. `ConfigurationError` where *checkout* is no checkout. `PatchRejectedError` where a symbolic link would
        lead out of the tree, or where more would be written than the policy allows.
        """
        from .apply import ApplyRequest, apply
        from .undo_journal import PatchSource

        changes = self._chosen(include, exclude, paths_of(checkout))
        self._check_size(changes, checkout, base)
        source = None if task is None else PatchSource(str(task), attempt)
        to_index = index or commit is not None
        request = ApplyRequest(to_index, three_way, check, markers, partial, base, source, commit)
        return apply(changes, checkout, request)

    def commit(
        self,
        checkout: str | os.PathLike[str],
        *,
        branch: str,
        message: str,
        start: str = "HEAD",
        include: Iterable[str] = (),
        exclude: Iterable[str] = (),
    ) -> AppliedPatch:
        """Make *branch* at *start* with one commit that holds the patch; work tree and index stay as they are.

        Raises `ConfigurationError` when the branch exists already, `PatchConflictError` when the patch does not fit.
        """
        from .branch import commit

        changes = self._chosen(include, exclude, paths_of(checkout, start))
        self._check_size(changes, checkout, start)
        return commit(changes, checkout, branch=branch, message=message, start=start)

    def _chosen(
        self, include: Iterable[str], exclude: Iterable[str], exists: Callable[[str], bool]
    ) -> tuple[FileChange, ...]:
        """Return the selected changes; where the tree decides the strip level, the new paths are verified again."""
        changes = settle(self.changes, exists)
        if changes is not self.changes:
            verify(changes, base=None, policy=self.policy)
        return tuple(filter(matcher(include=include, exclude=exclude), changes))

    def _check_size(self, changes: tuple[FileChange, ...], checkout: str | os.PathLike[str], base: str | None) -> None:
        """Raise `PatchRejectedError` where more would be written than the policy allows; before git sees the patch."""
        if self.policy.severity("too-large") != "reject" or not any(map(size_rules.can_grow, changes)):
            return
        from .checkout_sizes import sizes_before

        problems = size_rules.problems(changes, self.policy, sizes_before(changes, checkout, base))
        _refuse(_weigh(self.policy, [("too-large", path, None, detail) for path, detail in problems]))


def verify(
    changes: tuple[FileChange, ...], *, base: str | os.PathLike[str] | None, policy: Policy | None
) -> VerifiedPatch:
    """Check *changes*, which must be parsed. Raises `PatchRejectedError` with the findings that reject them.

    Raises `PatchError` for a path that is longer than any system can open.
    """
    policy = policy or Policy.default()
    _check_lengths(changes)
    if base is not None:
        changes = settle(changes, paths_of(base))
    findings = tuple(_weigh(policy, _suspicions(changes, policy, base)))
    _refuse(findings)
    return VerifiedPatch(changes, findings, policy)


def _check_lengths(changes: Iterable[FileChange]) -> None:
    """Raise `PatchError` for a path that is too long: the rules about its folders take time in the square of its length."""
    for change in changes:
        if any(len(path) >= _PATH_MAX for path in change.paths):
            raise PatchError(
                f"line {change.line}: a path of more than {_PATH_MAX - 1:,} characters",
                line=change.line,
                remedy="leave the file out of the diff",
            )


def _refuse(findings: Iterable[Finding]) -> None:
    if rejected := [finding for finding in findings if finding.severity == "reject"]:
        more = f" (and {len(rejected) - 1} more)" if len(rejected) > 1 else ""
        is_size = {finding.rule for finding in rejected} == {"too-large"}
        remedy = "leave files out with --exclude" + (", or allow it with --ignore too-large" if is_size else "")
        raise PatchRejectedError(f"{rejected[0]}{more}", reasons=rejected, remedy=f"look at the diff; {remedy}")


def _weigh(policy: Policy, suspicions: Iterable[Suspicion]) -> Iterator[Finding]:
    for rule, path, line, detail in dict.fromkeys(suspicions):
        if (severity := policy.severity(rule)) is not None:
            yield Finding(rule=rule, path=path, line=line, severity=severity, detail=detail)


def _suspicions(
    changes: tuple[FileChange, ...], policy: Policy, base: str | os.PathLike[str] | None
) -> Iterator[Suspicion]:
    diff = changes[0].diff if changes else b""
    patterns, may_hide = secret_rules.secret_patterns(diff), content_rules.may_hide(diff)
    for change in changes:
        yield from _of_names(change)
        yield from _of_kind(change)
        yield from _of_content(change, policy)
        if patterns:
            for line, name in secret_rules.secrets(change, patterns):
                yield "secret", change.path, line, f"this looks like {name}"
        if may_hide:
            for rule, line, detail in content_rules.hidden_in_text(change):
                yield rule, change.path, line, detail
    yield from _of_tree(changes)
    if any(map(size_rules.can_grow, changes)):
        from .checkout_sizes import sizes_before

        size_of = sizes_before(changes, base, None) if base is not None else lambda _: None
        for path, detail in size_rules.problems(changes, policy, size_of):
            yield "too-large", path, None, detail
    if base is not None:
        yield from _of_base(changes, base)


def _of_names(change: FileChange) -> Iterator[Suspicion]:
    for path in change.paths:
        if path_rules.is_ordinary(path):
            problems = [*path_rules.device_problems(path), *content_rules.path_problems(path)]
        else:
            hidden = content_rules.hidden_in_name(path) if path == change.new_path else ()
            problems = [*path_rules.problems(path), *content_rules.path_problems(path), *hidden]
        yield from ((rule, path, None, detail) for rule, detail in problems)


def _of_kind(change: FileChange) -> Iterator[Suspicion]:
    header, path = change.header, change.path
    if header.form == "combined":
        yield "merge", path, None, "the diff of a merge cannot be applied"
    if header.binary is BinaryForm.PATCH:
        yield "binary", path, None, "the file is binary"
    elif header.binary is BinaryForm.DIFFERS:
        yield "binary-without-content", path, None, "the file is binary, and the diff does not carry it"
    if header.old_mode is not None or header.new_mode is not None:
        yield from _of_modes(change, header.old_mode, header.new_mode)


def _of_modes(change: FileChange, old: int | None, new: int | None) -> Iterator[Suspicion]:
    if old not in _KNOWN_MODES or new not in _KNOWN_MODES:
        yield "mode", change.path, None, "git does not support this file mode"
    if _SUBMODULE in (old, new):
        yield "submodule", change.path, None, "a submodule moves to another commit"
    if new is not None and new & 0o111 and new & _TYPE_BITS == 0o100000 and not (old or 0) & 0o111:
        yield "executable", change.path, None, "the file becomes executable"
    if new is not None and new & _TYPE_BITS == _LINK and change.new_path is not None:
        yield from _of_link(change)


def _of_link(change: FileChange) -> Iterator[Suspicion]:
    target = link_target(change)
    if target is None:
        yield "symlink-outside", change.path, None, "the diff does not show where the symbolic link points"
    elif path_rules.leads_outside(change.path, target):
        yield "symlink-outside", change.path, None, "the symbolic link points out of the tree"
    else:
        yield "symlink", change.path, None, "a symbolic link is made or changed"


def link_target(change: FileChange) -> str | None:
    """Return where the symbolic link points after *change*, None where the diff does not show it."""
    lines = [line for hunk in change.hunks for line in hunk.lines if line.sign != "-"]
    return b"".join(line.content for line in lines).decode("utf-8", "surrogateescape") if lines else None


def _of_content(change: FileChange, policy: Policy) -> Iterator[Suspicion]:
    # An addition cannot be longer than its part of the diff, nor a replaced file.
    if change.header.binary is BinaryForm.PATCH:
        size = size_rules.result_size(change, lambda _: None)
    elif (size := len(bytes(change))) > policy.large_file:
        size = sum(len(line) for _, line in content_rules.added_lines(change)) if not change.is_combined else 0
    if size > policy.large_file and change.new_path is not None:
        yield "large-file", change.path, None, f"{size:,} bytes are added"
    if change.status is ChangeStatus.MODIFIED and change.removed and change.added and _is_rewrite(change):
        yield "rewrite", change.path, None, "every line of the file is replaced"


def _is_rewrite(change: FileChange) -> bool:
    part = bytes(change)
    if len(part) < _SHORT_FILE or b"\n " in part or change.is_combined:
        return False
    (first, *others) = change.hunks
    removed = sum(len(line.content) for line in first.lines if line.sign == "-")
    return not others and first.old_start <= 1 and removed >= _SHORT_FILE


def _of_tree(changes: tuple[FileChange, ...]) -> Iterator[Suspicion]:
    """Check the paths together: one change may write through a link of another."""
    yield from symlink_rules.of_patch(changes, link_target)
    spelled: dict[str, str] = {}
    for change in changes:
        for path in change.paths:
            if spelled.setdefault(path_rules.folded(path), path) != path:
                yield "same-name", path, None, f"on some systems this is {spelled[path_rules.folded(path)]}"


def _of_base(changes: tuple[FileChange, ...], base: str | os.PathLike[str]) -> Iterator[Suspicion]:
    from .checkout import Checkout

    checkout = Checkout.at(base)
    kept = {change.new_path for change in changes} | {c.old_path for c in changes if c.status is ChangeStatus.COPIED}
    known = {c.old_path: False for c in changes if c.old_path and c.old_path not in kept}
    for change in changes:
        for path in change.paths:
            if any(_is_link(checkout.root, parent, known) for parent in path_rules.parents(path)):
                yield "through-symlink", path, None, "the path goes through a symbolic link of the checkout"
    if any(change.status is not ChangeStatus.MODIFIED or change.is_symlink for change in changes):
        yield from symlink_rules.of_checkout(changes, link_target, checkout.root, checkout.entries())
    yield from _misfits(changes, checkout.root)


def _is_link(root: str, folder: str, known: dict[str, bool]) -> bool:
    if folder not in known:
        known[folder] = "\0" not in folder and os.path.islink(os.path.join(root, folder))
    return known[folder]


def _misfits(changes: tuple[FileChange, ...], root: str) -> Iterator[Suspicion]:
    """Search the old side of every hunk in its file. A file that an earlier change touched is searched once."""
    seen: set[str] = set()
    for change in changes:
        if (path := change.old_path) is None or path in seen or not path_rules.is_inside(path) or change.is_binary:
            continue
        if change.is_combined or change.is_submodule:
            continue
        seen.update(change.paths)
        yield from (("misfit", path, line, detail) for line, detail in _misfit(os.path.join(root, path), change))


def _misfit(path: str, change: FileChange) -> Iterator[tuple[int | None, str]]:
    hunks = change.hunks
    if not hunks:
        return
    data = read_plain(path)
    if data is None:
        yield None, "there is no such file to change"
        return
    for hunk in misfits(data, hunks):
        yield hunk.old_start, "the lines to change are not in the file"
