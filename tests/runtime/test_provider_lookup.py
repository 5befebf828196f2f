from __future__ import annotations

from pathlib import Path

import pytest

from coatcheck import Client, errors
from coatcheck._protocol import registry
from coatcheck._runtime.config import Config
from coatcheck._runtime.provider_lookup import provider_names, provider_of

ACME = '[services.acme]\nbase_url = "https://acme.example"\n[services.acme.submit]\npath = "/tasks"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The user's folder of settings."""
    folder = tmp_path / "coatcheck"
    folder.mkdir()
    return folder


def config(folder: Path, text: str = ACME, **environ: str) -> Config:
    """Return the configuration of files and environment."""
    (folder / "config.toml").write_text(text)
    return Config(environ={"COATCHECK_CONFIG_HOME": str(folder), **environ})


def test_a_described_service_is_a_provider_by_name(folder: Path) -> None:
    """A client of that name uses it, and refs begin with it."""
    client = Client("acme", config=config(folder), environ={})

    assert {"create_task", "get_task", "get_snapshot"} == set(client.capabilities.verbs)


def test_described_services_are_listed_with_the_installed(folder: Path) -> None:
    """The list of providers contains both."""
    assert {"acme", *registry.BUILT_IN} <= set(provider_names(config(folder)))


def test_the_address_may_be_set_like_any_providers(folder: Path) -> None:
    """A variable of ours goes before the description."""
    found = provider_of("acme", config(folder, COATCHECK_ACME_BASE_URL="http://127.0.0.1:8"))

    assert {"api": "http://127.0.0.1:8"} == found.origins


def test_a_file_of_its_own_goes_first(folder: Path, tmp_path: Path) -> None:
    """Descriptions can be kept apart, and shared."""
    named = tmp_path / "services.toml"
    named.write_text(ACME.replace("acme.example", "other.example") + ACME.replace("services.acme", "services.two"))
    settings = config(folder, COATCHECK_SERVICES_FILE=str(named))

    assert {"api": "https://other.example"} == provider_of("acme", settings).origins
    assert "two" in provider_names(settings)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("services = 3", "services is not a table"),
        ("services.acme = 3", "services.acme is not a table"),
        ("[services.codex]", "services.codex: this is the name of a built-in provider"),
        ('[services."a b"]', "services.a b: not a name for a provider"),
        ("[services.acme]", "services.acme: object missing required field `submit`"),
        ("[services", "cannot be read"),
    ],
)
def test_an_error_names_the_file(folder: Path, text: str, wrong: str) -> None:
    """One line with the file and the key, never a traceback."""
    with pytest.raises(errors.ConfigurationError) as caught:
        provider_of("acme", config(folder, text))

    assert str(caught.value).startswith(f"{folder}/config.toml")
    assert wrong in str(caught.value)


def test_a_named_file_must_exist(folder: Path) -> None:
    """A missing file that a setting names is an error."""
    with pytest.raises(errors.ConfigurationError, match=r"/nowhere\.toml does not exist"):
        provider_of("acme", config(folder, COATCHECK_SERVICES_FILE="/nowhere.toml"))


def test_an_unknown_name_lists_the_described_too(folder: Path) -> None:
    """The remedy lists the described services as well."""
    with pytest.raises(errors.ConfigurationError, match="no provider 'nope'") as caught:
        provider_of("nope", config(folder))

    assert {"acme", "codex"} <= set((caught.value.remedy or "").removeprefix("known providers: ").split(", "))


def test_a_project_describes_no_service(folder: Path, tmp_path: Path) -> None:
    """A repository may be hostile: its file names no host."""
    project = tmp_path / "coatcheck.toml"
    project.write_text(ACME)
    settings = Config(environ={"COATCHECK_CONFIG_HOME": str(folder)}, project=str(project))

    with pytest.raises(errors.ConfigurationError, match="a project file may not"):
        provider_of("acme", settings)
