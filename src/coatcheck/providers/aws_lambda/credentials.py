"""Find AWS keys where AWS's own tools find them, and sign requests.

Invariants:

- keys in the environment are used as they are; files, single sign-on, roles, containers and machines are read by
  botocore, which also renews what it found;
- each attempt is signed anew: the bytes and the address that are sent, at the time that is given;
- a secret access key is never sent; a session token is, and only in its header.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping

import msgspec

from ...provider import Request, Secret, errors, install_command, scrub


class Keys(msgspec.Struct, frozen=True):
    """An access key, with the session that it belongs to. Its ``repr`` shows nothing."""

    access: str
    secret: str
    session: str | None = None

    def __repr__(self) -> str:
        return "Keys()"

    @classmethod
    def of(cls, secret: Secret) -> Keys:
        """Return the keys that a token is: ``ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN]``."""
        access, _, rest = secret.token.partition(":")
        private, _, session = rest.partition(":")
        if not (access and private):
            raise errors.ConfigurationError(
                "an AWS token is made of keys", remedy="write ACCESS_KEY_ID:SECRET_ACCESS_KEY[:SESSION_TOKEN]"
            )
        return cls(access, private, session or None)

    def to_secret(self, source: str, *, is_stored: bool) -> Secret:
        """Return the keys as one secret."""
        parts = (self.access, self.secret, *((self.session,) if self.session else ()))
        return Secret(token=":".join(parts), source=source, is_stored=is_stored)


# -- finding -----------------------------------------------------------------------------------------------------------


def chain(environ: Mapping[str, str]) -> Callable[[], Secret | None]:
    """Return a function that finds keys. It blocks: it may read files, start programs and query metadata services.

    Raises `NotLoggedInError` for keys that are not whole, `ConfigurationError` where botocore is missing.
    """
    access, secret = environ.get("AWS_ACCESS_KEY_ID"), environ.get("AWS_SECRET_ACCESS_KEY")
    if access and secret:
        credentials = Keys(access, secret, environ.get("AWS_SESSION_TOKEN")).to_secret(
            "AWS_ACCESS_KEY_ID", is_stored=False
        )
        return lambda: credentials
    if access or secret:
        present, missing = ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY") if access else ("SECRET_ACCESS_KEY", "ACCESS_KEY_ID")
        raise errors.NotLoggedInError(f"AWS_{present} is set and AWS_{missing} is not", remedy=f"set AWS_{missing}")
    return _botocores(environ)


def _botocores(environ: Mapping[str, str]) -> Callable[[], Secret | None]:
    """Return a function that queries botocore's chain without the environment, which has been read."""
    try:
        from botocore.exceptions import BotoCoreError  # 100 ms with the session, and only AWS needs it
        from botocore.session import Session
    except ImportError as error:
        raise _missing() from error

    def find_credentials() -> Secret | None:
        try:
            frozen = credentials.get_frozen_credentials() if credentials else None
        except BotoCoreError as error:
            raise _not_logged_in(error) from None
        if credentials is None or frozen is None:
            return None
        return Keys(frozen.access_key, frozen.secret_key, frozen.token).to_secret(
            f"AWS ({credentials.method})", is_stored=True
        )

    try:
        session = Session(profile=environ.get("AWS_PROFILE") or None)
        for name, value in _files(environ).items():
            session.set_config_variable(name, value)
        resolver = session.get_component("credential_provider")
        resolver.remove("env")
        credentials = resolver.load_credentials()
    except BotoCoreError as error:
        raise _not_logged_in(error) from None
    return find_credentials


def _files(environ: Mapping[str, str]) -> dict[str, str]:
    folder = os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".aws")
    return {
        "config_file": environ.get("AWS_CONFIG_FILE") or os.path.join(folder, "config"),
        "credentials_file": environ.get("AWS_SHARED_CREDENTIALS_FILE") or os.path.join(folder, "credentials"),
    }


def _not_logged_in(error: Exception) -> errors.NotLoggedInError:
    return errors.NotLoggedInError(
        f"AWS's credentials cannot be had: {scrub(str(error))}", remedy="see: aws sts get-caller-identity"
    )


# -- signing -----------------------------------------------------------------------------------------------------------


def _missing() -> errors.ConfigurationError:
    return errors.ConfigurationError(
        "AWS requests are signed by botocore, which is not installed",
        remedy=f"install it with: {install_command('aws')}",
    )


def signed(request: Request, secret: Secret, *, service: str, region: str, now: float) -> Request:
    """Return *request* with its Signature Version 4. Raises `ConfigurationError` where botocore is missing."""
    try:
        from botocore.auth import SigV4Auth  # as above
        from botocore.awsrequest import AWSRequest
    except ImportError as error:
        raise _missing() from error
    keys = Keys.of(secret)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    token = (("x-amz-security-token", keys.session),) if keys.session else ()
    dated = request.with_headers(("x-amz-date", stamp), *token)
    aws_request = AWSRequest(
        method=request.method,
        url=request.url,
        params=request.query,
        data=request.body,
        headers={name: value for name, value in dated.headers if name != "authorization"},
    )
    aws_request.context["timestamp"] = stamp
    # `add_auth` would do all of it, but read the system clock.
    signer = SigV4Auth(_Credentials(keys.access, keys.secret), service, region)
    names = signer.signed_headers(signer.headers_to_sign(aws_request))
    signature = signer.signature(signer.string_to_sign(aws_request, signer.canonical_request(aws_request)), aws_request)
    proof = f"AWS4-HMAC-SHA256 Credential={signer.scope(aws_request)}, SignedHeaders={names}, Signature={signature}"
    return dated.with_headers(("authorization", proof))


class _Credentials(msgspec.Struct, frozen=True):
    """What botocore's signer reads of its own credentials."""

    access_key: str
    secret_key: str

    def __repr__(self) -> str:
        return "_Credentials()"
