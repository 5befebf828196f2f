"""Give a forge's token to git when it asks for the password (gitcredentials(7), GIT_ASKPASS).

Invariants:

- the token is in a pipe, which git and its children inherit: in no URL, argument, configuration, environment or file;
- the program that git asks answers for one host alone, so that a redirection or a rewritten address gets no token;
- no helper of the user gets the token to keep, and git inherits no variable that holds a token.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from .._patches.git import without_secrets
from .._values.value import Value

USER = "x-access-token"  # any name will do (docs.github.com, "Authenticating as a GitHub App installation")
# What git asks (credential_ask_one in git's credential.c); the descriptor's number is in the environment.
SCRIPT = """\
#!/bin/sh
if [ "$1" = "Password for '{origin}': " ]; then exec cat "/dev/fd/$COATCHECK_TOKEN_DESCRIPTOR"; fi
exit 1
"""


class GitAccess(Value, frozen=True, kw_only=True):
    """How git reaches a place: its URL, and what git inherits and is set to for it."""

    place: str
    environ: Mapping[str, str] | None = None
    environment: Mapping[str, str] = {}
    settings: Sequence[str] = ()
    descriptors: Sequence[int] = ()

    _hidden: ClassVar[frozenset[str]] = frozenset({"environ"})


@contextmanager
def access_with_token(place: str, token: Callable[[], str]) -> Iterator[GitAccess]:
    """Give access to the URL *place* with a token; for one git command."""
    parts = urlsplit(place)
    netloc = f"{USER}@{parts.netloc.rpartition('@')[2]}"
    reading, writing = os.pipe()
    try:
        with open(writing, "wb") as pipe:
            pipe.write(f"{token()}\n".encode())
        with tempfile.TemporaryDirectory(prefix="coatcheck-askpass-") as folder:
            script = Path(folder, "askpass")
            script.write_text(SCRIPT.format(origin=f"{parts.scheme}://{netloc}"))
            script.chmod(0o700)
            yield GitAccess(
                place=parts._replace(netloc=netloc).geturl(),
                environ=without_secrets(os.environ),
                environment={"GIT_ASKPASS": str(script), "COATCHECK_TOKEN_DESCRIPTOR": str(reading)},
                settings=("credential.helper=", "credential.useHttpPath=false"),
                descriptors=(reading,),
            )
    finally:
        os.close(reading)


@contextmanager
def access_of_user(place: str) -> Iterator[GitAccess]:
    """Give access to *place* with the user's own credentials."""
    yield GitAccess(place=place)
