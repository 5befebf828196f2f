"""What a view is given about one request: the site, the session, the parts of the URL, and the form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl

from .. import errors
from .._model.tasks import TaskRef

if TYPE_CHECKING:
    from .sessions import Session
    from .site import Site

# Fields of a query or a form: more are refused.
MAX_FIELDS = 200
FORM_TYPE = "application/x-www-form-urlencoded"


class Fields:
    """The fields of a query or a form, in their order; a name may be there several times."""

    def __init__(self, pairs: Sequence[tuple[str, str]] = ()) -> None:
        self.pairs = pairs

    @classmethod
    def parse(cls, data: bytes) -> Fields:
        """Read ``application/x-www-form-urlencoded``. Raises `ConfigurationError` for too many fields, or no UTF-8."""
        try:
            return cls(parse_qsl(data.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict"))
        except UnicodeDecodeError:
            raise errors.ConfigurationError("the request is not UTF-8 text", remedy="send it in UTF-8") from None
        except ValueError:
            raise errors.ConfigurationError(
                f"the request has more than {MAX_FIELDS} fields", remedy="send fewer"
            ) from None

    def get(self, name: str, default: str = "") -> str:
        """Return the first value of a field without white space round it, *default* where it is missing or empty."""
        return next((value.strip() for key, value in self.pairs if key == name and value.strip()), default)

    def text(self, name: str) -> str:
        """Return the first value of a text area: its line ends as LF (browsers send CR LF: HTML, 4.10.22.7)."""
        value = next((value for key, value in self.pairs if key == name), "")
        return value.replace("\r\n", "\n").replace("\r", "\n")

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value of a field that is not empty."""
        return tuple(value for key, value in self.pairs if key == name and value)

    def number(self, name: str) -> int | None:
        """Return a field as a number from 1, None where it is missing. Raises `ConfigurationError`."""
        text = self.get(name)
        if not text:
            return None
        if not (text.isascii() and text.isdecimal() and 0 < len(text) < 10 and int(text)):
            raise errors.ConfigurationError(f"{name} is a number from 1, not {text!r}", remedy=f"correct {name}")
        return int(text)

    def has(self, name: str) -> bool:
        """Whether a field is there and not empty: a box that is ticked."""
        return bool(self.get(name))


class PageRequest(NamedTuple):
    """One request. `parameters` are the variable parts of the path, decoded; `body` is that of a program's request."""

    site: Site
    session: Session | None
    path: str
    parameters: Mapping[str, str] = {}
    query: Fields = Fields()
    form: Fields = Fields()
    body: bytes = b""
    origin: str = ""

    @property
    def ref(self) -> TaskRef:
        """The task that the path names. Raises `ConfigurationError`."""
        return TaskRef.parse(self.parameters["ref"])

    @property
    def here(self) -> str:
        """The path with its query."""
        from urllib.parse import urlencode

        return f"{self.path}?{urlencode(self.query.pairs)}" if self.query.pairs else self.path
