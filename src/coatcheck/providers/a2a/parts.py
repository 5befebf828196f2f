"""What an agent made, from the parts of its artifacts and messages. Pure: no I/O.

A2A has no standard for patches; docs/reference/providers/a2a.md, "What it makes", documents the convention.

Invariants:

- every part becomes a patch, a message, a file or a pull request, or a notice says what it was and where it is;
- of several artifacts with a diff the last one is the patch; the parts of one artifact are one diff.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable

import msgspec

from ...provider import FileSnapshot, Message, Notice, Patch, PullRequest, fields, flag, text, whole
from . import wire

DIFF_TYPES = frozenset(
    {"text/x-diff", "text/x-patch", "text/diff", "text/patch", "application/x-patch", "application/x-diff"}
)
DIFF_ENDINGS = (".diff", ".patch")
# Every diff of git that changes something begins so; agents seldom name a type.
DIFF_BEGINNING = "diff --git "


class Made(msgspec.Struct):
    """What has been found in the parts so far."""

    texts: list[Message] = []
    diffs: list[tuple[str, bytes]] = []  # the artifact of each part of a diff
    files: list[FileSnapshot] = []
    notices: list[Notice] = []
    pull_request: PullRequest | None = None
    base_commit: str | None = None
    diff_url: str | None = None

    def add(self, part: wire.Part, artifact: str) -> None:
        """Add one part of the artifact that is called *artifact*."""
        content = _bytes_of(part)
        if is_diff(part):
            self._add_diff(part, artifact, content)
        elif content is not None and part.filename:
            self._add_file(part.filename, content)
        elif part.text is not None:
            self._add_text(part.text)
        elif part.data is not None:
            self._add_data(part.data)
        else:
            self._note(f"{_described(part)} of {artifact} is not kept here; it is in the agent's response")

    def _add_diff(self, part: wire.Part, artifact: str, content: bytes | None) -> None:
        if content is None and part.url:
            self.diff_url = part.url
        elif content is None:
            self._note(f"the diff of {artifact} cannot be read: it is not valid base64")
        else:
            self.diffs.append((artifact, content))
            self.base_commit = text(fields(part.metadata).get("base_commit")) or self.base_commit

    def _add_file(self, path: str, content: bytes) -> None:
        try:
            self.files.append(_file(path, content.decode()))
        except UnicodeDecodeError:
            self.files.append(FileSnapshot(path=path, missing_reason=f"a binary file of {len(content)} bytes"))

    def _add_text(self, words: str) -> None:
        if words.strip():
            self.texts.append(Message(text=words))

    def _add_data(self, data: object) -> None:
        """Add the pull request in *data*; any other data is a message in JSON."""
        described = fields(fields(data).get("pull_request"))
        if described:
            self.pull_request = _pull_request(described)
        else:
            self.texts.append(Message(text=msgspec.json.format(msgspec.json.encode(data)).decode()))

    def _note(self, words: str) -> None:
        self.notices.append(Notice(kind="agent", text=words))

    def patch(self) -> Patch | None:
        """Return the diff of the last artifact that has one, and note the others."""
        if not self.diffs:
            return None
        last = self.diffs[-1][0]
        if others := sorted({name for name, _ in self.diffs if name != last}):
            self._note(f"the patch is the diff of {last}; {', '.join(others)} had a diff as well")
        parts = [
            content if content.endswith(b"\n") else content + b"\n" for name, content in self.diffs if name == last
        ]
        joined = b"".join(parts)
        return Patch(joined) if joined.strip() else None


def collect(artifacts: Iterable[wire.Artifact]) -> Made:
    """Return what the parts of *artifacts* hold."""
    made = Made()
    for number, artifact in enumerate(artifacts, start=1):
        name = f"the artifact {artifact.name or artifact.artifact_id or number!r}"
        for part in artifact.parts or ():
            made.add(part, name)
    return made


def is_diff(part: wire.Part) -> bool:
    """Whether *part* is a diff: by its media type, its file name or its beginning."""
    media_type = (part.media_type or "").partition(";")[0].strip().lower()
    if media_type in DIFF_TYPES:
        return True
    if part.filename:
        return part.filename.endswith(DIFF_ENDINGS)
    return media_type in ("", "text/plain") and (part.text or "").startswith(DIFF_BEGINNING)


def text_of(message: wire.Message | None) -> str:
    """Return the text of a message, the parts separated by empty lines."""
    parts = (message.parts if message else None) or ()
    return "\n\n".join(part.text for part in parts if part.text and not is_diff(part))


def _bytes_of(part: wire.Part) -> bytes | None:
    if part.raw is None:
        return None if part.text is None else part.text.encode("utf-8", "replace")
    try:  # ProtoJSON takes both alphabets, with and without padding
        raw = part.raw.translate({ord("-"): "+", ord("_"): "/"}).rstrip("=")
        return base64.b64decode(raw + "=" * (-len(raw) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _described(part: wire.Part) -> str:
    kind = f" ({part.media_type})" if part.media_type else ""
    if part.url:
        return f"the file at {part.url}{kind}"
    return f"a part{kind}" if part.filename is None else f"the file {part.filename}{kind}"


def _file(path: str, content: str) -> FileSnapshot:
    from ...provider import language_of  # a table of 700 languages, for answers with files only

    language = language_of(path, content)
    return FileSnapshot(path=path, content=content, is_whole=True, language=language.name if language else None)


def _pull_request(described: object) -> PullRequest:
    values = fields(described)
    return PullRequest(
        title=text(values.get("title")),
        body=text(values.get("body")),
        branch=text(values.get("branch")),
        base=text(values.get("base")),
        url=text(values.get("url")),
        number=whole(values.get("number")),
        draft=flag(values.get("draft")),
        commit_message=text(values.get("commit_message")),
    )
