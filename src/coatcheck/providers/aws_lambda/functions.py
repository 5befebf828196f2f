"""The base URL, the login and the names of functions (docs/reference/protocols/services.md, "3 AWS Lambda")."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

import msgspec

from ...provider import Login, ProviderSetting, TaskRef, base_url, errors
from .credentials import chain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...provider import Settings

DURABLE = "aws_lambda"
ASYNCHRONOUS = "aws_lambda_async"

REMEDY = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or log in with AWS's own tools: aws configure, aws sso login"

# The pattern of `FunctionName` in AWS's description of the service, in two parts: what is named, and which of it.
_FUNCTION = re.compile(
    r"(?P<name>(?:arn:aws[a-zA-Z-]*:lambda:)?(?:(?:eusc-)?[a-z]{2}(?:-gov|-iso[a-z]?)?-[a-z]+-\d:)?(?:\d{12}:)?(?:function:)?"
    r"[a-zA-Z0-9_.-]+)(?::(?P<qualifier>\$LATEST(?:\.PUBLISHED)?|[a-zA-Z0-9_-]+))?"
)
# What an ARN holds that a segment of a path, a ref and an unquoted word of a shell may all hold.
_PLAIN = ":~"


class Function(msgspec.Struct, frozen=True):
    """A function by name or ARN, with its version or alias."""

    name: str
    qualifier: str | None = None

    @classmethod
    def parse(cls, text: str) -> Function:
        """Return what *text* names. Raises `ConfigurationError` for what names no function."""
        match = _FUNCTION.fullmatch(text.strip())
        if match is None:
            raise errors.ConfigurationError(
                f"{text!r} is not the name of a Lambda function", remedy="give NAME, NAME:VERSION, NAME:ALIAS or an ARN"
            )
        return cls(match["name"], match["qualifier"])

    def __str__(self) -> str:
        return f"{self.name}:{self.qualifier}" if self.qualifier else self.name

    @property
    def segment(self) -> str:
        """Return the name as a segment of a path."""
        return quote(self.name, safe=_PLAIN)

    @property
    def version(self) -> str | None:
        """Return the version that is named, None for an alias."""
        is_version = self.qualifier is not None and (self.qualifier.isdecimal() or self.qualifier.startswith("$"))
        return self.qualifier if is_version else None

    @property
    def query(self) -> tuple[tuple[str, str], ...]:
        """Return the query that selects the version."""
        return (("Qualifier", self.qualifier),) if self.qualifier else ()


REGION = ProviderSetting("region", "where the functions are", None, ("AWS_REGION", "AWS_DEFAULT_REGION"))
BASE_URL = ProviderSetting("base_url", "another address of the service; unset: AWS's own in the region")
FUNCTION = ProviderSetting("function", "the function of tasks that name none, also with a version or alias: NAME:live")
QUEUE = ProviderSetting("queue", "the URL of the SQS queue that is the function's destination")


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One region with the settings of its user."""

    name: str
    region: str | None = None
    base_url: str | None = None
    function: str | None = None
    queue: str | None = None

    @classmethod
    def of(cls, settings: Settings, *, name: str) -> Service:
        """Return the service of *settings*. Raises `ConfigurationError` for addresses that are none."""
        base, queue = BASE_URL.read(settings), QUEUE.read(settings)
        return cls(
            name=name,
            region=REGION.read(settings),
            base_url=base_url(base, of=name) if base else None,
            function=FUNCTION.read(settings),
            queue=base_url(queue, of=f"{name}'s queue") if queue else None,
        )

    @property
    def origins(self) -> Mapping[str, str]:
        """Return the base URLs of Lambda and the queue. Raises `ConfigurationError` if no region is set."""
        lambda_at = self.base_url or f"https://lambda.{self.known_region}.{self._domain}"
        return {"api": lambda_at} | ({"sqs": _origin(self.queue)} if self.queue else {})

    @property
    def known_region(self) -> str:
        """Return the region. Raises `ConfigurationError` if none is set."""
        if not self.region:
            raise errors.ConfigurationError(
                "the AWS region is not known", remedy=f"set AWS_REGION, or the setting {self.name}.region"
            )
        return self.region

    @property
    def queue_region(self) -> str:
        """Return the region of the queue, which its address names: ``sqs.REGION.amazonaws.com``."""
        match = re.match(r"https?://sqs\.([a-z0-9-]+)\.amazonaws\.", self.queue or "")
        return match[1] if match else self.known_region

    @property
    def login(self) -> Login:
        """Return the login: AWS's own chain. Stored credentials are sent only to Amazon's hosts."""
        hosts = {f"{word}.{self.region}.{self._domain}" for word in ("lambda", "sqs")}
        hosts |= {urlsplit(_origin(self.queue)).netloc} if self.queue and _is_amazons(self.queue) else set()
        return Login(name=self.name, remedy=REMEDY, chain=chain, trusted_hosts=frozenset(hosts))

    @property
    def _domain(self) -> str:
        """Return Amazon's domain; the regions of China have their own."""
        return "amazonaws.com.cn" if (self.region or "").startswith("cn-") else "amazonaws.com"

    def chosen(self, named: str | None) -> Function:
        """Return the function that a task is sent to. Raises `ConfigurationError` if none is set."""
        if not (named or self.function):
            raise errors.ConfigurationError(
                "no Lambda function is named",
                remedy=f"give it as the environment, or set {self.name}.function",
            )
        return Function.parse(named or self.function or "")

    def ref(self, id: str) -> TaskRef:
        """Return the ref of *id*: a durable execution's ARN has slashes and a dollar sign, which a ref encodes."""
        return TaskRef(self.name, quote(id, safe=_PLAIN))


def segment_of(ref: TaskRef) -> str:
    """Return *ref* as one percent-encoded segment of a path."""
    return quote(unquote(ref.id), safe=_PLAIN)


def function_of(ref: TaskRef) -> Function | None:
    """Return the function whose durable execution *ref* is, None where its ARN has none.

    AWS's local runner makes ARNs of two random ids.

    See docs/reference/protocols/services.md, "3.2 Durable functions".
    """
    arn, separator, _ = unquote(ref.id).partition("/durable-execution/")
    return Function.parse(arn) if separator else None


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _is_amazons(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn"))
