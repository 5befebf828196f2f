from __future__ import annotations

import tomllib

import pytest
from tests.providers.generic_http.descriptions import AZURE, BASE, BY_ID, GOOGLE, PLAIN, provider

from coatcheck import TaskState, errors
from coatcheck.providers.generic_http import described
from coatcheck.providers.generic_http.description import read

SUBMIT = '[submit]\npath = "/tasks"\n'


class NoSettings:
    """Settings without any value."""

    def get(self, name: str, *, variable: str | None = None) -> str | None:
        return None


@pytest.mark.parametrize(
    ("toml", "wrong"),
    [
        ("", "services.acme: object missing required field `submit`"),
        (SUBMIT + "methd = 'PUT'", "services.acme.submit: object contains unknown field `methd`"),
        (SUBMIT + "method = 'GET'", "services.acme.submit.method: invalid enum value 'GET'"),
        (SUBMIT + "body = 3", "services.acme.submit.body: expected `object | array`, got `int`"),
        (SUBMIT + "id = 3", "services.acme.submit.id: a place is a text, or a list of texts"),
        (SUBMIT + "id = 'a..b'", "services.acme.submit.id: 'a..b' is not a place"),
        ("submit = { path = 'tasks' }", "services.acme.submit.path: 'tasks' does not begin with a slash"),
        ("submit = { path = '/{nobody}' }", "services.acme.submit.path: there is no {nobody}"),
        (SUBMIT + "body = { a = ['{attempts}'] }", "services.acme.submit.body: there is no {attempts}"),
        (SUBMIT + "requires = ['money']", "services.acme.submit.requires: there is no {money}"),
        (SUBMIT + "[status]\npath = '/{id}'", "services.acme.submit.id: status.path needs to know"),
        (SUBMIT + "id = 'id'\n[status]\npath = '/{prompt}'", "services.acme.status.path: there is no {prompt}"),
        (SUBMIT + "[cancel]\npath = '/{ref}'", "services.acme.cancel.path: there is no {ref}"),
        (SUBMIT + "[list]\npath = '/tasks'\nitems = 'tasks'", "services.acme.list: what is listed can be looked at"),
        (SUBMIT + "[states]\nok = 'fine'", "services.acme.states.ok: there is no state 'fine': use one of queued"),
        ("headers = { Authorization = 'Bearer x' }\n" + SUBMIT, "services.acme.headers: authorization holds a secret"),
        (SUBMIT + "headers = { x-api-key = 'x' }", "services.acme.submit.headers: x-api-key holds a secret"),
        ("auth = 'header'\n" + SUBMIT, 'services.acme.auth: with auth = "header" say which one'),
        ("auth = 'digest'\n" + SUBMIT, "services.acme.auth: invalid enum value 'digest'"),
        ("preset = 'ibm'\n" + SUBMIT, "services.acme.preset: there is no preset 'ibm': use one of azure"),
        ("preset = 3\n" + SUBMIT, "services.acme.preset: there is no preset 3"),
    ],
)
def test_a_wrong_description_is_one_line_with_the_key(toml: str, wrong: str) -> None:
    """The file, the key, and what is wrong with it."""
    with pytest.raises(errors.ConfigurationError) as caught:
        read("acme", tomllib.loads(toml), origin="/home/me/config.toml")

    assert str(caught.value).startswith(f"/home/me/config.toml: {wrong}"), caught.value
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("toml", [AZURE, BY_ID, PLAIN, GOOGLE, SUBMIT])
def test_what_a_description_has_is_what_can_be_done(toml: str) -> None:
    """Verbs, options and modes follow from what is described, and nothing else is claimed."""
    table = tomllib.loads(toml) if "preset" not in toml else None
    capabilities = provider(toml).capabilities
    expected = {"create_task", "get_task", "get_snapshot"}
    if table is None:
        expected |= {"cancel_task"} | ({"delete_task"} if toml == GOOGLE else set())
        expected |= {"list_tasks", "get_status_page"} if toml != AZURE else set()

    assert expected == set(capabilities.verbs)
    assert ({"title"} if toml in (AZURE, BY_ID) else set()) == capabilities.options


def test_a_description_overrides_its_preset() -> None:
    """Key by key: a table of the description keeps the preset's other keys."""
    found = provider(GOOGLE.replace("/v1/projects/demo", "/v2")).described

    assert found.list is not None
    assert ("/v2/operations", "pageToken") == (found.list.path, found.list.cursor_parameter)


def test_words_are_the_users_then_the_presets_then_the_usual() -> None:
    """All three are known, in any case."""
    found = provider(AZURE + '[states]\nRipening = "running"\nvalidating = "queued"').described
    words = ("ripening", "VALIDATING", "NotStarted", "Timed_Out")

    assert [TaskState.RUNNING, TaskState.QUEUED, TaskState.QUEUED, TaskState.EXPIRED] == list(
        map(found.state_of, words)
    )


def test_a_service_without_an_address_is_refused() -> None:
    """A preset has no host."""
    with pytest.raises(errors.ConfigurationError, match=r"services\.acme: no base URL is set"):
        described("acme", tomllib.loads(SUBMIT), NoSettings(), origin="here")


def test_the_address_is_the_tables() -> None:
    """It is used where no setting has another one."""
    table = tomllib.loads(f'base_url = "{BASE}/"\n{SUBMIT}')

    assert {"api": BASE} == described("acme", table, NoSettings(), origin="here").origins
