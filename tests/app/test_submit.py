from __future__ import annotations

from pathlib import Path

import pytest
from tests.checkouts import git

from coatcheck import errors
from coatcheck._app.field_errors import FieldError
from coatcheck._app.submit import SubmitOptions, build_spec, check_attempt, prepare_submission
from coatcheck._app.workspace import Workspace
from coatcheck._runtime.client import Client
from coatcheck.cloud.models import CloudEnvironment
from coatcheck.cloud.scripted_cloud import ScriptedCloud

DIFF = b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-old\n+new\n"
NAMED = SubmitOptions(environment="owner/repo")


def with_settings(workspace: Workspace, **settings: str) -> Workspace:
    """Return the workspace with settings."""
    config = workspace.config.with_explicit(settings)
    return Workspace(workspace.folder, config=config, environ=workspace.environ, provider=workspace.provider)


def test_the_checkout_names_repository_and_branch(workspace: Workspace, client: Client, checkout: Path) -> None:
    """Without options the remote names the repository, and the task starts from the current branch."""
    git(checkout, "remote", "add", "origin", "git@github.com:owner/repo.git")
    spec = build_spec(workspace, client, "Add it", SubmitOptions())

    assert ("owner/repo", None, "topic") == (spec.repository, spec.environment, spec.branch)


def test_an_option_overrides_a_setting(workspace: Workspace, client: Client) -> None:
    """An option is used before a setting, and a setting before the checkout."""
    workspace = with_settings(workspace, environment="mine", branch="release", attempts="2")
    by_setting = build_spec(workspace, client, "Add it", SubmitOptions())
    by_option = build_spec(workspace, client, "Add it", SubmitOptions(environment="e", branch="b", attempts=3))

    assert ("mine", "release", 2) == (by_setting.environment, by_setting.branch, by_setting.attempts)
    assert ("e", "b", 3) == (by_option.environment, by_option.branch, by_option.attempts)


def test_a_branch_that_is_not_checked_out(workspace: Workspace, client: Client, checkout: Path) -> None:
    """Where HEAD is detached, no branch is sent."""
    git(checkout, "checkout", "-q", "--detach")

    assert None is build_spec(workspace, client, "Add it", NAMED).branch


def test_the_starting_diff_is_an_option_or_a_variable(workspace: Workspace, client: Client) -> None:
    """The starting diff may be in the variable that the provider declares; an option is used before it."""
    environ = {**workspace.environ, "CODEX_STARTING_DIFF": "from the variable"}
    config = type(workspace.config)(environ=environ)
    workspace = Workspace(workspace.folder, config=config, environ=environ, provider="codex")
    given = build_spec(workspace, client, "Add it", SubmitOptions(environment="e", starting_diff=DIFF))

    assert "from the variable" == build_spec(workspace, client, "Add it", NAMED).starting_diff
    assert DIFF.decode() == given.starting_diff


@pytest.mark.parametrize(
    ("expected", "prompt", "options"),
    [
        ("the prompt is blank", " \n", {}),
        ("9 attempts are out of range", "x", {"attempts": 9}),
        ("codex does not support title", "x", {"title": "t"}),
        ("the starting diff cannot be read", "x", {"starting_diff": b"nonsense"}),
        ("the starting diff is not UTF-8", "x", {"starting_diff": DIFF.replace(b"new", b"\xff")}),
    ],
)
def test_what_cannot_be_submitted_sends_no_request(  # noqa: PLR0917 - fixtures and parameters
    workspace: Workspace, client: Client, cloud: ScriptedCloud, expected: str, prompt: str, options: dict[str, object]
) -> None:
    """A specification that the provider does not accept is an error before any request."""
    with pytest.raises(errors.CoatcheckError, match=expected):
        build_spec(workspace, client, prompt, SubmitOptions(**options))

    assert [] == cloud.requests


def test_several_environments_are_listed(workspace: Workspace, client: Client, cloud: ScriptedCloud) -> None:
    """Where no environment can be chosen, the error lists them and names the fields."""
    cloud.environments = tuple(CloudEnvironment(id=f"e{number}", label=f"team/{number}") for number in range(12))
    with pytest.raises(FieldError) as caught:
        build_spec(workspace, client, "x", SubmitOptions())

    assert "no environment configured: no remote of this checkout is a repository of the service" == str(caught.value)
    assert (caught.value.remedy or "").startswith("pass environment or repository; environments: team/0 (e0), ")
    assert (caught.value.remedy or "").endswith(" and 2 more")


def test_uncommitted_work_is_a_warning(workspace: Workspace, client: Client, checkout: Path) -> None:
    """Files that are not committed are named in the warning."""
    git(checkout, "remote", "add", "origin", "git@github.com:owner/repo.git")
    (checkout / "hello.txt").write_text("changed\n")
    warning = prepare_submission(workspace, client, "x", SubmitOptions()).warning

    assert "the agent will not see 1 changed file (not committed)" == warning


def test_an_attempt_that_will_not_exist(workspace: Workspace) -> None:
    """An attempt beyond the requested number is an error that names the field."""
    with pytest.raises(FieldError) as caught:
        check_attempt(workspace.config, 3, 2)

    assert ("the task will have no attempt 3", "request more with: attempts 3") == (
        str(caught.value),
        caught.value.remedy,
    )


@pytest.mark.parametrize("value", ["1.5", "inf", "nan"])
def test_attempts_that_are_no_whole_number(workspace: Workspace, value: str) -> None:
    """A setting that is no whole number is an error with the command that changes it."""
    with pytest.raises(errors.ConfigurationError, match="attempts must be a whole number"):
        check_attempt(with_settings(workspace, attempts=value).config, 1, None)
