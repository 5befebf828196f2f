"""What the two providers of AWS Lambda share: name, base URLs, login, and signed requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from .credentials import signed
from .functions import Service

if TYPE_CHECKING:
    from ...provider import Login, Request, Secret


class LambdaProvider(msgspec.Struct, frozen=True):
    """The functions of one region."""

    service: Service

    @property
    def name(self) -> str:
        """The part of every ref before the colon."""
        return self.service.name

    @property
    def origins(self) -> Mapping[str, str]:
        """The base URLs of Lambda and, where there is one, of the queue. Raises `ConfigurationError` without a region."""
        return self.service.origins

    @property
    def login(self) -> Login:
        """The source of AWS's keys."""
        return self.service.login

    def authorize(self, request: Request, secret: Secret, now: float) -> Request:
        """Return *request*, signed for Lambda."""
        return signed(request, secret, service="lambda", region=self.service.known_region, now=now)
