from __future__ import annotations

from coatcheck._patches.automation_rules import is_automation, is_lock_file

AUTOMATION = [
    ".github/workflows/ci.yml",
    ".github/actions/build/action.yml",
    "action.yml",
    "sub/action.yaml",
    ".github/dependabot.yml",
    ".github/copilot-instructions.md",
    ".gitlab-ci.yml",
    ".circleci/config.yml",
    ".azure-pipelines/main.yml",
    "azure-pipelines.yml",
    "azure-pipelines-release.yaml",
    ".cirrus.yml",
    ".tekton/push.yaml",
    ".buildkite/pipeline.yml",
    "Jenkinsfile",
    "Jenkinsfile.release",
    ".travis.yml",
    "CODEOWNERS",
    "docs/CODEOWNERS",
    "renovate.json",
    ".husky/pre-commit",
    ".githooks/pre-push",
    ".pre-commit-config.yaml",
    "lefthook.yml",
    ".lefthook.toml",
    ".lintstagedrc.json",
    ".gitattributes",
    "deep/.gitmodules",
    ".claude/settings.json",
    "web/.claude/commands/x.md",
    ".mcp.json",
    ".cursor/rules/a.mdc",
    ".codex/config.toml",
    "AGENTS.md",
    "web/AGENTS.md",
    "CLAUDE.md",
    "GEMINI.md",
    ".cursorrules",
    ".windsurfrules",
    ".clinerules",
    ".clinerules/a.md",
    ".aider.conf.yml",
    ".vscode/tasks.json",
    ".vscode/settings.json",
    "x.code-workspace",
    ".idea/runConfigurations/a.xml",
    ".devcontainer/devcontainer.json",
    ".devcontainer.json",
    ".envrc",
    "mise.toml",
    ".mise.toml",
    ".tool-versions",
    ".exrc",
    ".dir-locals.el",
    ".gdbinit",
    ".Rprofile",
    ".npmrc",
    "sub/.npmrc",
    ".yarnrc",
    ".yarnrc.yml",
    ".yarn/releases/yarn-4.0.0.cjs",
    ".pnpmfile.cjs",
    "bunfig.toml",
    "pip.conf",
    ".cargo/config.toml",
    ".cargo/config",
    ".bazelrc",
    "ci.bazelrc",
    "tools/bazel",
    "rust-toolchain.toml",
    "NuGet.config",
    "Directory.Build.props",
    "gradlew",
    "gradlew.bat",
    "android/gradlew",
    "mvnw",
    "mvnw.cmd",
    ".mvn/wrapper/maven-wrapper.properties",
    "gradle/wrapper/gradle-wrapper.jar",
    "evil.pth",
    "src/evil.pth",
    "sitecustomize.py",
    "usercustomize.py",
    "sitecustomize/__init__.py",
]

ORDINARY = [
    "README.md",
    "src/app.py",
    "action.py",
    "actions.yml",
    "docs/actions/index.md",
    "github/workflows/ci.yml",
    ".gitignore",
    ".mailmap",
    ".editorconfig",
    "conftest.py",
    "setup.py",
    "Makefile",
    "Dockerfile",
    "package.json",
    "tsconfig.json",
    ".eslintrc.js",
    "tests/test_agents.py",
    "agents.py",
    "src/claude/client.py",
    "docs/cursor.md",
    "path.py",
    "npmrc.md",
    "bazel.md",
    "gradle.properties",
    "gradlew.md",
    ".github/ISSUE_TEMPLATE/bug.md",
    ".github/FUNDING.yml",
    ".vscode/launch.md",
    "site.py",
    "customize.py",
    "th.pth.py",
    "vscode/tasks.json",
    "docs/husky/readme.md",
]


def test_files_that_programs_run_are_known() -> None:
    """Files that programs run or read by themselves are known in any case and as Windows spells them."""
    spellings = {
        spelling
        for path in AUTOMATION
        for spelling in (path, path.upper(), path.title(), f"{path} .", path.replace("/", "\\"))
    }

    assert set() == {spelling for spelling in spellings if not is_automation(spelling)}


def test_ordinary_files_are_not() -> None:
    """Code that runs only with the project is no automation."""
    assert [] == [path for path in ORDINARY if is_automation(path)]


def test_names_are_compared_as_file_systems_compare_them() -> None:
    """Invisible characters and Unicode's other forms hide no name."""
    paths = [".npm\u200crc", "\uff0enpmrc", ".claude\u200d/settings.json", "package\u2024json"]

    assert [True, True, True, False] == [is_automation(path) for path in paths]


def test_lock_files_are_known_in_any_case() -> None:
    """A lock file in other letters is one on file systems that ignore case."""
    assert [True, True, False] == [is_lock_file(path) for path in ("a/uv.lock", "CARGO.LOCK", "uv.lock.md")]
