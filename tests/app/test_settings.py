from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from coatcheck import errors
from coatcheck._app.settings import set_setting, unset_setting
from coatcheck._runtime.config import flat_settings, read_file

FILE = """\
# my settings
provider = "jules"   # the service

[codex]
rate = 2
# the address
base_url = "https://chatgpt.com/backend-api"

[services.mine]
submit = "POST /tasks"
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A file of settings with comments and tables."""
    file = tmp_path / "config.toml"
    file.write_text(FILE)
    return str(file)


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("attempts", "3", "attempts = 3"),
        ("environment", 'a "b" \\c', 'environment = "a \\"b\\" \\\\c"'),
        ("provider", "codex", 'provider = "codex"'),
        ("codex.rate", "none", 'rate = "none"'),
        ("codex.issuer", "https://x", 'issuer = "https://x"'),
        ("jules.plan", "pro", '[jules]\nplan = "pro"'),
        ("learn", "false", "learn = false"),
        ("branch", "0123", 'branch = "0123"'),
        ("branch", "größe", 'branch = "größe"'),
    ],
)
def test_a_setting_is_written(path: str, name: str, value: str, line: str) -> None:
    """A setting that was written is read back, and every other setting is unchanged."""
    before = dict(read_file(path))
    set_setting(path, name, value)

    assert line in Path(path).read_text()
    assert {**before, name: value} == read_file(path)


def test_a_byte_order_mark_is_ignored(path: str) -> None:
    """A file that begins with a byte-order mark, as editors of Windows write it, is read and changed like any other."""
    Path(path).write_bytes(b"\xef\xbb\xbf" + FILE.encode())
    before = dict(read_file(path))
    set_setting(path, "jules.plan", "pro")

    assert {**before, "jules.plan": "pro"} == read_file(path)


def test_comments_stay(path: str) -> None:
    """Writing and removing a setting that was not there gives the same file."""
    set_setting(path, "codex.issuer", "https://x")
    unset_setting(path, "codex.issuer")

    assert FILE == Path(path).read_text()


def test_a_file_is_created(tmp_path: Path) -> None:
    """The first setting creates the file and its folder."""
    path = tmp_path / "new" / "config.toml"
    set_setting(str(path), "codex.rate", "2")

    assert "[codex]\nrate = 2\n" == path.read_text()


@pytest.mark.parametrize("name", ["provider", "codex.rate", "codex.base_url"])
def test_a_setting_is_removed(path: str, name: str) -> None:
    """Only the named setting is removed."""
    before = dict(read_file(path))
    del before[name]

    assert unset_setting(path, name)
    assert before == read_file(path)


def test_removing_what_is_not_set_changes_nothing(path: str) -> None:
    """A setting that is not in the file cannot be removed, and the file stays."""
    assert not unset_setting(path, "attempts")
    assert FILE == Path(path).read_text()


@pytest.mark.parametrize(
    "text",
    [
        "codex = { rate = 2 }\n",
        'x = """\ncodex.rate = 1\n[codex]\nrate = 2\n"""\n\n[codex]\nrate = 2\n',
        "[[codex]]\nrate = 2\n",
    ],
    ids=["inline table", "text of several lines", "array of tables"],
)
def test_another_form_is_not_damaged(tmp_path: Path, text: str) -> None:
    """A file that cannot be changed line by line is left as it is, and the error names it."""
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(errors.ConfigurationError, match=r"config\.toml has a form"):
        set_setting(str(path), "codex.rate", "3")

    assert text == path.read_text()


def test_a_broken_file_is_not_changed(tmp_path: Path) -> None:
    """A file that is not TOML is not changed."""
    path = tmp_path / "config.toml"
    path.write_text("attempts = \n")
    with pytest.raises(errors.ConfigurationError, match="cannot be read"):
        set_setting(str(path), "attempts", "3")

    assert "attempts = \n" == path.read_text()


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """A link to a file elsewhere is followed, and stays."""
    target, path = tmp_path / "dotfiles.toml", tmp_path / "config.toml"
    target.write_text("attempts = 1\n")
    path.symlink_to(target)
    set_setting(str(path), "attempts", "2")

    assert (True, "attempts = 2\n") == (path.is_symlink(), target.read_text())


@given(st.text(max_size=20), st.sampled_from(["branch", "codex.issuer", "new.table"]))
def test_any_text_reads_back(tmp_path_factory: pytest.TempPathFactory, value: str, name: str) -> None:
    """A value is written so that it reads back, or the file is not changed."""
    path = tmp_path_factory.mktemp("settings") / "config.toml"
    try:
        set_setting(str(path), name, value)
    except errors.ConfigurationError:
        assert not path.exists()
        return

    assert {name: value} == flat_settings(dict(read_file(str(path))))
