"""Text that a person gives: bytes of standard input and of files."""

from __future__ import annotations

from .. import errors


def utf8(data: bytes, what: str) -> str:
    """Return bytes as text, without a byte-order mark; raises `ConfigurationError` for what is not UTF-8."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise errors.ConfigurationError(f"{what} is not UTF-8 text") from None
