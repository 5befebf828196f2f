"""What the author of a provider needs, and nothing else: the contract, the effects, and how answers are read.

A provider is found by its entry point in the group ``coatcheck.providers``: a function from `Settings` to `Provider`.
Each verb of it is an `Exchange`: a generator that yields requests, is sent responses, and returns a value. It performs
no I/O, so it serves both clients and is tested without a network.
"""

from __future__ import annotations

from ._protocol.decode import check, decode, error_for, read_json
from ._protocol.effects import Clock, Emit, Exchange, Pairs, Read, Request, Response
from ._protocol.login_contract import (
    Credentials,
    DeviceRoutes,
    Keyring,
    Login,
    LoginFile,
    LoginFormat,
    OAuth,
    Secret,
    Tokens,
    Whoami,
)
from ._protocol.provider import Capabilities, Provider, StatusPage, Support, TaskFilter, TaskSnapshot
from ._protocol.registry import Factory, Settings
from ._protocol.urls import base_url, encoded

# Structs keep the modules they were made in: msgspec looks up the names in their annotations there.
__all__ = [
    "Capabilities",
    "Clock",
    "Credentials",
    "DeviceRoutes",
    "Emit",
    "Exchange",
    "Factory",
    "Keyring",
    "Login",
    "LoginFile",
    "LoginFormat",
    "OAuth",
    "Pairs",
    "Provider",
    "Read",
    "Request",
    "Response",
    "Secret",
    "Settings",
    "StatusPage",
    "Support",
    "TaskFilter",
    "TaskSnapshot",
    "Tokens",
    "Whoami",
    "base_url",
    "check",
    "decode",
    "encoded",
    "error_for",
    "read_json",
]
