"""Review candidates: verify them, make their score cards, rank them.

Invariants:
- every candidate is in the ranking, also one without a patch;
- what fails in one candidate, and a scorer that fails, is in the ranking and raises nothing; what prevents the whole
  review (no repository, no base, no sandbox) raises.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from .._model.tasks import Task, TaskSpec
from .._patches.parse import Patch
from .._runtime.base_client import seconds
from .._runtime.session import DEFAULT_TIMEOUT
from ..errors import ConfigurationError
from .candidate_sources import patch_candidate, task_candidates, unique
from .candidates import Candidate
from .checks import Check, Verification
from .command_words import require_commands, words_of
from .protected_paths import DEFAULT_PROTECTED
from .ranking import Ranking, rank
from .score_cards import Rules, checks_that_distinguish_nothing, make_score_cards, with_scores
from .scorer import run_scorer

if TYPE_CHECKING:
    from .._patches.policy import Policy
    from .._protocol.effects import Clock
    from .._runtime.base_client import Seconds
    from .._runtime.config import Config
    from .._store.check_results import CheckResults
    from .._workspaces.cancellation import CancelScope
    from .score_card import ScoreCard
    from .service_reviews import ServiceReview
    from .services import OpenClient
    from .verification_results import CheckProgress, VerificationResult
    from .verifier import Verifier


class CandidateVerifier(Protocol):
    """What checks candidates: `verifier.Verifier`."""

    def verify(
        self,
        candidates: Sequence[Candidate],
        *,
        base: str,
        on_progress: Callable[[CheckProgress], None] = ...,
        scope: CancelScope | None = None,
    ) -> Sequence[VerificationResult]:
        """Return what the checks found about each candidate."""
        ...


class ReviewRequest(NamedTuple):
    """What to review and how: candidates for *repository*, checked on *base* (None: `bases.choose_base`)."""

    candidates: Sequence[Candidate]
    repository: Path
    verification: Verification
    base: str | None = None
    policy: Policy | None = None
    allow_protected: bool = False
    scorer: str | None = None
    workers: int = 2


class ReviewTools(NamedTuple):
    """What a review uses: a private folder, the environment, the cache of checks, and another verifier in tests."""

    folder: Path
    environ: Mapping[str, str]
    results: CheckResults | None = None
    verifier: CandidateVerifier | None = None


def ignore_progress(_: CheckProgress) -> None:
    """Do nothing."""


def review_candidates(
    request: ReviewRequest,
    tools: ReviewTools,
    *,
    on_progress: Callable[[CheckProgress], None] = ignore_progress,
    scope: CancelScope | None = None,
) -> Ranking:
    """Verify the candidates and return their ranking. Raises `ConfigurationError` and, when *scope* ends, `Stopped`."""
    from msgspec.structs import replace

    from .bases import choose_base

    base = choose_base(request.repository, request.candidates, request.base, environ=tools.environ)
    results: Sequence[VerificationResult] = ()
    if any(candidate.patch for candidate in request.candidates):
        verifier = tools.verifier or _verifier(request, tools)
        results = verifier.verify(request.candidates, base=base.commit, on_progress=on_progress, scope=scope)
    checks = request.verification.checks
    rules = Rules(checks, request.policy, request.allow_protected, _checkout(request.repository), base.commit)
    cards = make_score_cards(request.candidates, rules, results)
    notes = [base.note] if base.note else []
    notes += [
        f"{name} is red on the base and on every candidate: it distinguishes nothing"
        for name in checks_that_distinguish_nothing(cards, checks)
    ]
    cards, problem = _scored(request, cards, tools, scope)
    return replace(rank(cards, checks), base=base.commit, notes=(*notes, *problem))


def check_verification(request: ReviewRequest, tools: ReviewTools) -> None:
    """Raise `ConfigurationError` where the checks could not run: a command is not readable, or there is no sandbox."""
    if request.verification.checks and tools.verifier is None:
        _verifier(request, tools).prepare()


def _checkout(repository: Path) -> Path | None:
    """Return *repository* where it has a work tree, in which the policy looks for symbolic links."""
    return repository if (repository / ".git").exists() else None


def _verifier(request: ReviewRequest, tools: ReviewTools) -> Verifier:
    """Return the verifier; without commands no sandbox is needed to apply the patches."""
    from msgspec.structs import replace

    from .verifier import Verifier

    verification = request.verification
    if not verification.checks:
        verification = replace(verification, sandbox="none", setup=None)
    return Verifier(
        request.repository,
        verification,
        folder=tools.folder,
        results=tools.results,
        workers=request.workers,
        environ=tools.environ,
    )


def _scored(
    request: ReviewRequest, cards: tuple[ScoreCard, ...], tools: ReviewTools, scope: CancelScope | None
) -> tuple[tuple[ScoreCard, ...], Sequence[str]]:
    """Return the cards with their scores, and a note where the scorer failed."""
    if request.scorer is None:
        return cards, ()
    try:
        scores = run_scorer(request.scorer, cards, folder=request.repository, environ=tools.environ, scope=scope)
    except ConfigurationError as error:  # also a command that is none
        return cards, (f"{error}; the candidates are ranked without scores",)
    return with_scores(cards, scores), ()


class Review:
    """Candidates that compete, the evidence about them, and their ranking.

    *candidates* are tasks (each attempt is a candidate), patches, and `Candidate` objects. *repository* is the checkout
    or bare repository that they are for. *checks* are commands that each candidate must pass: text, or `Check` for one
    that is optional; *protected* are the patterns of paths that are restored from the base before them.
    *verification* replaces both where more is to be set; it protects only what its `protected` names. A candidate that
    *policy* rejects, or that changes protected paths unless *allow_protected*, is not chosen. *scorer* is a command that
    reads the diffs and returns scores. `submit` makes candidates of a task for several services.
    """

    # The name in the store of a review that `submit` or `resume` has returned.
    name: str | None = None

    def __init__(
        self,
        *candidates: Candidate | Task | Patch,
        repository: str | os.PathLike[str],
        checks: Iterable[str | Check] = (),
        protected: Iterable[str] = DEFAULT_PROTECTED,
        verification: Verification | None = None,
        policy: Policy | None = None,
        allow_protected: bool = False,
        scorer: str | None = None,
    ) -> None:
        """Raises `ConfigurationError` for two candidates or checks of the same name, and for commands that need a shell."""
        self.candidates = unique(_flattened(candidates))
        require_list(protected, "protected", "patterns")
        given, protected = checks_of(checks), tuple(protected)
        if verification is None:
            verification = Verification(checks=given, protected=protected)
        elif given or protected != DEFAULT_PROTECTED:
            raise ConfigurationError(
                "checks and protected cannot be combined with verification", remedy="set them in the Verification"
            )
        require_commands(verification)
        self._request = ReviewRequest(
            self.candidates,
            Path(repository),
            verification,
            policy=policy,
            allow_protected=allow_protected,
            scorer=scorer,
        )
        self._ranking: Ranking | None = None

    @classmethod
    def submit(
        cls,
        spec: str | TaskSpec,
        *,
        on: Iterable[str],
        repository: str | os.PathLike[str],
        name: str | None = None,
        checks: Iterable[str | Check] = (),
        verification: Verification | None = None,
        timeout: Seconds | None = DEFAULT_TIMEOUT,
        interval: Seconds | None = None,
        config: Config | None = None,
        environ: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        open_client: OpenClient | None = None,
    ) -> Review:
        """Submit a task to several services, wait for all of them, and return the review of what they made.

        *spec* is a prompt or a `TaskSpec`; *on* are services as ``codex`` or ``codex:2``, with the attempts of each.
        A service that fails is a candidate with an error. The review is in the store by *name* (without one: words of
        the prompt, see `Review.name`) before anything is submitted: `resume` continues it after a kill, and
        ``coatcheck review NAME`` too. *open_client* opens the client of a service with a journal; without it the
        settings and logins of *config* and *environ* are used. Raises `WaitTimeoutError` at the *timeout*, and the
        first error where no service takes the task.
        """
        from .review_file import ReviewFile
        from .service_reviews import ReviewSettings, submit_review

        verification = verification or Verification(checks=checks_of(checks), protected=DEFAULT_PROTECTED)
        settings = ReviewSettings.of(environ=environ, config=config, clock=clock, open_client=open_client)
        ended = submit_review(
            spec if isinstance(spec, TaskSpec) else TaskSpec(prompt=spec),
            tuple(on),
            settings=settings,
            name=name,
            checks=ReviewFile(verification=verification).to_dict(),
            repository=os.fspath(repository),
            timeout=seconds(timeout),
            interval=seconds(interval),
        )
        return cls._of(ended, repository, verification)

    @classmethod
    def resume(
        cls,
        name: str,
        *,
        repository: str | os.PathLike[str],
        checks: Iterable[str | Check] = (),
        verification: Verification | None = None,
        timeout: Seconds | None = DEFAULT_TIMEOUT,
        interval: Seconds | None = None,
        config: Config | None = None,
        environ: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        open_client: OpenClient | None = None,
    ) -> Review:
        """Continue the review *name* as `submit` does: what was not submitted is submitted, and nothing twice.

        Without *checks* and *verification* the checks are those that it was begun with. Raises `ConfigurationError`
        for a name that does not exist.
        """
        from .review_file import ReviewFile
        from .service_reviews import ReviewSettings, resume_review

        settings = ReviewSettings.of(environ=environ, config=config, clock=clock, open_client=open_client)
        ended = resume_review(name, settings=settings, timeout=seconds(timeout), interval=seconds(interval))
        if verification is None and (given := checks_of(checks)):
            verification = Verification(checks=given, protected=DEFAULT_PROTECTED)
        return cls._of(ended, repository, verification or ReviewFile.from_dict(ended.review.settings).verification)

    @classmethod
    def _of(cls, ended: ServiceReview, repository: str | os.PathLike[str], verification: Verification) -> Review:
        candidates = [candidate for result in ended.results for candidate in result.candidates()]
        review = cls(*candidates, repository=repository, verification=verification)
        review.name = ended.review.name
        return review

    def verify(
        self,
        *,
        base: str | None = None,
        workers: int = 2,
        environ: Mapping[str, str] | None = None,
        on_progress: Callable[[CheckProgress], None] = ignore_progress,
    ) -> tuple[ScoreCard, ...]:
        """Run the checks on the base and on every candidate, and return the score cards; blocks until all have ended.

        *base* is a revision of the repository; without it that of the tasks, else HEAD. *workers* sandboxes run at once.
        Raises `ConfigurationError` where there is no repository, no such base, or no sandbox.
        """
        from .._runtime.config import state_dir

        environ = os.environ if environ is None else environ
        tools = ReviewTools(Path(state_dir(environ)) / "reviews", environ)
        request = self._request._replace(base=base, workers=workers)
        self._ranking = review_candidates(request, tools, on_progress=on_progress)
        return self._ranking.cards

    def rank(self) -> Ranking:
        """Return the ranking: of the verified candidates after `verify`; before it nothing is chosen."""
        if self._ranking is None:
            request = self._request
            rules = Rules(request.verification.checks, request.policy, request.allow_protected)
            return rank(make_score_cards(self.candidates, rules), rules.checks)
        return self._ranking

    def _repr_markdown_(self) -> str:
        """Return the ranking as a notebook shows it."""
        return self.rank().to_markdown()


def require_list(values: object, what: str, of: str) -> None:
    """Raise `ConfigurationError` for one text where a list is meant: its letters would be taken one by one."""
    if isinstance(values, str):
        raise ConfigurationError(f"{what} is a list of {of}, not {values!r}", remedy=f"pass [{values!r}]")


def checks_of(checks: Iterable[str | Check]) -> tuple[Check, ...]:
    """Return *checks*; a text is a required check that is named by its command.

    Raises `ConfigurationError` for two of the same name, and for commands that need a shell.
    """
    require_list(checks, "checks", "commands")
    known: dict[str, Check] = {}
    for each in checks:
        check = each if isinstance(each, Check) else Check(name=" ".join(each.split()), run=each)
        words_of(check.run, "the check")
        if check.name in known:
            raise ConfigurationError(f"the check {check.name!r} is given twice", remedy="remove one of them")
        known[check.name] = check
    return tuple(known.values())


def _flattened(sources: Iterable[Candidate | Task | Patch]) -> Iterable[Candidate]:
    for number, source in enumerate(sources, 1):
        if isinstance(source, Task):
            yield from task_candidates(source)
        elif isinstance(source, Patch):
            yield patch_candidate(f"patch {number}", source)
        else:
            yield source
