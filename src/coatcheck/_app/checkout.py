"""Read a checkout's remotes and branch, and choose the environment that a task runs in from them.

Guarantee: where several environments are possible, none is chosen, and an error lists them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .._protocol.provider import Verb
from .field_errors import FieldError

if TYPE_CHECKING:
    from .._model.catalogue import Environment
    from .._protocol.remotes import Remote
    from .._runtime.client import Client

# How many environments an error names at most.
MAX_SHOWN = 10


def find_root(folder: str) -> str | None:
    """Return the nearest folder, *folder* or a parent of it, that is a git work tree; git is not started.

    As git does, a folder ``.git`` without a HEAD is passed over (gitrepository-layout(5)).
    """
    while not _is_repository(os.path.join(folder, ".git")):
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent
    return folder


def _is_repository(path: str) -> bool:
    return os.path.isfile(path) or os.path.lexists(os.path.join(path, "HEAD"))


def remotes(root: str) -> tuple[Remote, ...]:
    """Return the checkout's remotes. Raises `GitError` where git does not trust the folder."""
    from .._patches.git import git
    from .._protocol.remotes import SETTINGS, read_remotes
    from .ssh import host_of

    git(
        "rev-parse", "--git-dir", folder=root
    )  # `git config` alone ignores the settings of a repository that is not trusted
    # 1: there is no such setting (git-config(1))
    output = git("config", "--null", "--get-regexp", SETTINGS, folder=root, accept=(0, 1))
    entries = (entry.partition("\n") for entry in output.decode("utf-8", "replace").split("\0") if entry)
    hosts: dict[str, str] = {}

    def host(name: str) -> str:
        if name not in hosts:
            hosts[name] = host_of(name, environ=os.environ)
        return hosts[name]

    return read_remotes(((key, value) for key, _, value in entries), host_of=host)


def repositories(root: str) -> tuple[str, ...]:
    """Return the ``owner/repo`` of every remote that names one, each once, in alphabetical order of the remotes."""
    names: dict[str, str] = {}
    for remote in sorted(remotes(root), key=lambda remote: remote.name):
        if remote.repository is not None:
            names.setdefault(remote.repository.lower(), remote.repository)
    return tuple(names.values())


def current_branch(root: str) -> str | None:
    """Return the branch that is checked out, None where HEAD is detached."""
    from .._patches.git import git

    # 128: HEAD is no symbolic ref; 1 with --quiet.
    name = git("symbolic-ref", "--quiet", "--short", "HEAD", folder=root, accept=(0, 1, 128))
    return name.decode("utf-8", "replace").strip() or None


def choose_environment(client: Client, root: str | None) -> tuple[str | None, str | None]:
    """Return (environment, repository) for a task without either; at most one of them is not None.

    Both are None where the checkout names no repository and the service needs none, and has no environments.
    The provider resolves a single repository. Of several repositories the environments are listed, and a single one
    is chosen. Raises `ConfigurationError` that lists the environments where there is no single one.
    """
    names = repositories(root) if root else ()
    if len(names) == 1:
        return None, names[0]
    can = client.capabilities
    if not names and not can.needs_environment and Verb.LIST_ENVIRONMENTS not in can.verbs:
        return None, None
    has_list = Verb.LIST_ENVIRONMENTS in can.verbs
    environments = _environments(client, names) if has_list else ()
    if names and len(environments) == 1:
        return environments[0].id, None
    if names:
        problem = f"the remotes of this checkout name {len(names)} repositories ({', '.join(names)})"
    elif root:
        problem = "no remote of this checkout is a repository of the service"
    else:
        problem = "this folder is not in a git checkout"
    raise FieldError(
        "no environment configured: {problem}",
        problem=problem,
        fields=("environment", "repository"),
        remedy="pass {environment} or {repository}" + ("; environments: {environments}" if has_list else ""),
        environments=_described(environments),
    )


def _environments(client: Client, names: Sequence[str]) -> tuple[Environment, ...]:
    """Return the environments of these repositories, or all of them when there are none; each once."""
    lists = [client.list_environments(repository=name) for name in names] or [client.list_environments()]
    if not any(lists):
        lists = [client.list_environments()] if names else []
    return tuple({environment.id: environment for some in lists for environment in some}.values())


def _described(environments: Sequence[Environment]) -> str:
    names = [f"{e.label} ({e.id})" if e.label else e.id for e in environments[:MAX_SHOWN]]
    more = len(environments) - MAX_SHOWN
    return (", ".join(names) or "none") + (f" and {more} more" if more > 0 else "")
