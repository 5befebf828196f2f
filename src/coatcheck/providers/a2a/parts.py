"""The contents of the parts of artifacts and messages. Pure: no I/O.

A2A has no standard for patches; docs/reference/providers/a2a.md, "Results", documents the convention.

Invariants:

- every part becomes a patch, a message, a file or a pull request, or a notice names it;
- of several artifacts with a diff the last one is the patch; the parts of one artifact are one diff;
- a text that came piece by piece is one text.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from ...provider import FileSnapshot, Message, Notice, Patch, PullRequest, fields, flag, text, whole
from . import wire

DIFF_TYPES = frozenset(
    {"text/x-diff", "text/x-patch", "text/diff", "text/patch", "application/x-patch", "application/x-diff"}
)
DIFF_ENDINGS = (".diff", ".patch")
# Every diff of git that changes something begins so; agents seldom name a type.
DIFF_BEGINNING = "diff --git "


class ArtifactContents(msgspec.Struct):
    """The contents of the parts that have been added."""

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

    def _add_text(self, content: str) -> None:
        if content.strip():
            self.texts.append(Message(text=content))

    def _add_data(self, data: object) -> None:
        """Add the pull request in *data*; any other data is a message in JSON."""
        described = fields(fields(data).get("pull_request"))
        if described:
            self.pull_request = _pull_request(described)
        else:
            self.texts.append(Message(text=msgspec.json.format(msgspec.json.encode(data)).decode()))

    def _note(self, sentence: str) -> None:
        self.notices.append(Notice(kind="agent", text=sentence))

    def patch(self) -> Patch | None:
        """Return the diff of the last artifact that has one, and note the others."""
        if not self.diffs:
            return None
        last = self.diffs[-1][0]
        if others := sorted({name for name, _ in self.diffs if name != last}):
            self._note(f"the patch is the diff of {last}; {', '.join(others)} had a diff as well")
        patch = _joined([content for name, content in self.diffs if name == last])
        return Patch(patch) if patch.strip() else None


def collect(artifacts: Iterable[wire.Artifact]) -> ArtifactContents:
    """Return what the parts of *artifacts* hold."""
    contents = ArtifactContents()
    for number, artifact in enumerate(artifacts, start=1):
        name = f"the artifact {artifact.name or artifact.artifact_id or number!r}"
        for part in _merged(artifact.parts or ()):
            contents.add(part, name)
    return contents


def _merged(parts: Iterable[wire.Part]) -> Iterator[wire.Part]:
    """Yield *parts* with the texts joined that continue one another: agents append a text piece by piece."""
    group: list[wire.Part] = []
    for part in parts:
        if group and not _continues(group[0], part):
            yield _merge(group)
            group = []
        group.append(part)
    if group:
        yield _merge(group)


def _merge(group: Sequence[wire.Part]) -> wire.Part:
    if len(group) == 1:
        return group[0]
    return msgspec.structs.replace(group[0], text="".join(part.text or "" for part in group))


def _continues(first: wire.Part, part: wire.Part) -> bool:
    """Whether *part* continues a text: it has the same name and type, and begins no diff; no untyped diff continues."""
    if first.text is None or part.text is None or (first.filename or "") != (part.filename or ""):
        return False
    if (first.media_type or "") != (part.media_type or "") or part.text.startswith(DIFF_BEGINNING):
        return False
    return is_diff(first) == is_diff(part)


def _joined(diffs: Sequence[bytes]) -> bytes:
    """Return *diffs* as one: each begins on a line of its own."""
    joined = b""
    for diff in diffs:
        begins_line = diff.startswith((DIFF_BEGINNING.encode(), b"--- "))
        joined += (b"\n" if joined and begins_line and not joined.endswith(b"\n") else b"") + diff
    return joined if joined.endswith(b"\n") or not joined else joined + b"\n"


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
    return "\n\n".join(part.text or "" for part in parts if _is_message(part))


def attachments(message: wire.Message) -> wire.Artifact:
    """Return the parts of a message that are not its text, as an artifact."""
    parts = [part for part in message.parts or () if not _is_message(part)]
    return wire.Artifact(name="message", parts=parts)


def _is_message(part: wire.Part) -> bool:
    return bool(part.text) and not part.filename and not is_diff(part)


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
