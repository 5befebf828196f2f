"""A scorer: a command of the person who reviews, a model or a script, that reads the diffs and returns scores.

The command is split into words as a shell does and run without a shell, with the caller's environment. It reads a JSON
document on standard input (`scorer_input`) and writes ``{"scores": {"NAME": 0.7}}`` with a number from 0 to 1 for each
candidate. Everything else is an error in one line, and the ranking continues without scores. A scorer that writes too
much, or what cannot be scores, is ended at once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .._values.json_fields import SCHEMA, escaped, patch_text
from ..errors import ConfigurationError
from .command_words import words_of

if TYPE_CHECKING:
    from pathlib import Path

    from .._workspaces.cancellation import CancelScope
    from .score_card import ScoreCard

# A model may need minutes for a large diff (seconds).
TIMEOUT = 600.0
# After it the scorer may take this long to end by itself (seconds).
GRACE = 1.0
# A thousand scores are 100 kB; what is written to standard error is not read, and may be a long log (bytes).
MAX_OUTPUT = {"stdout": 1 << 20, "stderr": 16 << 20}
# So much of an error or a value is quoted.
MAX_QUOTED = 100


class ScorerError(ConfigurationError):
    """A scorer that cannot be run, or whose output is not scores."""


def run_scorer(
    command: str,
    cards: Sequence[ScoreCard],
    *,
    folder: Path,
    environ: Mapping[str, str],
    timeout: float = TIMEOUT,
    scope: CancelScope | None = None,
) -> Mapping[str, float]:
    """Return the scores of the candidates that have a patch, by name. Raises `ScorerError`.

    The command runs in *folder*; *scope* ends it and everything that it started.
    """
    from pathlib import Path
    from tempfile import TemporaryDirectory

    known = [card for card in cards if card.candidate.patch]
    if not known:
        return {}
    with TemporaryDirectory(prefix="coatcheck-") as temporary:
        input = Path(temporary) / "candidates.json"
        input.write_bytes(json.dumps(scorer_input(known)).encode())
        output = _output(words_of(command, "the scorer"), folder, environ, input=input, timeout=timeout, scope=scope)
    return read_scores(output, [card.candidate.name for card in known])


def scorer_input(cards: Sequence[ScoreCard]) -> dict[str, object]:
    """Return what a scorer reads: each candidate's name, title, diff, size and verdicts of checks."""
    documents: list[object] = [
        {
            "name": card.candidate.name,
            "title": card.candidate.title,
            "diff": patch_text(card.candidate.patch),
            "lines": card.stats.added + card.stats.removed if card.stats else 0,
            "checks": {result.check: result.verdict.value for result in card.checks},
        }
        for card in cards
    ]
    return {"schema": SCHEMA, "candidates": [escaped(document) for document in documents]}


def _output(
    words: Sequence[str],
    folder: Path,
    environ: Mapping[str, str],
    *,
    input: Path,
    timeout: float,
    scope: CancelScope | None,
) -> str:
    from contextlib import nullcontext

    scorer = _Scorer()
    try:
        with scope.on_cancel(scorer.process.cancel) if scope else nullcontext():
            result = scorer.process.run(words, cwd=folder, environ=environ, input=input, timeout=timeout)
    except (OSError, ValueError) as error:
        raise ScorerError(f"the scorer {words[0]} cannot be run: {getattr(error, 'strerror', None) or error}") from None
    if scope is not None:
        scope.check()
    if scorer.problem is not None:
        raise ScorerError(scorer.problem)
    if result.is_timeout:
        raise ScorerError(f"the scorer took more than {timeout:g} s")
    if result.exit_code:
        last = (result.stderr.strip() or result.stdout.strip()).rpartition("\n")[2]
        raise ScorerError(f"the scorer ended with status {result.exit_code}{': ' if last else ''}{last[:MAX_QUOTED]}")
    return result.stdout


class _Scorer:
    """The process of a scorer, which is ended at the first byte that makes its output no scores, for `problem`."""

    def __init__(self) -> None:
        from .._workspaces.command_process import CommandProcess

        self.process = CommandProcess(grace=GRACE, on_output=self._examine)
        self.problem: str | None = None
        self._sizes = dict.fromkeys(MAX_OUTPUT, 0)
        self._begin = b""

    def _examine(self, stream: str, chunk: bytes) -> None:
        self._sizes[stream] += len(chunk)
        if self.problem is None and (problem := self._problem_of(stream, chunk)):
            self.problem = problem
            self.process.cancel()

    def _problem_of(self, stream: str, chunk: bytes) -> str | None:
        if stream == "stdout" and not self._begin:
            self._begin = chunk.lstrip()
            # Control sequences (ECMA-48), which begin with ESC, are removed before it is read.
            if self._begin and not self._begin.startswith((b"{", b"\x1b")):
                line = self._begin[:MAX_QUOTED].decode("utf-8", "replace").splitlines()[0]
                return f'the scorer has written {line!r}, not an object with "scores"'
        if self._sizes[stream] > MAX_OUTPUT[stream]:
            return f"the scorer wrote more than {MAX_OUTPUT[stream] >> 20} MiB to {stream} and was ended"
        return None


def read_scores(text: str, names: Sequence[str]) -> Mapping[str, float]:
    """Return the scores in *text*: a number from 0 to 1 for each of *names*, and no other. Raises `ScorerError`."""
    try:
        document = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ScorerError(f"the scorer has not written JSON: {str(error)[:MAX_QUOTED]}") from None
    scores = document.get("scores") if isinstance(document, dict) else None
    if not isinstance(scores, dict):
        raise ScorerError('the scorer has not written an object with "scores"')
    if missing := [name for name in names if name not in scores]:
        raise ScorerError(f"the scorer has given no score for {missing[0]}")
    if unknown := [name for name in scores if name not in names]:
        raise ScorerError(f"the scorer has scored {unknown[0][:MAX_QUOTED]!r}, which is no candidate")
    return {name: _score(name, scores[name]) for name in names}


def _score(name: str, value: object) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= 1:  # type: ignore[operator]  # not for NaN either
        raise ScorerError(f"the scorer has given {name} {repr(value)[:MAX_QUOTED]}, not a number from 0 to 1")
    return float(value) + 0.0  # type: ignore[arg-type]  # -0.0 is 0


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object. Raises `ValueError` for a name that is written twice."""
    document = dict(pairs)
    if len(document) != len(pairs):
        message = "a name is written twice"
        raise ValueError(message)
    return document
