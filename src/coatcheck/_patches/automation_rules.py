"""Recognize by their names the files that programs run or read although the project is not run.

A name is listed where a program acts on the file when a user pushes, opens a folder, starts a shell, an agent or an
interpreter there, or installs: CI, hooks, editors, coding agents, package managers and build wrappers. What runs only when
a user runs or tests the project (a Makefile, ``conftest.py``, ``setup.py``, the configuration of a linter) is code like any
other, and is not here. Neither are ``.gitignore`` and ``.mailmap``, from which nothing is started.

Names are compared as a file system that ignores case and Unicode's forms compares them.
"""

from __future__ import annotations

import re
import unicodedata

from .path_rules import folded

# Folders, at any depth: everything below them.
_FOLDERS = (
    # CI
    r"\.github/(?:workflows|actions|instructions|prompts|agents|chatmodes|hooks|skills)",
    r"\.(?:gitea|forgejo)/(?:workflows|actions)",
    r"\.gitlab/(?:ci|agents)",
    r"\.?azure-pipelines|\.azuredevops|\.pipelines|\.?zuul\.d",
    r"\.circleci|\.buildkite|\.woodpecker|\.tekton|\.semaphore|\.teamcity|\.builds|\.harness|\.jenkins|\.mergify",
    # hooks
    r"\.husky|\.githooks|\.git-hooks|\.lefthook(?:-local)?",
    # coding agents
    r"\.claude|\.cursor|\.codex|\.gemini|\.windsurf|\.continue|\.roo|\.kiro|\.junie|\.opencode|\.amazonq|\.augment|\.clinerules|\.agents",
    # editors and development environments
    r"\.devcontainer|\.idea|\.vs|\.fleet|\.zed|\.theia|\.gitpod|\.codesandbox|\.idx|\.mise|\.config/mise",
    # package managers and build wrappers
    r"\.cargo|\.mvn|gradle/wrapper|\.yarn/(?:releases|plugins)|\.bundle|\.nuget",
    r"(?:site|user)customize",
)

# Files, in any folder.
_FILES = (
    # CI
    r"\.github/(?:dependabot\.ya?ml|copilot-instructions\.md|settings\.ya?ml|release\.ya?ml)",
    r"\.gitlab-ci[\w.-]*\.ya?ml|\.travis\.ya?ml|\.?appveyor\.ya?ml|\.drone\.(?:ya?ml|star|jsonnet)|bitbucket-pipelines\.ya?ml",
    r"\.?azure-pipelines[\w.-]*\.ya?ml|\.vsts-ci\.ya?ml|\.cirrus\.(?:ya?ml|star)|\.woodpecker\.ya?ml|\.?zuul\.ya?ml",
    r"jenkinsfile(?:\..+)?|.+\.jenkinsfile|action\.ya?ml|\.build\.ya?ml|cloudbuild\.(?:ya?ml|json)|buildspec\.ya?ml",
    r"codemagic\.ya?ml|bitrise\.ya?ml|wercker\.ya?ml|codefresh\.ya?ml|screwdriver\.ya?ml|\.scrutinizer\.ya?ml",
    r"\.readthedocs\.ya?ml|netlify\.toml|vercel\.json|render\.ya?ml|\.platform\.app\.ya?ml",
    # what decides who reviews and what is merged
    r"codeowners|\.mergify\.ya?ml|\.kodiak\.toml|bors\.toml|\.?renovate(?:rc)?(?:\.json5?)?",
    # hooks
    r"\.pre-commit-(?:config|hooks)\.ya?ml|\.?lefthook(?:-local)?\.(?:ya?ml|toml|jsonc?)|\.lefthookrc|\.overcommit\.ya?ml",
    r"\.huskyrc(?:\..+)?|\.lintstagedrc(?:\..+)?|lint-staged\.config\..+|\.?simple-git-hooks\..+",
    # git
    r"\.gitattributes|\.gitmodules|\.gitconfig|\.lfsconfig",
    # coding agents
    r"(?:agents|claude|gemini)(?:\.local|\.override)?\.md|\.cursorrules|\.windsurfrules|\.clinerules|\.roorules|\.goosehints",
    r"\.?mcp\.json|opencode\.jsonc?|\.aider\.conf\.ya?ml|\.(?:cursor|gemini|claude)ignore",
    # editors, debuggers and interpreters that read a file of the folder in which they start
    r"\.vscode/(?:tasks|settings|launch|mcp|extensions)\.json|.+\.code-workspace|.+\.sublime-project|\.devcontainer\.json",
    r"\.exrc|\.nvimrc|\.nvim\.lua|\.lvimrc|\.dir-locals(?:-2)?\.el|\.gdbinit|\.lldbinit|\.pdbrc(?:\.py)?|\.irbrc|\.pryrc",
    r"\.rprofile|\.renviron|\.ghci|\.ocamlinit",
    r".+\.pth|(?:site|user)customize\.py",
    # shells and tools that run commands of a folder
    r"\.envrc|\.?mise(?:\.[\w-]+)?\.toml|\.tool-versions|\.autoenv(?:\.zsh)?|\.gitpod\.ya?ml|\.gitpod\.dockerfile|\.replit",
    # package managers
    r"\.npmrc|\.yarnrc(?:\.ya?ml)?|\.?pnpmfile\.[cm]?js|\.pnp\.(?:cjs|js|loader\.mjs)|\.?bunfig\.toml|\.corepack\.env",
    r"\.pypirc|pip\.(?:conf|ini)|\.condarc|\.gemrc|nuget\.config|\.netrc|rust-toolchain(?:\.toml)?",
    r".*\.bazelrc|\.bazeliskrc|\.bazelversion|tools/bazel|\.buckconfig",
    r"directory\.(?:build|packages|solution)\.(?:props|targets|rsp)|dotnet-tools\.json",
    # build wrappers
    r"(?:gradlew|mvnw|bazelw|sbtw?|amper|kobaltw|leinw|antw)(?:\.(?:bat|cmd|ps1|sh))?",
)

_AUTOMATION = re.compile(rf"(?:.*/)?(?:(?:{'|'.join(_FOLDERS)})/.+|(?:{'|'.join(_FILES)}))", re.DOTALL)

_UNTIDY = re.compile(r"\\|[ .](?:/|\Z)")

_LOCK_FILES = frozenset(
    "package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml bun.lock bun.lockb deno.lock cargo.lock poetry.lock uv.lock "  # noqa: SIM905 - a list of names reads best as one
    "pdm.lock pylock.toml pipfile.lock gemfile.lock composer.lock go.sum flake.lock mix.lock pubspec.lock podfile.lock "
    "package.resolved packages.lock.json gradle.lockfile chart.lock requirements.lock".split()
)


def is_automation(path: str) -> bool:
    """Whether programs run or obey the file at *path* without a run of the project."""
    return _AUTOMATION.fullmatch(_comparable(path)) is not None


def is_lock_file(path: str) -> bool:
    """Whether the file at *path* pins what gets installed."""
    path = _comparable(path)
    return path[path.rfind("/") + 1 :] in _LOCK_FILES


def _comparable(path: str) -> str:
    """Return *path* without what some file systems ignore: case, invisible characters, blanks and dots at a name's end."""
    if path.isascii():
        return _trimmed(path.lower())
    seen = "".join(character for character in path if unicodedata.category(character) != "Cf")
    return _trimmed(folded(seen))


def _trimmed(path: str) -> str:
    if _UNTIDY.search(path) is None:
        return path
    return "/".join(part.rstrip(" .") or part for part in path.replace("\\", "/").split("/"))
