"""Hash functions without OpenSSL."""

from __future__ import annotations

import hashlib
import sys

import pytest

from coatcheck._values import hashes

MODULES = [module for modules in hashes._MODULES.values() for module in modules]


@pytest.mark.parametrize("is_built_in", [True, False])
@pytest.mark.parametrize("name", ["sha256", "blake2b"])
def test_digests_are_those_of_hashlib(name: str, is_built_in: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in a Python without hash modules of its own, where `hashlib` computes them."""
    for module in [] if is_built_in else MODULES:
        monkeypatch.setitem(sys.modules, module, None)
    digest = hashes.hash_function.__wrapped__(name)(b"text").hexdigest()

    assert getattr(hashlib, name)(b"text").hexdigest() == digest
