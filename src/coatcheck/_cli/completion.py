r"""Complete a command line for a shell: the scripts that a shell runs, and the answers to them.

A script starts ``coatcheck`` with the command line up to the cursor in ``_COATCHECK_LINE`` and the shell's name in
``_COATCHECK_COMPLETE``. The answer is a line per value: its kind (``plain``, ``file`` or ``dir``), the value and a
description, with tabs between them.

Invariants:

- the line is split here, as a shell splits it: bash itself splits at ``:`` and ``=``, which refs and options contain;
- no value contains a control character, and no error is printed: a shell cannot show it.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING

from click.shell_completion import CompletionItem, ShellComplete

from .console import clean

if TYPE_CHECKING:
    import click

    from .process_env import ProcessEnv

SHELL, LINE = "_COATCHECK_COMPLETE", "_COATCHECK_LINE"

BASH = r"""
_coatcheck() {
    local kind value text line="${COMP_LINE:0:COMP_POINT}" word
    word="${line##*[[:space:]]}"
    COMPREPLY=()
    while IFS=$'\t' read -r kind value text; do
        case "$kind" in
            file|dir)
                compopt -o filenames 2>/dev/null
                while IFS= read -r value; do COMPREPLY+=("$value"); done < <(
                    compgen -A "${kind/dir/directory}" -- "${COMP_WORDS[COMP_CWORD]#=}"
                ) ;;
            plain)
                # bash has split the word at these characters, and replaces what follows the last of them.
                if [[ "$word" == *:* && "$COMP_WORDBREAKS" == *:* ]]; then value="${value#"${word%:*}:"}"; fi
                COMPREPLY+=("$value") ;;
        esac
    done < <(_COATCHECK_COMPLETE=bash _COATCHECK_LINE="$line" "$1" 2>/dev/null)
}
complete -o nosort -F _coatcheck coatcheck 2>/dev/null || complete -F _coatcheck coatcheck
"""

ZSH = r"""
#compdef coatcheck
_coatcheck() {
    local kind value text line prefix
    local -a values texts
    line="${(j: :)${(@)words[1,CURRENT-1]}} $PREFIX"
    if [[ "$PREFIX" == --*=* ]]; then compset -P '*='; fi
    while IFS=$'\t' read -r kind value text; do
        case "$kind" in
            file) _path_files -f ;;
            dir) _path_files -/ ;;
            plain) values+=("$value"); texts+=("${value}${text:+  -- $text}") ;;
        esac
    done < <(_COATCHECK_COMPLETE=zsh _COATCHECK_LINE="$line" ${words[1]} 2>/dev/null)
    (( $#values )) && compadd -U -V coatcheck -l -d texts -a values
}
if [[ "${funcstack[1]}" == "_coatcheck" ]]; then _coatcheck "$@"; else compdef _coatcheck coatcheck; fi
"""

FISH = r"""
function __coatcheck
    set -l line (commandline --current-process --cut-at-cursor | string collect)
    set -l word (commandline --current-token)
    set -l prefix (string match --regex -- '^--[^=]+=' $word)
    for answer in (_COATCHECK_COMPLETE=fish _COATCHECK_LINE=$line coatcheck 2>/dev/null)
        set -l parts (string split \t -- $answer)
        switch $parts[1]
            case file
                printf "$prefix%s\n" (__fish_complete_path (string replace -- "$prefix" '' $word))
            case dir
                printf "$prefix%s\n" (__fish_complete_directories (string replace -- "$prefix" '' $word))
            case plain
                printf '%s%s\t%s\n' "$prefix" $parts[2] $parts[3]
        end
    end
end
complete --command coatcheck --no-files --arguments '(__coatcheck)'
"""

SCRIPTS: Mapping[str, str] = {"bash": BASH.lstrip("\n"), "zsh": ZSH.lstrip("\n"), "fish": FISH.lstrip("\n")}


def split_line(line: str) -> tuple[list[str], str]:
    """Return the words of *line* after the program's name, and the unfinished last one."""
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    try:
        words.extend(lexer)
    except ValueError:  # an unclosed quotation mark: the last word is unfinished
        words.append(lexer.token)
    if not line or line[-1:].isspace():
        words.append("")
    return words[1:-1], words[-1] if len(words) > 1 else ""


def answer(app: click.Command, process_env: ProcessEnv) -> int:
    """Print the values that complete the command line of the environment, and return the exit code."""
    arguments, incomplete = split_line(process_env.environ.get(LINE, ""))
    completer = ShellComplete(app, {"obj": process_env}, "coatcheck", SHELL)
    items = completer.get_completions(arguments, incomplete)
    process_env.console.write("".join(_line(item) for item in items).encode("utf-8", "surrogateescape"))
    return 0


def _line(item: CompletionItem) -> str:
    return "\t".join((item.type, clean(str(item.value)), clean(item.help or "").replace("\t", " "))) + "\n"
