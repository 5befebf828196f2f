"""What a patch adds, looked at by what is in it: secrets, programs that run by themselves, pinned dependencies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .file_change import FileChange

_AUTOMATION = re.compile(
    r"(?:.*/)?(?:\.github/(?:workflows|actions)/.*|\.gitlab-ci\.yml|\.gitlab/ci/.*|\.circleci/.*|\.buildkite/.*|\.forgejo/workflows/.*"
    r"|\.gitea/workflows/.*|\.woodpecker(?:/.*|\.ya?ml)|\.drone\.yml|\.travis\.yml|appveyor\.yml|bitbucket-pipelines\.yml"
    r"|azure-pipelines\.ya?ml|Jenkinsfile|\.husky/.*|\.githooks/.*|\.pre-commit-config\.yaml|lefthook\.ya?ml"
    r"|\.git(?:attributes|modules|ignore|config)|\.mailmap|\.vscode/(?:tasks|settings|launch)\.json|\.devcontainer(?:/.*|\.json)|\.envrc)",
    re.DOTALL,
)

_LOCK_FILES = frozenset(
    "package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml bun.lock bun.lockb deno.lock Cargo.lock poetry.lock uv.lock "  # noqa: SIM905 - a list of names reads best as one
    "pdm.lock pylock.toml Pipfile.lock Gemfile.lock composer.lock go.sum flake.lock mix.lock pubspec.lock Podfile.lock "
    "Package.resolved packages.lock.json gradle.lockfile Chart.lock requirements.lock".split()
)


def path_problems(path: str) -> Iterator[tuple[str, str]]:
    """Yield rule and detail for files that do more than their text."""
    if _AUTOMATION.fullmatch(path):
        yield "automation", "machines run or obey this file"
    if path[path.rfind("/") + 1 :] in _LOCK_FILES:
        yield "lock-file", "this file pins what gets installed"


# What the issuers document as the shape of their tokens; the bytes before the brackets are looked for first.
_SECRETS = (
    (b"-----BEGIN ", rb"-----BEGIN (?:[A-Z]+ ){0,3}PRIVATE KEY", "a private key"),
    (b"AKIA", rb"\bAKIA[0-9A-Z]{16}\b", "an AWS access key"),
    (b"ASIA", rb"\bASIA[0-9A-Z]{16}\b", "an AWS session key"),
    (b"ghp_", rb"\bghp_[0-9A-Za-z]{36}", "a GitHub token"),
    (b"gho_", rb"\bgho_[0-9A-Za-z]{36}", "a GitHub token"),
    (b"ghs_", rb"\bghs_[0-9A-Za-z]{36}", "a GitHub token"),
    (b"github_pat_", rb"\bgithub_pat_\w{60,}", "a GitHub token"),
    (b"glpat-", rb"\bglpat-[\w-]{20,}", "a GitLab token"),
    (b"sk-", rb"\bsk-(?:proj-|ant-|svcacct-)?[0-9A-Za-z_-]{32,}", "an API key"),
    (b"sk_live_", rb"\bsk_live_[0-9A-Za-z]{24,}", "a Stripe key"),
    (b"AIza", rb"\bAIza[\w-]{35}", "a Google API key"),
    (b"xox", rb"\bxox[abeoprs]-[\w-]{10,}", "a Slack token"),
    (b"hooks.slack.com", rb"hooks\.slack\.com/services/T\w+/B\w+/\w+", "a Slack web hook"),
    (b"npm_", rb"\bnpm_[0-9A-Za-z]{36}", "an npm token"),
    (b"pypi-", rb"\bpypi-AgE[\w-]{50,}", "a PyPI token"),
    (b"eyJ", rb"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}", "a signed token (JWT)"),
)


def secret_patterns(data: bytes) -> tuple[tuple[re.Pattern[bytes], str], ...]:
    """Return the patterns that could match in *data*: nearly always none."""
    return tuple((re.compile(pattern), name) for start, pattern, name in _SECRETS if start in data)


def secrets(change: FileChange, patterns: tuple[tuple[re.Pattern[bytes], str], ...]) -> Iterator[tuple[int, str]]:
    """Yield line and kind of everything added that looks like a secret; never the secret."""
    part = bytes(change)
    wanted = [(pattern, name) for pattern, name in patterns if pattern.search(part)]
    if not wanted or change.is_combined:
        return
    for number, content in added_lines(change):
        yield from ((number, name) for pattern, name in wanted if pattern.search(content))


def added_lines(change: FileChange) -> Iterator[tuple[int, bytes]]:
    """Yield number and content of the lines that *change* adds."""
    for hunk in change.hunks:
        number = hunk.new_start
        for line in hunk.lines:
            if line.sign == "+":
                yield number, line.content
            number += line.sign != "-"
