"""Files of templates: in a repository and in the user's folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from coatcheck import errors
from coatcheck._app.templates import list_templates
from coatcheck._review.template_files import Folder, list_names, load_template, template_folders


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Folder, ...]:
    """Return the folders of a repository and of a user."""
    (tmp_path / "repo/.coatcheck/prompts").mkdir(parents=True)
    (tmp_path / "config/prompts").mkdir(parents=True)
    return template_folders(root=str(tmp_path / "repo"), config_folder=str(tmp_path / "config"))


def write(folder: Folder, name: str, text: str = "Fix it.\n") -> None:
    """Write a template."""
    Path(folder.path, name).write_text(text)


def test_the_repository_comes_first(folders: tuple[Folder, ...]) -> None:
    """Names of both folders are listed, and of two with one name the repository's is loaded."""
    write(folders[0], "fix.md", "repository")
    write(folders[1], "fix.md", "user")
    write(folders[1], "more.md", "more")
    write(folders[1], "notes.txt")
    names = [name for name, _ in list_names(folders)]

    assert (["fix", "more"], "repository") == (names, load_template("fix", folders).body)


def test_a_template_of_the_user_is_trusted(folders: tuple[Folder, ...], tmp_path: Path) -> None:
    """The user's templates, and files named by the user, may choose a provider; a repository's may not."""
    text = "---\nprovider: jules\n---\nx"
    write(folders[0], "theirs.md", text)
    write(folders[1], "own.md", text)
    (tmp_path / "named.md").write_text(text)
    settings = [load_template(name, folders).settings for name in ("own", str(tmp_path / "named.md"))]
    with pytest.raises(errors.ConfigurationError, match="cannot set 'provider'"):
        load_template("theirs", folders)

    assert [{"provider": "jules"}] * 2 == settings


def test_a_link_in_a_repository_is_not_followed(folders: tuple[Folder, ...], tmp_path: Path) -> None:
    """Neither a template nor a folder of a repository can be a link to another file of this machine."""
    (tmp_path / "secret.md").write_text("secret")
    Path(folders[0].path, "fix.md").symlink_to(tmp_path / "secret.md")
    other = tmp_path / "other"
    (other / ".coatcheck").mkdir(parents=True)
    (other / ".coatcheck/prompts").symlink_to(tmp_path / "config/prompts")
    write(folders[1], "own.md")
    linked = Folder(str(other / ".coatcheck/prompts"), is_trusted=False)

    with pytest.raises(errors.ConfigurationError, match=r"fix\.md is a link$"):
        load_template("fix", folders)

    assert (["fix"], ["fix", "own"]) == (
        [name for name, _ in list_names((folders[0], linked))],
        [name for name, _ in list_names(folders)],
    )


def test_a_template_of_another_repository_is_not_trusted(folders: tuple[Folder, ...], tmp_path: Path) -> None:
    """A file of the folder of templates of any repository may not choose a provider, however it is named."""
    other = tmp_path / "other/.coatcheck/prompts"
    other.mkdir(parents=True)
    (other / "theirs.md").write_text("---\nprovider: jules\n---\nx")
    (tmp_path / "link.md").symlink_to(other / "theirs.md")
    for path in (other / "theirs.md", tmp_path / "other/../other/.coatcheck/prompts/theirs.md"):
        with pytest.raises(errors.ConfigurationError, match="cannot set 'provider'"):
            load_template(str(path), folders)

    with pytest.raises(errors.ConfigurationError, match="is a link"):
        load_template(str(tmp_path / "link.md"), folders)


def test_what_is_no_file_is_listed_with_its_error(folders: tuple[Folder, ...]) -> None:
    """A link, a folder and a named pipe in a folder of templates are not passed over: each is an error that says what it is."""
    Path(folders[0].path, "link.md").symlink_to("../../fix.md")
    Path(folders[0].path, "folder.md").mkdir()
    os.mkfifo(Path(folders[1].path, "pipe.md"))
    write(folders[0], "a b.md")
    write(folders[0], ".hidden.md")
    found = [(each.name, str(each.error).rpartition(".md ")[2]) for each in list_templates(folders)]

    assert [
        ("a b", "'a b' cannot be the name of a template"),
        ("folder", "is not a file"),
        ("link", "is a link"),
        ("pipe", "is not a file"),
    ] == found


def test_a_template_of_the_user_that_is_hidden_is_named(folders: tuple[Folder, ...]) -> None:
    """A template of the repository with the name of one of the user's is marked: it is the one that is used."""
    write(folders[0], "fix.md")
    write(folders[0], "theirs.md")
    write(folders[1], "fix.md")
    write(folders[1], "own.md")

    assert {"fix": True, "own": False, "theirs": False} == {
        each.name: each.hides_own for each in list_templates(folders)
    }


def test_an_unknown_template(folders: tuple[Folder, ...]) -> None:
    """The error lists the templates there are, or names the file to create."""
    remedies = []
    for _ in range(2):
        with pytest.raises(errors.ConfigurationError) as raised:
            load_template("fux", folders)
        remedies.append(raised.value.remedy)
        write(folders[0], "fix.md")

    assert ["create .coatcheck/prompts/fux.md", "templates here: fix"] == remedies


@pytest.mark.parametrize("name", ["../../secret", ".hidden", "a b", "", "fix\n"])
def test_a_name_is_no_path(name: str, folders: tuple[Folder, ...]) -> None:
    """A name with other characters is not a template; a path has to exist."""
    with pytest.raises(errors.ConfigurationError):
        load_template(name, folders)


def test_files_that_are_refused(folders: tuple[Folder, ...]) -> None:
    """A pipe, a folder, a large file and a file that is not UTF-8 are one error each, without waiting."""
    path = Path(folders[1].path)
    os.mkfifo(path / "pipe.md")
    (path / "folder.md").mkdir()
    (path / "large.md").write_bytes(b"x" * (256 * 1024 + 1))
    (path / "latin.md").write_bytes(b"\xe9")
    reasons = []
    for name in ("pipe", "folder", "large", "latin"):
        with pytest.raises(errors.ConfigurationError) as raised:
            load_template(str(path / f"{name}.md"), folders)
        reasons.append(str(raised.value).removeprefix(str(path / f"{name}.md ")))

    assert ["is not a file", "is not a file", "has more than 262144 bytes", "is not UTF-8"] == reasons


def test_a_byte_order_mark_is_no_text(folders: tuple[Folder, ...]) -> None:
    """A byte-order mark at the start of a file is ignored."""
    write(folders[1], "mark.md", "\ufeff---\ntitle: x\n---\nbody")

    assert ("x", "body") == (load_template("mark", folders).title, load_template("mark", folders).body)
