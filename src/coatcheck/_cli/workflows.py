"""Write a workflow that runs an agent for coatcheck, from the template beside this file.

Law 1. Only what the user says himself is written into it: a command, names of secrets; each is checked and indented.
Law 2. A file that is there is not written over unless that is asked for.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from .. import errors

TEMPLATE = os.path.join(os.path.dirname(__file__), "workflow.yml")
FOLDER = os.path.join(".github", "workflows")
# What the name of a secret is (docs.github.com, "Naming your secrets").
_SECRET = re.compile(r"(?!GITHUB_)[A-Za-z_][A-Za-z0-9_]*", re.IGNORECASE)
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\.ya?ml")
# Names that the template gives to its own.
RESERVED = frozenset({"PROMPT", "MODEL", "INSTRUCTIONS"})

AGENT = """\
echo "Say what runs your agent: coatcheck workflow init --agent 'COMMAND' --force"
exit 1"""


def rendered(*, agent: str | None, setup: str | None = None, secrets: Sequence[str] = ()) -> str:
    """Return the workflow that runs *agent* after *setup*, each a shell's command, with *secrets* in its environment.

    Raises `ConfigurationError` for a secret that is none and for a command that nothing runs.
    """
    with open(TEMPLATE, encoding="utf-8") as file:
        template = file.read()
    parts = {
        "            {agent}\n": _indented(_command(agent, "agent") if agent is not None else AGENT, 12),
        "{setup}": _setup(setup),
        "{secrets}": "".join(f"          {name}: ${{{{ secrets.{name} }}}}\n" for name in map(_secret, secrets)),
    }
    for mark, text in parts.items():
        before, _, after = template.partition(mark)
        template = before + text + after
    return template


def write(text: str, root: str, *, file: str, is_forced: bool) -> str:
    """Write the workflow into the checkout at *root* and return its path. Raises `ConfigurationError`."""
    if not _FILE.fullmatch(file):
        raise errors.ConfigurationError(f"{file!r} is no name of a workflow's file", remedy="call it NAME.yml")
    path = os.path.join(root, FOLDER, file)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w" if is_forced else "x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError:
        message = f"{os.path.join(FOLDER, file)} is there already"
        raise errors.ConfigurationError(message, remedy="--force writes over it, --file another one") from None
    except OSError as error:
        raise errors.ConfigurationError(f"{path} cannot be written: {error.strerror}") from None
    return path


def _setup(command: str | None) -> str:
    if command is None:
        return ""
    head = "      - name: Install the agent\n        run: |\n"
    return head + _indented(_command(command, "setup"), 10)


def _command(text: str, what: str) -> str:
    """Return a command; an expression of GitHub's in it would be filled before the shell sees it."""
    if not text.strip():
        raise errors.ConfigurationError(f"the {what} command is blank", remedy=f"--{what} 'COMMAND'")
    if "${{" in text or not text.replace("\n", "").replace("\t", "").isprintable():
        raise errors.ConfigurationError(
            f"the {what} command holds what a workflow would not hand to a shell as it is",
            remedy='use "$PROMPT", "$MODEL" and --secret NAME',
        )
    return text.strip()


def _indented(text: str, columns: int) -> str:
    return "".join(f"{' ' * columns if line.strip() else ''}{line.rstrip()}\n" for line in text.splitlines())


def _secret(name: str) -> str:
    if not _SECRET.fullmatch(name) or name.upper() in RESERVED:
        raise errors.ConfigurationError(
            f"{name!r} is not a name for a secret", remedy="use letters, digits and _; not GITHUB_… nor PROMPT"
        )
    return name
