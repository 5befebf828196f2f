"""Characters that are not shown, control a terminal, or change the order in which text is shown.

The rules of patches find them in what a patch adds, and the command line escapes them before they reach a terminal.

* Control characters: C0 and C1 (ECMA-48) and DEL.
* Bidirectional controls: Unicode's property Bidi_Control (UAX #9; CVE-2021-42574, https://trojansource.codes).
* Invisible characters: Unicode's property Default_Ignorable_Code_Point (DerivedCoreProperties.txt), the interlinear
  annotations U+FFF9 to U+FFFB, and the line and paragraph separators.

Joiners and variation selectors are allowed where ordinary text needs them: in emoji sequences (UTS #51), and between
letters of the scripts that write with joiners (UAX #31, section 2.3).
"""

from __future__ import annotations

import re
from functools import cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

BIDIRECTIONAL = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"

# The bodies of character classes.
_EMOJI = "\xa9\xae\u203c-\u3299\U0001f000-\U0001faff"
_JOINING = "\u0600-\u08ff\u0900-\u0dff\u0f00-\u109f\u1780-\u18af\ufb50-\ufdff\ufe70-\ufefc"
_INVISIBLE = (
    "\xad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2028\u2029\u2060-\u2065\u206a-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0"
    "\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# A zero-width joiner or non-joiner that is not between letters that join, nor (the joiner) between two emoji.
_JOINERS = rf"[\u200c\u200d](?!(?<=[{_JOINING}][\u200c\u200d])[{_JOINING}])(?!(?<=[{_EMOJI}\ufe0f]\u200d)[{_EMOJI}])"
# A variation selector that follows nothing it can vary: an emoji, a keycap's base, a Mongolian letter.
_SELECTORS = (
    rf"[\ufe0e\ufe0f](?<![{_EMOJI}#*0-9][\ufe0e\ufe0f])"
    r"|[\u180b-\u180d\u180f](?<![\u1820-\u18aa][\u180b-\u180d\u180f])"
)
_UNSEEN = rf"[{_INVISIBLE}]|{_JOINERS}|{_SELECTORS}"

# Compiled when first needed (`_compiled`): together they take 9 ms, and most text is plain ASCII.
_HARMFUL = rf"[\x00-\x08\x0a-\x1f\x7f-\x9f{BIDIRECTIONAL}]|{_UNSEEN}"
_HARMFUL_BUT_LINE_FEEDS = rf"[\x00-\x08\x0b-\x1f\x7f-\x9f{BIDIRECTIONAL}]|{_UNSEEN}"
# What a file may hold: a tab, a form feed (GNU and Python sources), a carriage return only at the end of a line.
_HIDDEN = (
    rf"(?P<control>[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]|\r(?!\r*(?:\n|\Z)))|(?P<bidirectional>[{BIDIRECTIONAL}])"
    rf"|(?P<invisible>{_UNSEEN})"
)
_NOT_ASCII = "[^\x00-\x7e]"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def escape(text: str) -> str:
    r"""Return *text* as one line without harmful characters: they are written as ``\x1b`` or ``\u202e``."""
    return text if _is_plain(text) else _compiled(_HARMFUL).sub(_python_escape, text)


def split_harmful(text: str) -> list[str]:
    r"""Return *text* in parts: the parts at odd positions are harmful characters, one each, the others have none.

    A byte that is not UTF-8 (a surrogate of ``surrogateescape``) is harmful as well.
    """
    return [text] if _is_plain(text) else _compiled(f"({_HARMFUL}|[\ud800-\udfff])").split(text)


def visible_form(character: str) -> str:
    r"""Return how a harmful character is written: ``\x1b`` or ``\u202e``; a byte that is not UTF-8 as ``\xff``."""
    code = ord(character)
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else _escape_of(code)


def escape_lines(text: str) -> str:
    """Return the same with line feeds unchanged."""
    return text if _is_plain(text.replace("\n", "")) else _compiled(_HARMFUL_BUT_LINE_FEEDS).sub(_python_escape, text)


def escape_json(text: str, *, is_ascii: bool = False) -> str:
    r"""Return a JSON document without harmful characters: they are written as ``\u`` escapes, which mean the same.

    With *is_ascii* all characters but ASCII's are. In JSON text such a character is only inside a string
    (RFC 8259, section 7).
    """
    if _is_plain(text.replace("\n", "")):
        return text
    text = _compiled(_HARMFUL_BUT_LINE_FEEDS).sub(_json_escape, text)
    return _compiled(_NOT_ASCII).sub(_json_escape, text) if is_ascii else text


def hidden(text: str) -> Iterator[tuple[str, str]]:
    """Yield kind ("control", "bidirectional" or "invisible") and character of all that *text* hides from a reader."""
    if not _is_plain(text):
        for match in _compiled(_HIDDEN).finditer(text):
            yield match.lastgroup or "", match[0]


def name_of(character: str) -> str:
    """Return a character's code point and name: ``U+202E RIGHT-TO-LEFT OVERRIDE``."""
    import unicodedata  # only findings need it

    return f"U+{ord(character):04X} {unicodedata.name(character, '')}".rstrip()


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _python_escape(match: re.Match[str]) -> str:
    return _escape_of(ord(match[0]))


def _escape_of(code: int) -> str:
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
