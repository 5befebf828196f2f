"""Check a Signature Version 4, written after AWS's description and without its code. Pure.

Invariant: the signature is checked over the received raw path, decoded query, named headers and body.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from ..._protocol.effects import Request

# AWS refuses signatures that are older or newer; five minutes is a common figure, which was not verified.
TOLERANCE = 300.0

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<access>[^/]+)/(?P<day>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request, ?"
    r"SignedHeaders=(?P<names>[a-z0-9;-]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)


def refusal(request: Request, *, access: str, secret: str, now: float) -> str | None:
    """Return AWS's error code for the signature of *request*, None where it is valid."""
    headers = dict(request.headers)
    match = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if match is None:
        return "MissingAuthenticationTokenException"
    if match["access"] != access:
        return "UnrecognizedClientException"
    stamp = headers.get("x-amz-date", "")
    if not stamp.startswith(match["day"]) or abs(_seconds(stamp) - now) > TOLERANCE:
        return "InvalidSignatureException"
    scope = f"{match['day']}/{match['region']}/{match['service']}/aws4_request"
    canonical = _canonical(request, headers, match["names"])
    signed = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    is_right = hmac.compare_digest(hmac.new(key, signed.encode(), "sha256").hexdigest(), match["signature"])
    return None if is_right else "InvalidSignatureException"


def _canonical(request: Request, headers: dict[str, str], names: str) -> str:
    headers = {"host": urlsplit(request.url).netloc, **headers}
    shown = "".join(f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in names.split(";"))
    query = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in request.query)
    return "\n".join(
        (
            request.method,
            quote(request.path, safe="/~"),
            "&".join(f"{name}={value}" for name, value in query),
            shown,
            names,
            hashlib.sha256(request.body).hexdigest(),
        )
    )


def _seconds(stamp: str) -> float:
    try:
        return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return 0.0
