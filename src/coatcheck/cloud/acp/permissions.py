"""Which permissions of an agent are decided without a person. Pure, but for the resolution of paths.

Guarantees:
- an option that lasts ("always allow") is never chosen here: it outlives the task;
- "edits" allows reading and editing of files whose paths, with links resolved, are inside the agent's clone and outside
  its ``.git``; what names no file, and anything else, is decided by a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

from ..._model.gates import Effect, GateOption, PermissionRequest
from .wire import ToolCall, items, one_line, text

Permissions: TypeAlias = Literal["edits", "ask", "all", "none"]

EFFECTS: Mapping[str, tuple[Effect, bool]] = {
    "allow_once": ("approve", False),
    "allow_always": ("approve", True),
    "reject_once": ("reject", False),
    "reject_always": ("reject", True),
}
# The kinds of tool calls that read and change files and do nothing else.
EDITS = frozenset(["read", "edit", "delete", "move", "search"])
# So much of what an agent requests is shown to the person who decides (characters), and so many options.
MAX_DETAIL, MAX_OPTIONS = 20_000, 20


def read_options(document: Mapping[str, Any]) -> tuple[GateOption, ...]:
    """Return the options of a permission request; one of an unknown kind is left out."""
    return tuple(_options(document))[:MAX_OPTIONS]


def _options(document: Mapping[str, Any]) -> Iterable[GateOption]:
    for each in items(document.get("options")):
        id, effect = text(each.get("optionId")), EFFECTS.get(str(each.get("kind")))
        if id is not None and effect is not None:
            label = one_line(text(each.get("name"))) or id
            yield GateOption(id=id, label=label[:200], effect=effect[0], is_lasting=effect[1])


def decided_option(
    permissions: Permissions, call: ToolCall, options: tuple[GateOption, ...], folder: Path
) -> GateOption | None:
    """Return the option that *permissions* choose, None where a person decides."""
    effect: Effect | None = {"all": "approve", "none": "reject"}.get(permissions)  # type: ignore[assignment] # of these
    if permissions == "edits" and call.kind in EDITS and _are_inside(call.paths, folder):
        effect = "approve"
    return next((each for each in options if each.effect == effect and not each.is_lasting), None)


def _are_inside(paths: Iterable[str], folder: Path) -> bool:
    named = named_paths(paths, folder)
    return bool(named) and all(
        not Path(path).is_absolute() and ".git" not in path.casefold().split("/") for path in named
    )


def named_paths(paths: Iterable[str], folder: Path) -> tuple[str, ...]:
    """Return paths with their links resolved: relative to *folder* where they are inside, absolute elsewhere."""
    root = folder.resolve()
    return tuple(dict.fromkeys(_named(path, root) for path in paths))


def _named(path: str, root: Path) -> str:
    if path.startswith("~"):  # the protocol has absolute paths; an agent that writes this may mean a home
        return f"/{path}"
    try:
        resolved = (root / path).resolve()
        is_loop = any(each.is_symlink() for each in (resolved, *resolved.parents))  # no error since Python 3.13
    except (OSError, ValueError, RuntimeError):  # a NUL, a loop of links
        return f"/{path}"
    if is_loop:
        return f"/{path}"
    return resolved.relative_to(root).as_posix() if resolved.is_relative_to(root) else str(resolved)


def permission_request(
    title: str, call: ToolCall, options: tuple[GateOption, ...], *, attempt: int, folder: Path, change: str
) -> PermissionRequest:
    """Return what a person decides: the title, and as detail the command, the files, what it shows and the *change*."""
    paths = named_paths(call.paths, folder)
    command = call.command if call.command and call.command not in title else None
    parts = [command, *(path for path in paths if path not in title), call.output, change]
    return PermissionRequest(
        id="",
        title=f"{call.kind}: {title}" if call.kind and not title.casefold().startswith(call.kind) else title,
        kind=call.kind,
        detail="\n".join(filter(None, parts))[:MAX_DETAIL] or None,
        options=options,
        attempt=attempt,
        paths=paths,
    )
