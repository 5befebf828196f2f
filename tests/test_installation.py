"""The commands that add an extra or upgrade, for each way of installing."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coatcheck._installation import install_command, upgrade_command

PIP = f"{sys.executable} -m pip install"
FOLDER = {"url": "file:///src/coat%20check", "dir_info": {}}
EDITABLE = {"url": "file:///src/coatcheck", "dir_info": {"editable": True}}
REPOSITORY = {"url": "https://h/o/r", "vcs_info": {"vcs": "git", "requested_revision": "v1", "commit_id": "0" * 40}}
WHEEL = {"url": "file:///w/sample-1-py3-none-any.whl", "archive_info": {}}
PIPX: dict[str, Any] = {"pipx_metadata.json": "{}"}
RECEIPT = """[tool]
requirements = [
    { name = "sample", extras = ["jq"], directory = "/src/coatcheck" },
    { name = "one", specifier = ">=3" },
    { name = "two", editable = "/two" },
    { name = "three", git = "https://h/o/three" },
]
"""
OTHERS = "--with 'one>=3' --with-editable /two --with 'three @ git+https://h/o/three'"

Install = Callable[[dict[str, Any] | None, dict[str, str]], Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a distribution `sample` from a place, and return an environment `env` with these files."""

    def write(place: dict[str, Any] | None, files: dict[str, str]) -> Path:
        record = tmp_path / "lib" / "sample-1.dist-info"
        record.mkdir(parents=True)
        (record / "METADATA").write_text("Metadata-Version: 2.1\nName: sample\nVersion: 1\n")
        if place is not None:
            (record / "direct_url.json").write_text(json.dumps(place))
        (tmp_path / "env").mkdir()
        for name, text in files.items():
            (tmp_path / "env" / name).write_text(text)
        monkeypatch.syspath_prepend(str(record.parent))
        return tmp_path / "env"

    return write


@pytest.mark.parametrize(
    ("place", "files", "command"),
    [
        (None, {}, f"{PIP} 'sample[web]'"),
        (FOLDER, {}, f"{PIP} '/src/coat check[web]'"),
        (EDITABLE, {}, f"{PIP} --editable '/src/coatcheck[web]'"),
        (REPOSITORY, {}, f"{PIP} 'sample[web] @ git+https://h/o/r@v1'"),
        (WHEEL, {}, f"{PIP} 'sample[web] @ file:///w/sample-1-py3-none-any.whl'"),
        (None, PIPX, "pipx inject env 'sample[web]'"),
        (EDITABLE, PIPX, "pipx inject env --editable '/src/coatcheck[web]'"),
        (EDITABLE, {"uv-receipt.toml": RECEIPT}, f"uv tool install --editable '/src/coatcheck[jq,web]' {OTHERS}"),
        (None, {"uv-receipt.toml": "broken ["}, f"{PIP} 'sample[web]'"),
        (FOLDER, {"../uv.lock": ""}, "uv add --project {parent} 'sample[web]'"),
    ],
)
def test_an_extra_is_added_as_the_program_was_installed(
    install: Install, place: dict[str, Any] | None, files: dict[str, str], command: str
) -> None:
    """By the same program and from the same place, with the extras and packages that uv has recorded."""
    prefix = install(place, files)

    assert command.format(parent=prefix.parent) == install_command("web", distribution="sample", prefix=prefix)


@pytest.mark.parametrize(
    ("place", "files", "command"),
    [
        (None, {}, f"{PIP} --upgrade sample"),
        (FOLDER, {}, f"git -C '/src/coat check' pull && {PIP} --upgrade '/src/coat check'"),
        (None, PIPX, "pipx upgrade env"),
        (EDITABLE, PIPX, "git -C /src/coatcheck pull && pipx inject --force env --editable /src/coatcheck"),
        (REPOSITORY, {"uv-receipt.toml": RECEIPT}, "uv tool upgrade --reinstall sample"),
    ],
)
def test_an_upgrade_is_made_as_the_program_was_installed(
    install: Install, place: dict[str, Any] | None, files: dict[str, str], command: str
) -> None:
    """A checkout is updated first."""
    prefix = install(place, files)

    assert command == upgrade_command(distribution="sample", prefix=prefix)


def test_an_environment_without_pip_is_changed_by_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uv makes environments without pip."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    assert f"uv pip install --python {sys.executable}" == install_command("web").partition(" --editable")[0]
