from __future__ import annotations

from coatcheck._runtime.config import Config
from coatcheck._runtime.provider_lookup import provider_of
from coatcheck.provider import Verb

from .exchange_support import PROVIDER

MODELS = {model.id: model for model in PROVIDER.list_models()}


def test_the_catalogue_is_complete_and_dated() -> None:
    """Twelve models of today and three of the first release, each once, with date, source and price.

    See docs/reference/protocols/codex-wham.md, "10 Models, 0.169.0".
    """
    assert 15 == len(MODELS) == len(PROVIDER.list_models())
    assert all(model.as_of and model.source and model.price == "included in the plan" for model in MODELS.values())


def test_the_first_releases_models_keep_their_figures() -> None:
    """The figures are those of the official client's source.

    See docs/reference/protocols/codex-wham.md, "9 The first release of this protocol".
    """
    assert {
        "gpt-5-codex": (272_000, 272_000, 128_000),
        "gpt-5": (272_000, 400_000, 128_000),
        "codex-mini-latest": (200_000, 200_000, 100_000),
    } == {id: (m.context, m.max_context, m.max_output) for id, m in MODELS.items() if m.max_output}


def test_a_successor_is_in_the_catalogue() -> None:
    """A model that is to be replaced names one that exists."""
    successors = {model.successor for model in MODELS.values() if model.successor}

    assert successors == {"gpt-6-sol", "gpt-6-luna"} & set(MODELS)


def test_the_local_cloud_lists_no_models_of_another_service() -> None:
    """The agents of the local cloud are the user's commands: it lists no models and opens no pull requests."""
    provider = provider_of("local", Config(environ={}, explicit={"local.base_url": "http://127.0.0.1:9"}))
    missing = {Verb.LIST_MODELS, Verb.CREATE_PULL_REQUEST}

    assert missing == missing & set(provider.capabilities.reasons) - set(provider.capabilities.verbs)
