"""JSON text as services and programs really write it, made readable for a strict decoder.

A byte-order mark is ignored (RFC 8259 section 8.1), and half of a surrogate pair becomes U+FFFD (section 8.2).
"""

from __future__ import annotations

import codecs
import re
from functools import cache


@cache
def _escape() -> re.Pattern[bytes]:
    """Match a backslash with what it escapes: a surrogate pair, half of one, or anything else."""
    return re.compile(
        rb"\\(?:(u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
        re.DOTALL,
    )


def clean_json(data: bytes) -> bytes:
    """Return *data* without a byte-order mark and without halves of surrogate pairs."""
    data = data.removeprefix(codecs.BOM_UTF8)
    if b"\\ud" not in data and b"\\uD" not in data:
        return data
    return _escape().sub(lambda match: rb"\ufffd" if match[2] else match[0], data)
