"""The built-in providers as their folders declare them, and the page of each."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from coatcheck._protocol.provider import Provider

PAGES = Path(__file__).parents[2] / "reference/providers"


class FewSettings:
    """The settings of a provider that sends no request: an address, and *values*."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = {"base_url": "http://127.0.0.1", **values}

    def get(self, name: str, *, variable: str | None = None) -> str | None:
        """Return an address for ``base_url``, or one of the values."""
        del variable
        return self._values.get(name)


def declared(target: str, values: Mapping[str, str] = MappingProxyType({})) -> Provider:
    """Return the provider of an entry point, with few settings or none."""
    module, _, factory = target.partition(":")
    provider: Provider = getattr(importlib.import_module(module), factory)(FewSettings(values))
    return provider


@cache
def page_of(provider: str) -> str:
    """Return the page of a provider, seen from the folder of pages above.

    It has the name of the provider, or is the one whose introduction, before its first section, names the provider.
    """
    own = PAGES / f"{provider.replace('_', '-')}.md"
    named = [own] if own.exists() else [page for page in sorted(PAGES.glob("*.md")) if f"`{provider}`" in opening(page)]
    if not named:
        raise LookupError(f"no page of {PAGES} is about the provider {provider}; write {own.name}")
    return f"providers/{named[0].name}"


def opening(page: Path) -> str:
    """Return the text of *page* before its first section."""
    return page.read_text("utf-8").partition("\n## ")[0]


def title_of(page: str) -> str:
    """Return the title of a page that `page_of` returned."""
    heading = re.search(r"^# (.+)$", (PAGES.parent / page).read_text("utf-8"), re.MULTILINE)
    return heading[1] if heading else page
