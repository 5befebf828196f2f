"""Long texts of messages, kept once: a result and the event that reports its message share a blob.

Documents of messages name the blob in place of the text. Only messages of an outcome and of attempts' outcomes are named,
never what a service calls its own data, so that any name may occur there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

Document: TypeAlias = dict[str, Any]

# A blob takes about 150 bytes beside its content, so shorter texts are left in both documents.
LONGEST_INLINE = 500
TEXT, DIGEST = "text", "text_digest"


def messages_of_result(result: Document) -> Iterator[Document]:
    """Yield the documents of the messages in the document of a result."""
    for holder in (result, *result.get("attempts", ())):
        yield from (holder.get("outcome") or {}).get("messages", ())


def messages_of_event(event: Document) -> Iterator[Document]:
    """Yield the documents in the document of an event of a message whose text is the message's: its own, and the message."""
    yield event
    if isinstance(event.get("message"), dict):
        yield event["message"]


def replace_texts(documents: Iterable[Document], keep: Callable[[bytes], str]) -> None:
    """Replace each long text with what *keep* returns for it, the digest of its blob."""
    for document in documents:
        text = document.get(TEXT)
        if isinstance(text, str) and len(text) > LONGEST_INLINE:
            del document[TEXT]
            document[DIGEST] = keep(text.encode("utf-8", "surrogatepass"))


def restore_texts(documents: Iterable[Document], find: Callable[[str], bytes]) -> None:
    """Put the texts back that `replace_texts` has replaced; *find* returns the content for a digest."""
    for document in documents:
        if DIGEST in document:
            document[TEXT] = find(document.pop(DIGEST)).decode("utf-8", "surrogatepass")
