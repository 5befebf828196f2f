"""The commands that add an extra to this installation, or upgrade it: for the remedies of errors.

Guarantees:
- a command works for the way in which coatcheck was installed: by uv as a tool or into a project, by pipx, or by pip;
- a command installs from the place that coatcheck came from: a checkout, a repository, a file, or a package index
  (``direct_url.json``, https://packaging.python.org/en/latest/specifications/direct-url/);
- an extra that uv has recorded for a tool, and a package beside it, is kept;
- nothing is run and nothing is changed: files of the installation are read.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

DISTRIBUTION = "coatcheck"
_FILE = "file://"


class Source(NamedTuple):
    """Where a distribution came from: `place` is a folder or, as in PEP 508, a URL; None is a package index."""

    distribution: str
    place: str | None = None
    is_folder: bool = False
    is_editable: bool = False

    def requirement(self, extras: Sequence[str] = ()) -> str:
        """Return the requirement that pip, pipx and uv install from here."""
        suffix = f"[{','.join(sorted(set(extras)))}]" if extras else ""
        if self.place is None:
            return self.distribution + suffix
        return self.place + suffix if self.is_folder else f"{self.distribution}{suffix} @ {self.place}"


def install_command(extra: str, *, distribution: str = DISTRIBUTION, prefix: Path | None = None) -> str:
    """Return the command that adds *extra* to the installation in *prefix*, this interpreter's environment if None."""
    import shlex

    source, prefix = source_of(distribution), prefix or _prefix()
    if (receipt := _read_receipt(prefix)) is not None and receipt.name == source.distribution:
        words = ["uv", "tool", "install", *_editable("--editable", source)]
        words += [source.requirement([extra, *receipt.extras]), *receipt.others]
    elif (prefix / "pipx_metadata.json").is_file():
        words = ["pipx", "inject", prefix.name, *_editable("--editable", source), source.requirement([extra])]
    elif _is_project_of_uv(prefix, source):
        words = ["uv", "add", "--project", str(prefix.parent), f"{source.distribution}[{extra}]"]
    else:
        words = [*_pip(prefix), *_editable("--editable", source), source.requirement([extra])]
    return shlex.join(words)


def upgrade_command(*, distribution: str = DISTRIBUTION, prefix: Path | None = None) -> str:
    """Return the command that upgrades the installation in *prefix*, this interpreter's environment if None."""
    import shlex

    source, prefix = source_of(distribution), prefix or _prefix()
    if _read_receipt(prefix) is not None:
        words = ["uv", "tool", "upgrade", "--reinstall", source.distribution]
    elif (prefix / "pipx_metadata.json").is_file():
        # `pipx upgrade` changes nothing that came from a folder
        local = ["pipx", "inject", "--force", prefix.name, *_editable("--editable", source), source.requirement()]
        words = local if source.is_folder else ["pipx", "upgrade", prefix.name]
    else:
        words = [*_pip(prefix), "--upgrade", *_editable("--editable", source), source.requirement()]
    update = f"git -C {shlex.quote(source.place)} pull && " if source.place and source.is_folder else ""
    return update + shlex.join(words)


def _prefix() -> Path:
    from pathlib import Path

    return Path(sys.prefix)


def source_of(distribution: str) -> Source:
    """Return where *distribution* came from; one that is not installed is imported from a checkout or an archive."""
    from importlib.metadata import PackageNotFoundError, distribution as find  # 30 ms, and only errors need it

    try:
        text = find(distribution).read_text("direct_url.json")
    except PackageNotFoundError:
        root = _checkout()
        if distribution != DISTRIBUTION or root is None:
            return Source(distribution)
        return Source(distribution, root, is_folder=True, is_editable=True)
    return _source(distribution, _parse(text)) if text else Source(distribution)


def _checkout() -> str | None:
    """Return the checkout that this module is in, None where it is installed."""
    from pathlib import Path

    root = Path(__file__).parents[2]
    return str(root) if (root / "pyproject.toml").is_file() else None


def _source(distribution: str, record: Mapping[str, Any]) -> Source:
    from urllib.parse import unquote, urlsplit

    url = str(record.get("url") or "")
    if not url:
        return Source(distribution)
    if "dir_info" in record and url.startswith(_FILE):
        is_editable = bool(record["dir_info"].get("editable"))
        return Source(distribution, unquote(urlsplit(url).path), is_folder=True, is_editable=is_editable)
    if "vcs_info" in record:
        revision = record["vcs_info"].get("requested_revision")
        url = f"{record['vcs_info'].get('vcs', 'git')}+{url}" + (f"@{revision}" if revision else "")
    return Source(distribution, url)


def _parse(text: str) -> dict[str, Any]:
    import json

    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _editable(option: str, source: Source) -> list[str]:
    return [option] if source.is_editable else []


def _pip(prefix: Path) -> list[str]:
    """Return `pip install` for an environment; one that uv has made has no pip."""
    from importlib.util import find_spec

    python = sys.executable or "python3"
    if str(prefix) == sys.prefix and find_spec("pip") is None:
        return ["uv", "pip", "install", "--python", python]
    return [python, "-m", "pip", "install"]


def _is_project_of_uv(prefix: Path, source: Source) -> bool:
    """Return whether the environment is that of a project which uv manages, and which is not our checkout itself."""
    return (prefix.parent / "uv.lock").is_file() and str(prefix.parent) != source.place


# --- tools of uv ------------------------------------------------------------------------------------------------------


class Receipt(NamedTuple):
    """What uv has recorded for a tool: its extras, and the options that name the packages beside it."""

    name: str
    extras: tuple[str, ...]
    others: tuple[str, ...]


def _read_receipt(prefix: Path) -> Receipt | None:
    """Return the record of a tool of uv, None where *prefix* is none."""
    import tomllib

    try:
        document = tomllib.loads((prefix / "uv-receipt.toml").read_text("utf-8"))
        requirements = document["tool"]["requirements"]
        first, *others = requirements
        options = tuple(word for each in others for word in _with(each))
        return Receipt(first["name"], tuple(first.get("extras", ())), options)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _with(requirement: Mapping[str, Any]) -> Iterator[str]:
    """Return the option of `uv tool install` for a package beside the tool."""
    extras = f"[{','.join(requirement['extras'])}]" if requirement.get("extras") else ""
    if "editable" in requirement:
        yield from ("--with-editable", requirement["editable"] + extras)
    elif "directory" in requirement:
        yield from ("--with", requirement["directory"] + extras)
    elif place := requirement.get("url") or requirement.get("path") or requirement.get("git"):
        kind = "git+" if "git" in requirement else ""
        yield from ("--with", f"{requirement['name']}{extras} @ {kind}{place}")
    else:
        yield from ("--with", requirement["name"] + extras + requirement.get("specifier", ""))
