"""The repositories of the emulated GitHub over git's smart HTTP protocol, served by `git http-backend`.

Invariants:

- a push needs the token as the password (docs.github.com, "About remote repositories"); reading needs none;
- refusals have GitHub's status: 401 without a valid token, 403 without the permission to push, 404 for a repository that
  does not exist.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Collection
from pathlib import Path

from ..._patches.git import GitError, git
from ..._protocol.effects import Request, Response

_PATH = re.compile(r"/([\w.-]+/[\w.-]+?)(?:\.git)?(/info/refs|/git-upload-pack|/git-receive-pack)")


class GitServer:
    """Bare repositories in *root*/OWNER/NAME.git. *accepts* says whether a token is valid; `private` are read with one."""

    def __init__(self, root: Path, *, accepts: Callable[[str], bool], read_only: Collection[str]) -> None:
        self.root, self._accepts, self._read_only = root, accepts, read_only
        self.private = set[str]()
        self.pushes = 0

    def folder(self, repository: str) -> Path:
        """Return where a repository is."""
        return self.root / f"{repository}.git"

    def has_branch(self, repository: str, branch: str) -> bool:
        """Whether a repository has a branch."""
        try:
            git("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}", folder=self.folder(repository))
        except GitError:
            return False
        return True

    def fork(self, repository: str, name: str) -> None:
        """Copy a repository, unless the copy exists."""
        if not self.folder(name).is_dir():
            self.folder(name).parent.mkdir(parents=True, exist_ok=True)
            reaching = {"GIT_ALLOW_PROTOCOL": "file"}
            arguments = ("clone", "--quiet", "--bare", "--", str(self.folder(repository)), str(self.folder(name)))
            git(*arguments, folder=self.root, environment=reaching)

    def answer(self, request: Request) -> Response | None:
        """Return the response to a request of git, None for any other request."""
        match = _PATH.fullmatch(request.path)
        if match is None:
            return None
        repository, service = match[1], dict(request.query).get("service", match[2].removeprefix("/"))
        is_push = service == "git-receive-pack"
        if (is_push or repository in self.private) and (refusal := self._refusal(request, repository, is_push=is_push)):
            return refusal
        if not self.folder(repository).is_dir():
            return _text(404, "Repository not found.")
        if match[2] == "/git-receive-pack":
            self.pushes += 1
        return self._run(request, repository, match[2])

    def _refusal(self, request: Request, repository: str, *, is_push: bool) -> Response | None:
        if not self._accepts(_password(dict(request.headers).get("authorization", ""))):
            challenge = {"www-authenticate": 'Basic realm="GitHub"'}
            return Response(401, headers=challenge, body=b"Invalid username or token.")
        if is_push and repository in self._read_only:
            return _text(403, f"Permission to {repository}.git denied to octocat.")
        return None

    def _run(self, request: Request, repository: str, rest: str) -> Response:
        headers = dict(request.headers)
        variables = {
            "GIT_PROJECT_ROOT": str(self.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": f"/{repository}.git{rest}",
            "QUERY_STRING": "&".join(f"{name}={value}" for name, value in request.query),
            "REQUEST_METHOD": request.method,
            "REMOTE_USER": "octocat",
            "CONTENT_TYPE": headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(request.body)),
            "HTTP_CONTENT_ENCODING": headers.get("content-encoding", ""),
            "GIT_PROTOCOL": headers.get("git-protocol", ""),
        }
        output = git("http-backend", folder=self.root, stdin=request.body, environment=variables)
        head, _, body = output.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n"))
        status = int(fields.pop("Status", "200").split()[0])
        return Response(status, headers={name.lower(): value for name, value in fields.items()}, body=body)


def _password(header: str) -> str:
    """Return the password of a Basic authorization (RFC 7617), empty where there is none."""
    try:
        return base64.b64decode(header.removeprefix("Basic "), validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _text(status: int, text: str) -> Response:
    return Response(status, headers={"content-type": "text/plain"}, body=text.encode())
