from __future__ import annotations

from pathlib import Path

from coatcheck._patches.git import git

ENVIRON = {
    "GITHUB_TOKEN": "t",
    "AWS_SECRET_ACCESS_KEY": "s",
    "PGPASSWORD": "p",
    "TOKENIZERS": "on",
    "PATH": "/usr/bin:/bin",
}


def test_local_commands_inherit_no_secret(tmp_path: Path) -> None:
    """Variables whose names say that they hold a secret are inherited only by commands that reach a server."""
    seen = {
        protocols: git(
            "-c", "alias.show-environment=!env", "show-environment", folder=tmp_path, environ=ENVIRON,
            environment={"GIT_ALLOW_PROTOCOL": protocols},
        ).decode().splitlines()
        for protocols in ("none", "file", "file:https")
    }  # fmt: skip
    inherited = {
        protocols: {"GITHUB_TOKEN=t", "PGPASSWORD=p", "TOKENIZERS=on"} & {*lines} for protocols, lines in seen.items()
    }

    assert {
        "none": {"TOKENIZERS=on"},
        "file": {"TOKENIZERS=on"},
        "file:https": {"GITHUB_TOKEN=t", "PGPASSWORD=p", "TOKENIZERS=on"},
    } == inherited
