"""Which permissions are decided without a person."""

from __future__ import annotations

from pathlib import Path

import pytest

from coatcheck.cloud.acp.permissions import decided_option, read_options
from coatcheck.cloud.acp.wire import ToolCall

OPTIONS = read_options(
    {
        "options": [
            {"optionId": "a", "name": "Always", "kind": "allow_always"},
            {"optionId": "y", "name": "Yes", "kind": "allow_once"},
            {"optionId": "?", "name": "Maybe", "kind": "later"},
            {"optionId": "n", "name": "No", "kind": "reject_once"},
        ]
    }
)


@pytest.mark.parametrize(
    ("call", "is_allowed"),
    [
        ({"kind": "edit", "locations": [{"path": "a.txt"}]}, True),
        ({"kind": "edit", "locations": [{"path": "{folder}/new/a.txt"}]}, True),
        ({"kind": "delete", "rawInput": {"file_path": "{folder}/a.txt"}}, True),
        ({"kind": "edit", "rawInput": {"changes": {"{folder}/a.txt": {}}}}, True),
        ({"kind": "edit", "content": [{"type": "diff", "path": "../b.txt", "newText": ""}]}, False),
        ({"kind": "edit", "locations": [{"path": "a.txt"}, {"path": "/etc/passwd"}]}, False),
        ({"kind": "edit", "locations": [{"path": "a.txt"}], "rawInput": {"file_path": "/etc/passwd"}}, False),
        ({"kind": "edit", "locations": [{"path": "link/passwd"}]}, False),
        ({"kind": "edit", "locations": [{"path": "loop/x"}]}, False),
        ({"kind": "edit", "locations": [{"path": "a\0b"}]}, False),
        ({"kind": "edit", "locations": [{"path": ".git/config"}]}, False),
        ({"kind": "edit", "locations": [{"path": "sub/.GIT/hooks/x"}]}, False),
        ({"kind": "edit", "locations": [{"path": "{folder}-other/a.txt"}]}, False),
        ({"kind": "edit", "locations": [{"path": "~/.ssh/config"}]}, False),
        ({"kind": "edit"}, False),
        ({"kind": "edit", "locations": "a.txt"}, False),
        ({"kind": "execute", "locations": [{"path": "a.txt"}]}, False),
        ({"kind": 3, "locations": [{"path": "a.txt"}]}, False),
        ({"locations": [{"path": "a.txt"}]}, False),
    ],
)
def test_edits_are_allowed_inside_the_clone(tmp_path: Path, call: dict, is_allowed: bool) -> None:
    """Every file that the call names must be there, with links resolved, and outside of .git."""
    folder = tmp_path / "clone"
    folder.mkdir()
    (folder / "link").symlink_to("/etc")
    (folder / "loop").symlink_to("loop")
    named = _named(call, str(folder))
    tool = ToolCall("1")
    tool.update(named)
    option = decided_option("edits", tool, OPTIONS, folder)

    assert is_allowed == (option is not None and option.id == "y")


def _named(value: object, folder: str) -> dict:
    """Return *value* with the path of the clone in it."""
    if isinstance(value, dict):
        return {_named(key, folder): _named(each, folder) for key, each in value.items()}
    if isinstance(value, list):
        return [_named(each, folder) for each in value]  # type: ignore[return-value] # of a dict
    return value.replace("{folder}", folder) if isinstance(value, str) else value  # type: ignore[return-value] # as above


@pytest.mark.parametrize("permissions", ["edits", "all", "none"])
def test_an_option_that_lasts_is_never_chosen(tmp_path: Path, permissions: str) -> None:
    """Where nothing else is offered, a person decides."""
    tool = ToolCall("1", kind="edit", paths=("a.txt",))
    lasting = tuple(option for option in OPTIONS if option.is_lasting)

    assert decided_option(permissions, tool, lasting, tmp_path) is None  # type: ignore[arg-type] # one of them
