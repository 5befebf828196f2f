"""The places of settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from coatcheck import errors
from coatcheck._runtime.config import Config, config_dir, state_dir, store_location


def config(tmp_path: Path, *, user: str = "", project: str | None = None, **environ: str) -> Config:
    """Return the configuration of files and environment."""
    (tmp_path / "coatcheck").mkdir(exist_ok=True)
    (tmp_path / "coatcheck" / "config.toml").write_text(user)
    path = tmp_path / "coatcheck.toml"
    if project is not None:
        path.write_text(project)
    return Config(
        environ={"XDG_CONFIG_HOME": str(tmp_path), **environ}, project=str(path) if project is not None else None
    )


def test_the_order_is_environment_project_user_default(tmp_path: Path) -> None:
    """Each place has precedence over the next, and is reported as the origin."""
    both = config(tmp_path, user="attempts = 2\nbranch = 'u'", project="attempts = 3", COATCHECK_ATTEMPTS="4")

    assert ("4", "environment COATCHECK_ATTEMPTS") == (both.resolve("attempts").value, both.resolve("attempts").origin)
    both = config(tmp_path, user="attempts = 2\nbranch = 'u'", project="attempts = 3")
    assert ("3", str(tmp_path / "coatcheck.toml")) == (both.resolve("attempts").value, both.resolve("attempts").origin)
    assert "u" == both.get("branch")
    assert "default" == both.resolve("timeout").origin
    assert None is both.get("environment")


def test_an_argument_wins_over_everything() -> None:
    """Explicit is explicit."""
    assert "a" == Config(environ={"COATCHECK_BRANCH": "e"}, explicit={"branch": "a"}).get("branch")


def test_our_variable_precedes_the_services(tmp_path: Path) -> None:
    """COATCHECK_CODEX_BASE_URL, then CODEX_CLOUD_TASKS_BASE_URL, then the files."""
    name, theirs = "codex.base_url", "CODEX_CLOUD_TASKS_BASE_URL"
    user = "[codex]\nbase_url = 'file'"

    assert "file" == config(tmp_path, user=user).get(name, variable=theirs)
    assert "theirs" == config(tmp_path, user=user, CODEX_CLOUD_TASKS_BASE_URL="theirs").get(name, variable=theirs)
    assert "ours" == config(
        tmp_path, user=user, CODEX_CLOUD_TASKS_BASE_URL="theirs", COATCHECK_CODEX_BASE_URL="ours"
    ).get(name, variable=theirs)


@pytest.mark.parametrize(
    "line", ["provider = 'x'", "[codex]\nbase_url = 'http://evil'", "transport = 'x'", "agent = 'rm'"]
)
def test_a_repository_may_not_set_what_could_do_harm(tmp_path: Path, line: str) -> None:
    """A project file that names a host, a provider or a command is refused with one line."""
    with pytest.raises(errors.ConfigurationError, match="which a project file may not"):
        config(tmp_path, project=line).get("branch")


@pytest.mark.parametrize("text", ["attempts = ", "\x00", "[["])
def test_a_broken_file_is_one_clear_error(tmp_path: Path, text: str) -> None:
    """The path is named."""
    with pytest.raises(errors.ConfigurationError, match=r"config\.toml cannot be read"):
        config(tmp_path, user=text).get("branch")


def test_an_invalid_number_names_its_origin(tmp_path: Path) -> None:
    """The error names the place where it can be corrected."""
    with pytest.raises(
        errors.ConfigurationError, match=r"timeout should be a number, not 'soon' \(environment COATCHECK_TIMEOUT\)"
    ):
        config(tmp_path, COATCHECK_TIMEOUT="soon").number("timeout")


@pytest.mark.parametrize(("value", "expected"), [("90", 90.0), ("none", None), ("1.5", 1.5)])
def test_a_number_may_be_none(tmp_path: Path, value: str, expected: float | None) -> None:
    """None means without limit, and must be explicit."""
    assert expected == config(tmp_path, COATCHECK_TIMEOUT=value).number("timeout")


@pytest.mark.parametrize(
    ("expected", "environ"),
    [
        ("/h", {"COATCHECK_DATABASE": "~"}),
        ("/h/store", {"COATCHECK_DATABASE": "~/store"}),
        ("/h/state", {"COATCHECK_STATE_HOME": "~/state"}),
        ("~other/x", {"COATCHECK_DATABASE": "~other/x"}),
        ("postgresql://u@h/d", {"COATCHECK_DATABASE": "postgresql://u@h/d"}),
    ],
)
def test_the_home_folder_may_be_written_as_a_tilde(expected: str, environ: dict[str, str]) -> None:
    """No shell replaces it in a file of settings, and in the environment of a service."""
    assert expected == store_location(Config(environ={"HOME": "/h", **environ}))


def test_folders_follow_the_xdg_rules() -> None:
    """Our own variable, then XDG's if absolute, then the home."""
    home = {"HOME": "/h"}

    assert "/s" == state_dir({**home, "COATCHECK_STATE_HOME": "/s", "XDG_STATE_HOME": "/x"})
    assert "/x/coatcheck" == state_dir({**home, "XDG_STATE_HOME": "/x"})
    assert "/h/.local/state/coatcheck" == state_dir({**home, "XDG_STATE_HOME": "relative"})
    assert "/h/.config/coatcheck" == config_dir(home)
