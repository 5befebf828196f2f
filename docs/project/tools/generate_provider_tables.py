"""Write the tables that name every provider, sender or emulator; with --check, compare them.

Each is between two comments of its page: in ``README.md``, ``docs/reference/settings.md``, ``docs/reference/api.md`` and
``docs/guides/webhooks.md``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from provider_pages import declared, page_of, title_of
from written_files import with_block, write_or_compare

from coatcheck._protocol.provider import settings_of, webhooks_of
from coatcheck._protocol.registry import BUILT_IN
from coatcheck._protocol.settings import COMMON_SETTINGS, LOGIN_SETTINGS, ProviderSetting
from coatcheck.testing import emulators

ROOT = Path(__file__).parents[3]
SHARED = {setting.name for setting in (*COMMON_SETTINGS, *LOGIN_SETTINGS)}


def pages() -> str:
    """Return a list with a link to the page of each provider."""
    links = dict.fromkeys(page_of(name) for name in BUILT_IN)
    return ", ".join(f"[{title_of(page)}](docs/reference/{page})" for page in links) + "\n"


def settings() -> str:
    """Return a table of the settings that providers declare."""
    rows = ["| Setting | Variable | Meaning | Default |", "| --- | --- | --- | --- |"]
    rows += [
        f"| `{name}.{setting.name}` | {variables(name, setting)} | {setting.description} | {default(setting)} |"
        for name, target in BUILT_IN.items()
        for setting in settings_of(declared(target))
        if setting.name not in SHARED
    ]
    return "\n".join(rows) + "\n"


def variables(provider: str, setting: ProviderSetting) -> str:
    """Return the variables of a setting, this program's own first."""
    return ", ".join(f"`{name}`" for name in (f"COATCHECK_{provider}_{setting.name}".upper(), *setting.variables))


def default(setting: ProviderSetting) -> str:
    """Return the default of a setting."""
    return f"`{setting.default}`" if setting.default else ""


def emulator_entries() -> str:
    """Return the entries of the emulators in the reference of the library."""
    entries = "".join(f".. autoclass:: coatcheck.testing.{name}\n" for name in emulators.__all__)
    return f"```{{eval-rst}}\n{entries}```\n"


def senders() -> str:
    """Return a table of the senders of webhooks."""
    rows = ["| Sender | Address | Secret | Tasks |", "| --- | --- | --- | --- |", *sorted(sender_rows())]
    return "\n".join(rows) + "\n"


def sender_rows() -> Iterator[str]:
    """Yield a row for each sender that providers declare."""
    declarations = {name: webhooks for name, target in BUILT_IN.items() if (webhooks := webhooks_of(declared(target)))}
    for sender in {webhooks.sender: webhooks for webhooks in declarations.values()}.values():
        about = [f"{each.about} (`{name}`)" for name, each in declarations.items() if each.sender == sender.sender]
        yield f"| {sender.title} | `/{sender.sender}` | {sender.signature.secret} | {'; '.join(about)} |"


BLOCKS = {
    "README.md": ("services", pages),
    "docs/reference/settings.md": ("settings of providers", settings),
    "docs/reference/api.md": ("emulators", emulator_entries),
    "docs/guides/webhooks.md": ("senders", senders),
}


def main() -> int:
    """Write the tables, or compare them."""
    return max(
        write_or_compare(ROOT / page, with_block((ROOT / page).read_text("utf-8"), name, block()), __file__)
        for page, (name, block) in BLOCKS.items()
    )


if __name__ == "__main__":
    sys.exit(main())
