"""Loopback hosts, which may be used without encryption, and hosts that a stored secret may be sent to."""

from __future__ import annotations


def is_loopback(host: str) -> bool:
    """Whether *host* can only be this machine."""
    if host in ("localhost", "127.0.0.1"):
        return True
    if ":" not in host and not host[-1:].isdigit():  # a name
        return False
    import ipaddress  # 3 ms, and most hosts are names

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def may_go_to(url: str, trusted: frozenset[str]) -> bool:
    """Whether a stored secret may be sent to *url*: a trusted host over https on the default port, or loopback."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return False
    if is_loopback(host):
        return parts.scheme in ("http", "https")
    return parts.scheme == "https" and host in trusted and port in (None, 443) and "@" not in parts.netloc
