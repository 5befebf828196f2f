"""Cursor's cloud agents."""

from __future__ import annotations

from tests.providers import service

from coatcheck.providers.cursor.endpoints import Service
from coatcheck.providers.cursor.provider import CursorProvider
from coatcheck.testing import CursorEmulator

SERVICES = {"cursor": service.Service(lambda url: CursorProvider(Service(url, url)), CursorEmulator)}
