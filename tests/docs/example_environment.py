"""The environment of the examples in the documentation: a checkout, a local cloud, and a login for it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from coatcheck._runtime.config import state_dir
from coatcheck._runtime.duration_file import DurationFile
from coatcheck._runtime.server_record import record_path
from coatcheck._workspaces.git import Git
from coatcheck.cloud.demo.site import agent_command, make_site
from coatcheck.cloud.launcher import ServeOptions, environment, running
from coatcheck.cloud.local_cloud import LocalCloud

LABEL = "owner/repo"
# Enough finished tasks of a second each for waits to look every second (`_runtime/duration_file.py`).
TASKS_SEEN = 40


def usage(_: LocalCloud) -> Mapping[str, object]:
    """Return what an account of the service has used; the local cloud reports no usage."""
    now = int(time.time())
    windows = {"primary_window": (42, 18_000, 7_260), "secondary_window": (85, 604_800, 187_000)}
    return {
        "plan_type": "plus",
        "rate_limit": {
            "allowed": True,
            "limit_reached": False,
            **{
                name: {
                    "used_percent": percent,
                    "limit_window_seconds": seconds,
                    "reset_after_seconds": left,
                    "reset_at": now + left,
                }
                for name, (percent, seconds, left) in windows.items()
            },
        },
        "credits": {"has_credits": True, "unlimited": False, "balance": "9.99"},
    }


@contextmanager
def example_environment(
    folder: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    agent: tuple[str, ...] | None = None,
    programs: Path | None = None,
    labels: Sequence[str] = (),
) -> Iterator[None]:
    """Change to a checkout of ``owner/repo``, which is an environment of the local cloud and of "Codex".

    Commands are those in *programs*, then those beside this Python, then those of PATH. *labels* are further environments
    of the same checkout.
    """
    checkout = folder / "repo"
    make_site(checkout, environ=os.environ)
    Git(os.environ).run("-C", checkout, "remote", "add", "origin", "git@github.com:owner/repo.git")
    for provider in ("codex", "local"):
        DurationFile(state_dir(os.environ)).record(provider, [(None, 1.0)] * TASKS_SEEN)
    monkeypatch.setattr(LocalCloud, "get_usage", usage)
    for variable in ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"):  # the pages show commits of a user without a name
        monkeypatch.setenv(variable, "coatcheck")
    folders = (programs, Path(sys.executable).parent, os.environ["PATH"])
    monkeypatch.setenv("PATH", os.pathsep.join(str(each) for each in folders if each))
    monkeypatch.chdir(checkout)
    first = environment(LABEL, checkout, environ=os.environ)
    further = (msgspec.structs.replace(first, id=label, label=label, repository=label) for label in labels)
    options = ServeOptions(
        environments=(first, *further),
        command=agent or agent_command(),
        data=folder / "cloud",
        record=Path(record_path(os.environ)),
        codex_home=home / ".codex",
        max_parallel=3,
        environ=os.environ,
    )
    with running(options) as record:
        monkeypatch.setenv("CODEX_CLOUD_TASKS_BASE_URL", record.url)
        yield
