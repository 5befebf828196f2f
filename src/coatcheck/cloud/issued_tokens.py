"""The tokens that a cloud issues: JWTs whose signature is a random secret.

Guarantees:

- only a token's SHA-256 digest is stored;
- a refresh token is accepted once; it is replaced by another one (docs/reference/protocols/codex-wham.md, 6.4);
- signatures are not verified, as no client does it (docs/reference/protocols/codex-wham.md, 6.2): a token is stored or
  it is not accepted.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias

import msgspec

from .._values.value import Value

# Long enough that no login to a local cloud expires; below the 32-bit limit of time in 2038.
ACCESS_LIFETIME = 365 * 86_400.0

Kind: TypeAlias = Literal["access", "refresh"]
TokenState: TypeAlias = Literal["", "used", "expired", "invalidated"]


class Account(Value, frozen=True, kw_only=True):
    """Whose tokens they are."""

    account_id: str = "00000000-0000-4000-8000-000000000000"
    user_id: str = "user-local"
    email: str = "local@localhost"
    plan: str = "local"
    is_fedramp: bool = False


class TokenSet(Value, frozen=True, kw_only=True):
    """The tokens of a login or a refresh. Its ``repr`` shows none of them."""

    access_token: str
    refresh_token: str
    id_token: str
    expires_at: float

    def __repr__(self) -> str:
        return f"TokenSet(expires_at={self.expires_at!r})"


class TokenRecord(Value, frozen=True, kw_only=True):
    """What is kept of a token: its digest, and its state: "" while it is accepted."""

    digest: str
    kind: Kind
    expires_at: float
    state: TokenState = ""


class TokenStore(Protocol):
    """Where token records are kept. `replace` changes a record only while its state is "", and returns whether it did."""

    def put(self, record: TokenRecord) -> None:
        """Keep *record*."""
        ...

    def find(self, digest: str) -> TokenRecord | None:
        """Return the record with this digest."""
        ...

    def replace(self, digest: str, state: TokenState) -> bool:
        """Set the state of a record, unless it is set already."""
        ...


class MemoryTokenStore:
    """Token records in memory."""

    def __init__(self) -> None:
        self._records: dict[str, TokenRecord] = {}
        self._lock = threading.Lock()

    def put(self, record: TokenRecord) -> None:
        """Keep *record*."""
        self._records[record.digest] = record

    def find(self, digest: str) -> TokenRecord | None:
        """Return the record with this digest."""
        return self._records.get(digest)

    def replace(self, digest: str, state: TokenState) -> bool:
        """Set the state of a record, unless it is set already."""
        with self._lock:
            record = self._records.get(digest)
            if record is None or record.state:
                return False
            self._records[digest] = msgspec.structs.replace(record, state=state)
            return True


class RefusedTokenError(Exception):
    """A refresh token is refused; `code` is the service's code (docs/reference/protocols/codex-wham.md, 6.4)."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(code)


# The state of a refresh token -> the service's code (docs/reference/protocols/codex-wham.md, 6.4).
REFUSALS: dict[TokenState, str] = {
    "used": "refresh_token_reused",
    "expired": "refresh_token_expired",
    "invalidated": "refresh_token_invalidated",
}


class TokenBook:
    """Issue tokens, check them, rotate them."""

    def __init__(
        self,
        *,
        account: Account,
        time: Callable[[], float],
        store: TokenStore | None = None,
        lifetime: float = ACCESS_LIFETIME,
    ) -> None:
        self.account = account
        self.lifetime = lifetime
        self._time = time
        self._store = store or MemoryTokenStore()

    def issue(self, *, lifetime: float | None = None) -> TokenSet:
        """Make a new set of tokens; *lifetime* in seconds may be negative to make expired ones."""
        now = self._time()
        expires_at = now + (self.lifetime if lifetime is None else lifetime)
        claims = {"iat": int(now), "exp": int(expires_at)}
        tokens = TokenSet(
            access_token=make_jwt({**claims, "aud": ["https://api.openai.com/v1"], **_claims(self.account)}),
            refresh_token=f"rt_local_{secrets.token_urlsafe(32)}",
            id_token=make_jwt({**claims, "email": self.account.email, **_claims(self.account)}),
            expires_at=expires_at,
        )
        self._store.put(TokenRecord(digest=digest_of(tokens.access_token), kind="access", expires_at=expires_at))
        self._store.put(TokenRecord(digest=digest_of(tokens.refresh_token), kind="refresh", expires_at=float("inf")))
        return tokens

    def accepts(self, access_token: str) -> bool:
        """Whether this is an access token that was issued here, and is valid."""
        record = self._store.find(digest_of(access_token))
        return record is not None and record.kind == "access" and not record.state and record.expires_at > self._time()

    def rotate(self, refresh_token: str) -> TokenSet:
        """Use up a refresh token for a new set; raises `RefusedTokenError`."""
        digest = digest_of(refresh_token)
        record = self._store.find(digest)
        if record is None or record.kind != "refresh":
            raise RefusedTokenError(REFUSALS["invalidated"])
        if not self._store.replace(digest, "used"):
            now = self._store.find(digest) or record
            raise RefusedTokenError(REFUSALS.get(now.state, REFUSALS["used"]))
        return self.issue()

    def end(self, token: str, state: TokenState = "invalidated") -> None:
        """Set the state of a token that was issued here, so that it is refused."""
        self._store.replace(digest_of(token), state)


def digest_of(token: str) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def make_jwt(claims: dict[str, object]) -> str:
    """Return a token in JWT form; its signature is 256 random bits."""
    head = {"alg": "HS256", "typ": "JWT"}
    return ".".join(
        _base64(part) for part in (msgspec.json.encode(head), msgspec.json.encode(claims), secrets.token_bytes(32))
    )


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _claims(account: Account) -> dict[str, object]:
    return {
        "https://api.openai.com/auth": {
            "chatgpt_plan_type": account.plan,
            "chatgpt_user_id": account.user_id,
            "chatgpt_account_id": account.account_id,
            "chatgpt_account_is_fedramp": account.is_fedramp,
        }
    }
