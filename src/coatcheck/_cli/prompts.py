"""Read a prompt: from arguments, a file, standard input or an editor.

Invariants:

- words that were not quoted are an error that shows how to quote them: a shell may have changed them;
- a prompt that was written in the editor is kept in a file until the next one, so that a failed submission loses nothing.
"""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from .. import errors
from .editor import configured_editor, edit_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .context import CommandContext

# Everything from this line on is left out, as in `git commit --cleanup=scissors`.
CUT = "------------------------ >8 ------------------------"

TEMPLATE = """\


{cut}
Write the task above this line, then save the file and end the editor.
An empty text submits nothing. Text is sent as it is; Markdown is fine.

A good task names
  - what should change, and in which files or which part of the program
  - how to check it: the command that runs the tests
  - what must stay as it is

{facts}
"""


def read_prompt(
    run: CommandContext,
    words: Sequence[str],
    file: str | None,
    *,
    what: str = "the prompt",
    facts: Callable[[], Sequence[str]] = tuple,
    before: Sequence[str] = (),
) -> str:
    """Return the prompt: one argument, ``-`` or a file; without either the editor of a terminal, else standard input.

    *facts* returns lines about the submission that the editor shows, *before* the arguments before it. Raises `ConfigurationError`.
    """
    if file is not None:
        if words:
            raise errors.ConfigurationError(f"{what} is given twice", remedy="pass it as an argument or as a file")
        return _read_file(run, file, what)
    if len(words) > 1:
        raise errors.ConfigurationError(
            f"{what} is {len(words)} words that are not quoted", remedy=f"quote it: {_quoted(run, words, before)}"
        )
    if not words and run.process_env.is_asking and configured_editor(run.process_env.environ):
        return _edited(run, what, facts())
    return run.text(words[0] if words else None, what)


def _quoted(run: CommandContext, words: Sequence[str], before: Sequence[str]) -> str:
    text = " ".join(words)
    quoted = f'"{text}"' if not set('"\\$`!') & set(text) else shlex.quote(text)
    return " ".join(("coatcheck", run.command_name, *before, quoted))


def _read_file(run: CommandContext, file: str, what: str) -> str:
    from .._files.reading import read_named_file
    from .text_input import utf8

    if file == "-":
        return run.text("-", what)
    try:
        data = read_named_file(os.path.join(run.process_env.folder, file))
        return _before_cut(utf8(data, f"{what} in {file}"))
    except OSError as error:
        raise errors.ConfigurationError(f"{what} cannot be read from {file}: {error.strerror}") from None


def _before_cut(text: str) -> str:
    """Return a prompt without the lines of the template."""
    prompt, cut, _ = text.partition(f"\n{CUT}")
    if text.startswith(CUT):
        return ""
    return f"{prompt.strip()}\n" if cut else text


def prompt_path(run: CommandContext) -> str:
    """Return the path of the file that holds the prompt that was edited last."""
    from .._runtime.config import state_dir

    return os.path.join(state_dir(run.process_env.environ), "prompt.md")


def _edited(run: CommandContext, what: str, facts: Sequence[str]) -> str:
    """Return what the user writes in the editor. Raises `ConfigurationError` for an empty text."""
    from .._files.private import make_private_folder, replace_file
    from .text_input import utf8

    path = prompt_path(run)
    try:
        make_private_folder(os.path.dirname(path))
        replace_file(path, TEMPLATE.format(cut=CUT, facts="\n".join(facts)).encode("utf-8", "surrogateescape"))
        edit_file(path, run.process_env.environ)
        with open(path, "rb") as file:
            text = _before_cut(utf8(file.read(), f"{what} in {path}")).strip()
    except OSError as error:
        raise errors.ConfigurationError(f"{path} cannot be written: {error.strerror}") from None
    if not text:
        raise errors.ConfigurationError(
            f"{what} is empty, and nothing was submitted", remedy=f"write it above the line {CUT[:5]}…"
        )
    run.kept_prompt = path
    return f"{text}\n"
