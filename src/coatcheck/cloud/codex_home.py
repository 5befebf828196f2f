"""A ready ``CODEX_HOME`` for the official client: a login of ours, and where the cloud is.

Invariant: a folder with the login of another account is never changed. One that was written here has a marker file.
"""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

import msgspec

from .. import errors
from .._files.private import make_private_folder, replace_file
from .._files.reading import read_regular_file
from .issued_tokens import Account, TokenSet

MARK = ".coatcheck-local-cloud"
MARK_TEXT = b"coatcheck serve wrote the auth.json and config.toml of this folder, and may write them again.\n"


class _Tokens(msgspec.Struct):
    account_id: str | None = None


class _Login(msgspec.Struct):
    tokens: _Tokens | None = None


def write_codex_home(directory: Path, *, url: str, tokens: TokenSet, account: Account, now: float) -> None:
    """Write ``auth.json`` and ``config.toml``, mode 0600. Raises `ConfigurationError` where others' are there."""
    refuse_foreign(directory, account)
    make_private_folder(str(directory))
    replace_file(str(directory / MARK), MARK_TEXT)
    replace_file(str(directory / "auth.json"), login_file(tokens, account=account, now=now))
    replace_file(str(directory / "config.toml"), config_file(url))


def refuse_foreign(directory: Path, account: Account) -> None:
    """Raise `ConfigurationError` where the folder holds a login or settings that we did not write."""
    is_marked = (directory / MARK).exists()
    for name in ("auth.json", "config.toml"):
        if (directory / name).exists() and not (
            is_marked and (name != "auth.json" or _is_ours(directory / name, account))
        ):
            message = f"{directory / name} was not written by coatcheck serve"
            raise errors.ConfigurationError(message, remedy="give --codex-home a new folder")


def _is_ours(path: Path, account: Account) -> bool:
    try:
        login = msgspec.json.decode(read_regular_file(path), type=_Login)
    except (OSError, msgspec.MsgspecError):
        return False
    return login.tokens is not None and login.tokens.account_id == account.account_id


def login_file(tokens: TokenSet, *, account: Account, now: float) -> bytes:
    """Return an ``auth.json``; without ``last_refresh`` the client sends no token at all.

    See docs/reference/protocols/codex-wham.md, 6.1.
    """
    login = {
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": None,
        "tokens": {
            "id_token": tokens.id_token,
            "access_token": tokens.access_token,
            "refresh_token": tokens.refresh_token,
            "account_id": account.account_id,
        },
        "last_refresh": rfc3339(now),
    }
    return msgspec.json.format(msgspec.json.encode(login), indent=2)


def config_file(url: str) -> bytes:
    """Return a ``config.toml``: the address that ``codex apply`` uses, and that logins are kept in the file.

    See docs/reference/protocols/codex-wham.md, 1.2.
    """
    return f'chatgpt_base_url = "{url}/"\ncli_auth_credentials_store = "file"\n'.encode()


def rfc3339(now: float) -> str:
    """Return a time as RFC 3339 in UTC."""
    from datetime import datetime

    return datetime.fromtimestamp(now, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
