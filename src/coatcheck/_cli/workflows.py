"""Write a workflow that runs an agent for coatcheck, from the template beside this file.

Invariants:

- only the user's own arguments are written into it: commands and names of secrets, each checked and indented;
- an existing file is overwritten only on request.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from .. import errors

TEMPLATE = os.path.join(os.path.dirname(__file__), "workflow.yml")
FOLDER = os.path.join(".github", "workflows")
# Valid names of secrets (docs.github.com, "Naming your secrets").
_SECRET = re.compile(r"(?!GITHUB_)[A-Za-z_][A-Za-z0-9_]*", re.IGNORECASE)
_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\.ya?ml")
# Names that the template uses.
RESERVED = frozenset({"PROMPT", "MODEL", "INSTRUCTIONS"})

AGENT = """\
echo "Set the command that runs your agent: coatcheck workflow init --agent 'COMMAND' --force"
exit 1"""


def rendered(*, agent: str | None, setup: str | None = None, secrets: Sequence[str] = ()) -> str:
    """Return the workflow that runs *agent* after *setup*, each a shell's command, with *secrets* in its environment.

    Raises `ConfigurationError` for an invalid name of a secret or command.
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
        raise errors.ConfigurationError(f"{file!r} is not a valid workflow file name", remedy="pass --file NAME.yml")
    path = os.path.join(root, FOLDER, file)
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w" if is_forced else "x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError:
        message = f"{os.path.join(FOLDER, file)} exists"
        raise errors.ConfigurationError(message, remedy="overwrite it with --force, or pass another --file") from None
    except OSError as error:
        raise errors.ConfigurationError(f"{path} cannot be written: {error.strerror}") from None
    return path


def _setup(command: str | None) -> str:
    if command is None:
        return ""
    head = "      - name: Install the agent\n        run: |\n"
    return head + _indented(_command(command, "setup"), 10)


def _command(text: str, what: str) -> str:
    """Return a checked command; GitHub would replace an expression in it before the shell runs it."""
    if not text.strip():
        raise errors.ConfigurationError(f"the {what} command is blank", remedy=f"--{what} 'COMMAND'")
    if "${{" in text or not text.replace("\n", "").replace("\t", "").isprintable():
        raise errors.ConfigurationError(
            f"the {what} command has control characters, or an expression that GitHub would replace",
            remedy='use "$PROMPT", "$MODEL" and --secret NAME',
        )
    return text.strip()


def _indented(text: str, columns: int) -> str:
    return "".join(f"{' ' * columns if line.strip() else ''}{line.rstrip()}\n" for line in text.splitlines())


def _secret(name: str) -> str:
    if not _SECRET.fullmatch(name) or name.upper() in RESERVED:
        raise errors.ConfigurationError(
            f"{name!r} is not a valid secret name", remedy="use letters, digits and _; not GITHUB_… or PROMPT"
        )
    return name
