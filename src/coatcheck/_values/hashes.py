"""Hash functions for short texts, without OpenSSL.

`hashlib` loads OpenSSL's library, which takes 4 ms, as long as a command takes to print its result. The interpreter's own
modules, from which `hashlib` takes BLAKE2 and what OpenSSL lacks, take none. They are slower for megabytes, and are named
otherwise in each version of Python; one that was built without them has `hashlib` alone
(https://docs.python.org/3/using/configure.html#cmdoption-with-builtin-hashlib-hashes).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import Any

_MODULES = {"sha256": ("_sha2", "_sha256"), "blake2b": ("_blake2",)}


@cache
def hash_function(name: str) -> Callable[..., Any]:
    """Return what `hashlib` has as *name*."""
    for module in (*_MODULES[name], "hashlib"):
        with suppress(ImportError):
            function: Callable[..., Any] = getattr(import_module(module), name)
            return function
    raise ImportError(f"this Python has no {name}")
