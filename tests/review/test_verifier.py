"""What the verifier finds about candidates, without a sandbox."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING

import pytest
from tests.review.verification import FILES, Repository, Review, checks, git

from coatcheck import Patch
from coatcheck._files.locks import try_lock
from coatcheck._review import verification_folder
from coatcheck._review.candidates import Candidate
from coatcheck._review.checks import Check, Verdict
from coatcheck._review.protected_paths import DEFAULT_PROTECTED
from coatcheck._review.verification_results import VerificationResult
from coatcheck._store.check_results import CheckKey, CheckResults, StoredCheck
from coatcheck._store.location import open_database
from coatcheck._workspaces.cancellation import Cancelled, CancelScope
from coatcheck._workspaces.git import Git
from coatcheck._workspaces.mirror import Mirror
from coatcheck.errors import ConfigurationError, StoreError
from coatcheck.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator

TEST = "sh tests/test.sh"
GOOD = FILES["main.txt"].replace("eight", "EIGHT")
BAD = FILES["main.txt"].replace("one", "ONE")


def verdicts(result: VerificationResult) -> list[tuple[Verdict, Verdict | None]]:
    """Return the verdicts on the base and on the candidate."""
    return [(each.verdict, each.base_verdict) for each in result.checks]


@pytest.fixture
def results(tmp_path: Path) -> Iterator[CheckResults]:
    """Return the results in a new store."""
    database = open_database(str(tmp_path / "state"))
    yield CheckResults(database, clock=FakeClock())
    database.close()


def test_each_check_runs_on_the_base_and_on_every_candidate(repository: Repository, review: Review) -> None:
    """A result shows what a check finds on the candidate and on the unpatched base."""
    candidates = [repository.candidate({"main.txt": text}, name) for name, text in (("good", GOOD), ("bad", BAD))]

    good, bad = review.verify(*candidates, checks=checks(TEST))

    assert (verdicts(good), verdicts(bad)) == ([("passed", "passed")], [("failed", "passed")])


def test_the_base_is_checked_before_any_candidate(repository: Repository, review: Review) -> None:
    """Every check has ended on the base when the first one begins on a candidate."""
    review.verify(repository.candidate({"main.txt": GOOD}), checks=checks(TEST, "true"))

    on_base = [each.candidate is None for each in review.progress]

    assert on_base == [True] * 4 + [False] * 4


def test_a_changed_test_is_restored_and_named(repository: Repository, review: Review) -> None:
    """Protected files that a patch changes, adds, deletes or hides behind a link are those of the base."""

    def hide() -> None:
        git(repository.path, "rm", "-q", "-r", "tests")
        (repository.path / "tests").symlink_to("elsewhere")
        repository.write({"elsewhere/test.sh": "true\n", "main.txt": BAD})

    changes: list = [
        {"main.txt": BAD, "tests/test.sh": "true\n"},
        {"main.txt": BAD, "tests/test.sh": None},
        {"main.txt": BAD, "tests/more/conftest.py": "cheat\n"},
        hide,
    ]
    candidates = [repository.candidate(change, str(number)) for number, change in enumerate(changes)]

    found = review.verify(*candidates, checks=checks(f"{TEST}", "test ! -e tests/more"), protected=("tests/**",))

    assert [(each.checks[0].verdict, each.protected_changes) for each in found] == [
        ("failed", ("tests/test.sh",)),
        ("failed", ("tests/test.sh",)),
        ("failed", ("tests/more/conftest.py",)),
        ("failed", ("tests/test.sh",)),
    ]


def test_attributes_do_not_change_what_checks_read(repository: Repository, review: Review) -> None:
    """A candidate cannot have git write the script of a check in another encoding, in which it passes."""
    repository.write({"tests/check.sh": "grep -q EIGHT main.txt || exit 1\ntrue\n"})
    repository.commit()
    attributes = dict.fromkeys((".gitattributes", "tests/.gitattributes"), "check.sh working-tree-encoding=UTF-7\n")
    candidate = repository.candidate({"src/lib.txt": "x\n", **attributes})
    (found,) = review.verify(candidate, checks=checks("sh tests/check.sh"), protected=("/tests/check.sh",))

    assert ("failed", set(attributes)) == (found.checks[0].verdict, set(found.protected_changes))


def test_the_case_of_protected_paths_does_not_count(repository: Repository, review: Review) -> None:
    """A file that is a protected one where the case of letters does not count is not left to the checks."""
    candidate = repository.candidate({"Tests/TEST.SH": "true\n", "ConfTest.py": "x\n", "Latest.java": "x\n"})
    (found,) = review.verify(candidate, checks=checks("test ! -e Tests"), protected=DEFAULT_PROTECTED)

    assert ("passed", {"Tests/TEST.SH", "ConfTest.py"}) == (found.checks[0].verdict, set(found.protected_changes))


def test_other_line_ends_are_named(repository: Repository, review: Review) -> None:
    """A patch that fits but for its line ends CR LF is a conflict that says so."""
    patch = repository.patch({"main.txt": GOOD})
    candidate = Candidate(name="a", patch=Patch(bytes(patch).replace(b"\n", b"\r\n")))
    (found,) = review.verify(candidate, checks=checks(TEST))

    assert (("main.txt",), True) == (found.conflicts, "line ends CR LF" in str(found.unchecked))


def test_one_tree_is_reported_for_every_spelling(repository: Repository, review: Review) -> None:
    """A rename, and an addition with a deletion, are reported as one tree, which is not that of the base."""
    git(repository.path, "mv", "src/lib.txt", "src/new.txt")
    forms = [git(repository.path, "diff", "--cached", *options) for options in (("-M",), ("--no-renames",))]
    git(repository.path, "reset", "-q", "--hard")
    candidates = [Candidate(name=form[-40:], patch=Patch(form.encode())) for form in forms]
    other = repository.candidate({"main.txt": GOOD})
    first, second, third = (each.tree for each in review.verify(*candidates, other, checks=()))

    assert (first, True, True) == (second, first is not None, first != third)


@pytest.mark.parametrize(
    ("pattern", "remedy"),
    [
        ("../x", "write it relative to the root of the repository"),
        ("tests/../x", "write it relative to the root of the repository"),
        ("!tests", "name the files to protect"),
        ("/", "write ** for all files"),
        ("./", "write ** for all files"),
        ("{root}/tests", "write /tests"),
    ],
)
def test_a_pattern_that_protects_nothing_is_refused(
    repository: Repository, review: Review, pattern: str, remedy: str
) -> None:
    """A protected pattern that no path of the repository could match is an error with a remedy."""
    protected = (pattern.format(root=repository.path),)
    with pytest.raises(ConfigurationError) as caught:
        review.verify(repository.candidate({"main.txt": GOOD}), checks=checks("true"), protected=protected)

    assert remedy == caught.value.remedy


def test_a_script_that_a_check_names_is_protected_by_default(repository: Repository, review: Review) -> None:
    """A candidate that makes a check pass by writing its script fails it, and the script is named."""
    repository.write({"check.sh": "grep -q EIGHT main.txt\n", "ci/lint.sh": "exit 1\n"})
    repository.commit()
    candidate = repository.candidate({"check.sh": "true\n", "ci/lint.sh": "true\n", "other.sh": "true\n"})
    (found,) = review.verify(
        candidate, checks=checks("sh ./check.sh", "sh -c 'sh ci/lint.sh && true'"), protected=DEFAULT_PROTECTED
    )

    assert ({"failed"}, {"check.sh", "ci/lint.sh"}) == (
        {each.verdict for each in found.checks},
        set(found.protected_changes),
    )


def test_later_checks_are_skipped_after_a_required_one_has_failed(repository: Repository, review: Review) -> None:
    """Only a required check that the base passes stops the others; they are reported as skipped."""
    required, optional = checks(TEST), checks(TEST, required=False)
    # slow on the base alone, so that it is the last one
    later = (Check(name="later", run="sh -c 'test -e quick || sleep 1'"),)
    candidate = repository.candidate({"main.txt": BAD, "quick": "\n"})

    found = [review.verify(candidate, checks=each)[0].checks[1] for each in (required + later, optional + later)]

    assert [(each.verdict, each.reason) for each in found] == [("skipped", "1 did not pass"), ("passed", None)]


def test_a_check_that_the_base_fails_stops_nothing(repository: Repository, review: Review) -> None:
    """A check that is red on the base and on the candidate is reported as such, and the next one runs."""
    (found,) = review.verify(repository.candidate({"main.txt": GOOD}), checks=checks("false", TEST))

    assert (verdicts(found), found.checks[0].distinguishes) == ([("failed", "failed"), ("passed", "passed")], False)


def test_equal_changes_are_checked_once(repository: Repository, review: Review) -> None:
    """Candidates whose files are the same, in whatever spelling, share a result."""
    patch = repository.patch({"main.txt": GOOD})
    other = Patch(bytes(patch).replace(b"diff --git", b"another spelling\ndiff --git"))
    marker = review.folder.parent / "runs"
    count = f'sh -c "echo run >> {marker}"'

    review.verify(Candidate(name="a", patch=patch), Candidate(name="b", patch=other), checks=checks(count))

    assert marker.read_text().splitlines() == ["run"] * 2


def test_a_result_is_kept_for_the_same_files_base_and_command(
    repository: Repository, review: Review, results: CheckResults
) -> None:
    """A second verification takes results from the store; another command, another base or another patch does not."""
    candidate = repository.candidate({"main.txt": GOOD})
    review.verify(candidate, checks=checks(TEST), results=results)

    again = review.verify(candidate, checks=checks(TEST), results=results)
    command = review.verify(candidate, checks=checks("true"), results=results)
    patch = review.verify(repository.candidate({"main.txt": GOOD + "9\n"}), checks=checks(TEST), results=results)
    repository.write({"new.txt": "new\n"})
    repository.commit()
    base = review.verify(candidate, checks=checks(TEST), results=results)
    cached = [found.checks[0].is_cached for (found,) in (again, command, patch, base)]

    assert cached == [True, False, False, False]


def test_the_store_keeps_the_whole_output(repository: Repository, review: Review, results: CheckResults) -> None:
    """The log of a result is the end of the output, which is kept as a whole under its digest."""
    candidate = repository.candidate({"main.txt": GOOD})
    command = "sh -c 'i=0; while test $i -lt 2500; do echo $i; i=$((i+1)); done'"
    (found,) = review.verify(candidate, checks=checks(command), results=results, limits=_output(100_000))
    (check,) = found.checks
    output = "".join(f"{number}\n" for number in range(2500))

    assert (check.log, results.log(check.log_digest or "").decode()) == (output[-8000:], output)


def _output(length: int) -> object:
    from coatcheck._review.checks import Limits

    return Limits(output=length)


def test_errors_are_not_kept(repository: Repository, review: Review, results: CheckResults) -> None:
    """A check that could not be run is run again by the next verification."""
    candidate = repository.candidate({"main.txt": GOOD})
    found = [review.verify(candidate, checks=checks("no-such-program"), results=results)[0].checks[0] for _ in "12"]

    assert [(each.verdict, each.reason, each.is_cached) for each in found] == [
        (Verdict.ERROR, "no-such-program was not found", False)
    ] * 2


class LockedResults(CheckResults):
    """Results whose store is locked by another program: a write fails after some seconds."""

    writes = 0

    def put(self, key: CheckKey, result: StoredCheck, *, output: bytes) -> None:
        """Count the try, and fail."""
        self.writes += 1
        raise StoreError("the store is locked", location="store")


def test_a_locked_store_is_tried_once(repository: Repository, review: Review, tmp_path: Path) -> None:
    """Results do not depend on the store, and only the first of them waits for it."""
    database = open_database(str(tmp_path / "state"))
    results = LockedResults(database, clock=FakeClock())
    (found,) = review.verify(repository.candidate({"main.txt": GOOD}), checks=checks(TEST, "true"), results=results)
    database.close()

    assert ([Verdict.PASSED] * 2, 1) == ([each.verdict for each in found.checks], results.writes)


def test_the_cheapest_check_runs_first(repository: Repository, review: Review) -> None:
    """Checks of candidates run in the order of their time on the base, and are reported in the order they were given."""
    slow, fast = "sh -c 'test -e quick || sleep 1'", "true"
    (found,) = review.verify(repository.candidate({"quick": "\n"}), checks=checks(slow, fast))
    order = [each.check for each in review.progress if each.candidate and each.state == "running"]

    assert (order, [each.check for each in found.checks]) == (["2", "1"], ["1", "2"])


def test_a_patch_of_another_base_is_merged(repository: Repository, review: Review) -> None:
    """A candidate that was made on an older commit is merged onto the base, or its conflicts are named."""
    older = git(repository.path, "rev-parse", "HEAD").strip()
    fits = Candidate(name="fits", patch=repository.patch({"main.txt": GOOD}), base=older)
    conflicts = Candidate(
        name="conflicts", patch=repository.patch({"main.txt": FILES["main.txt"].replace("three", "3")}), base=older
    )
    repository.write({"main.txt": FILES["main.txt"].replace("three", "drei").replace("one", "one\nand a half")})
    repository.commit()

    found = review.verify(fits, conflicts, checks=checks("grep -q EIGHT main.txt", "grep -q drei main.txt"))

    assert [(each.applies, each.conflicts, [check.verdict for check in each.checks]) for each in found] == [
        (True, (), ["passed", "passed"]),
        (False, ("main.txt",), []),
    ]


def test_a_repository_of_sha256_is_checked(tmp_path: Path) -> None:
    """The object format of a repository is that of its mirror and of its clones."""
    repository = Repository(tmp_path / "sha256", object_format="sha256")
    review = Review(repository, tmp_path / "checks")
    older = git(repository.path, "rev-parse", "HEAD").strip()
    candidate = Candidate(name="fits", patch=repository.patch({"main.txt": GOOD}), base=older)
    repository.write({"new.txt": "new\n"})
    repository.commit()
    (found,) = review.verify(candidate, checks=checks("grep -q EIGHT main.txt"))

    assert (None, ["passed"]) == (found.unchecked, [check.verdict for check in found.checks])


def test_what_is_wrong_with_one_candidate_is_its_result(repository: Repository, review: Review) -> None:
    """A patch of another repository, an unknown base, no patch and an unreadable patch cost no other candidate."""
    foreign = Patch.parse("--- a/unknown.py\n+++ b/unknown.py\n@@ -1 +1 @@\n-old\n+new\n")
    good = repository.patch({"main.txt": GOOD})
    found = review.verify(
        Candidate(name="foreign", patch=foreign),
        Candidate(name="unknown base, applies", patch=good, base="f" * 40),
        Candidate(name="unknown base", patch=foreign, base="f" * 40),
        Candidate(name="none", error="the task failed"),
        Candidate(name="unreadable", patch=Patch(b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n")),
        Candidate(name="good", patch=good),
        checks=checks(TEST),
    )

    assert [(each.applies, each.conflicts, len(each.checks), bool(each.unchecked)) for each in found] == [
        (False, ("unknown.py",), 0, True),
        (True, (), 1, False),
        (False, ("unknown.py",), 0, True),
        (None, (), 0, True),
        (None, (), 0, True),
        (True, (), 1, False),
    ]


def test_an_unknown_base_is_the_reason_of_every_result(repository: Repository, review: Review) -> None:
    """A base that the repository does not have leaves every candidate unchecked, with the reason."""
    (found,) = review.verify(repository.candidate({"main.txt": GOOD}), base="no-such-branch", checks=checks(TEST))

    assert found.unchecked == f"the base no-such-branch is not in {repository.path}"


def test_a_folder_without_a_repository_is_the_reason_of_every_result(repository: Repository, review: Review) -> None:
    """What is no repository leaves every candidate unchecked, with the reason."""
    candidate = repository.candidate({"main.txt": GOOD})
    subprocess.run(["rm", "-r", str(repository.path / ".git")], check=True)
    (found,) = review.verify(candidate, checks=checks(TEST))

    assert found.unchecked == f"{repository.path} is not a git repository"


def test_a_base_whose_files_cannot_be_written_is_the_reason_of_every_result(
    repository: Repository, review: Review
) -> None:
    """A name in the base that is too long for the disk leaves every candidate unchecked, with git's message."""
    candidate = repository.candidate({"main.txt": GOOD})
    name, blob = "n" * 300, git(repository.path, "rev-parse", "HEAD:main.txt").strip()
    git(repository.path, "update-index", "--add", "--cacheinfo", f"100644,{blob},{name}")
    git(repository.path, "commit", "-q", "-m", "A long name")
    (found,) = review.verify(candidate, checks=checks(TEST))

    assert (found.applies, found.checks, (found.unchecked or "").endswith("File name too long")) == (True, (), True)


def test_a_setup_runs_once_for_each_state_of_its_inputs(repository: Repository, review: Review) -> None:
    """Checks find what the setup has made; it runs again only for other inputs."""
    marker = review.folder.parent / "setups"
    setup = f"sh -c 'echo run >> {marker}; mkdir deps; echo installed > deps/state; echo .x > .x'"
    options: dict = {"setup": setup, "setup_inputs": ("*.lock",), "checks": checks("grep -q installed deps/state")}
    found = [review.verify(repository.candidate({"main.txt": text}), **options)[0] for text in (GOOD, BAD)]
    repository.write({"main.txt": "another base, the same inputs\none\n"})
    repository.commit()
    review.verify(repository.candidate({"main.txt": "one\n"}), **options)
    once = marker.read_text()
    repository.write({"poetry.lock": "2\n"})
    repository.commit()
    review.verify(repository.candidate({"main.txt": "one\n"}), **options)

    assert ([verdicts(each) for each in found], once, marker.read_text()) == (
        [[("passed", "passed")]] * 2,
        "run\n",
        "run\nrun\n",
    )


def test_a_candidate_that_changes_a_setup_is_unchecked(repository: Repository, review: Review) -> None:
    """A changed input, or files where the setup has its own, leave the candidate unchecked; others are checked."""
    found = review.verify(
        repository.candidate({"poetry.lock": "2\n"}, "input"),
        repository.candidate({"deps/evil": "x\n"}, "output"),
        repository.candidate({"main.txt": GOOD}, "good"),
        setup="mkdir deps",
        checks=checks(TEST),
    )

    assert [(each.unchecked, len(each.checks)) for each in found] == [
        ("it changes poetry.lock, which the setup depends on", 0),
        ("it adds deps/evil, where the setup has its files", 0),
        (None, 1),
    ]


def test_a_setup_that_fails_leaves_candidates_unchecked(repository: Repository, review: Review) -> None:
    """The reason has the exit status and the last line of the output."""
    (found,) = review.verify(
        repository.candidate({"main.txt": GOOD}), setup="sh -c 'echo no network; exit 3'", checks=checks(TEST)
    )

    assert (found.applies, found.unchecked) == (True, "the setup failed (exit status 3): no network")


def test_the_repository_is_not_changed(repository: Repository, review: Review) -> None:
    """A verification writes nothing into the repository, nor anything else that it leaves in its folder of runs."""
    candidate = repository.candidate({"main.txt": GOOD})
    before = {str(path): path.lstat().st_mtime_ns for path in repository.path.rglob("*")}
    review.verify(candidate, checks=checks("sh -c 'echo x > main.txt; rm -rf .git tests; git gc; chmod 000 .'"))
    after = {str(path): path.lstat().st_mtime_ns for path in repository.path.rglob("*")}

    assert (after, [*(review.folder / "runs").iterdir()]) == (before, [])


def test_a_command_gets_four_variables(repository: Repository, review: Review) -> None:
    """Commands get PATH, LANG, an empty home and a temporary folder of their own; no variable of ours."""
    (found,) = review.verify(
        repository.candidate({"main.txt": GOOD}), checks=checks("sh -c 'env; ls -A $HOME $TMPDIR'")
    )
    names = {line.partition("=")[0] for line in found.checks[0].log.splitlines() if "=" in line}

    assert names - {"PWD", "SHLVL", "OLDPWD", "_", "__CF_USER_TEXT_ENCODING"} == {"PATH", "LANG", "HOME", "TMPDIR"}


def test_a_cancelled_verification_ends_its_commands(repository: Repository, review: Review) -> None:
    """Cancelling ends the running command at once, and raises."""
    scope = CancelScope()
    review.progress = _CancelsAtTheFirst(scope)

    with pytest.raises(Cancelled):
        review.verify(repository.candidate({"main.txt": GOOD}), checks=checks("sleep 1000"), scope=scope)


class _CancelsAtTheFirst(list):  # type: ignore[type-arg]
    def __init__(self, scope: CancelScope) -> None:
        super().__init__()
        self._scope = scope

    def append(self, _: object) -> None:
        self._scope.cancel()


def test_a_command_that_is_too_slow_is_ended(repository: Repository, review: Review) -> None:
    """A check has the time that it was given, and ends with an error."""
    check = Check(name="slow", run="sleep 1000", timeout=0.3)
    (found,) = review.verify(repository.candidate({"main.txt": GOOD}), checks=(check,))

    assert (found.checks[0].verdict, found.checks[0].reason) == ("error", "it was ended after 0.3 s")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"checks": checks("sh 'open")}, 'check 1: "sh \'open" cannot be split into words: No closing quotation'),
        ({"checks": checks(" ")}, "check 1 has no command"),
        ({"checks": checks("true") * 2}, "there are two checks with the name 1"),
        ({"checks": checks("true"), "setup": ""}, "setup has no command"),
        ({"checks": checks("true"), "sandbox": "auto", "readable": ("/no/such",)}, "readable: there is no /no/such"),
        ({"checks": checks("true"), "sandbox": "auto", "readable": ("x",)}, "readable: x is not an absolute path"),
    ],
)
def test_a_verification_that_makes_no_sense_is_refused(
    repository: Repository, review: Review, options: dict[str, object], message: str
) -> None:
    """Bad commands and paths are one line, before anything is run."""
    with pytest.raises(ConfigurationError) as refused:
        review.verify(repository.candidate({"main.txt": GOOD}), **options)

    assert str(refused.value) == message


def test_a_folder_that_cannot_be_used_is_refused(repository: Repository, review: Review) -> None:
    """A file in the place of the folder is one line, with the remedy."""
    review.folder.write_text("")
    with pytest.raises(ConfigurationError) as refused:
        review.verify(repository.candidate({"main.txt": GOOD}), checks=checks(TEST))

    assert str(refused.value) == f"the folder {review.folder} cannot be used for checks: File exists"


def test_clones_of_a_killed_process_are_removed(repository: Repository, review: Review) -> None:
    """The next run removes the folders of runs whose locks are free."""
    left = review.folder / "runs" / "0123"
    left.mkdir(parents=True)
    (left.parent / "0123.lock").touch()
    review.verify(repository.candidate({"main.txt": GOOD}), checks=checks("true"))

    assert os.listdir(left.parent) == []


def test_a_lock_that_another_process_has_taken_is_left_to_it(
    repository: Repository, review: Review, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that looks for folders to remove may take the lock of a new run: the run gets another name."""
    taken = iter([True])
    monkeypatch.setattr(verification_folder, "try_lock", lambda path: None if next(taken, False) else try_lock(path))
    (found,) = review.verify(repository.candidate({"main.txt": GOOD}), checks=checks("true"))

    assert verdicts(found) == [("passed", "passed")]


def test_threads_may_read_one_repository_at_once(tmp_path: Path, repository: Repository) -> None:
    """Verifications of one process share a mirror, whose settings each of them may be the first to write."""
    git_command = Git(os.environ)

    def settings(folder: Path, barrier: Barrier) -> bool:
        mirror = Mirror(folder, repository.path, git_command, scope=CancelScope())
        barrier.wait()
        return Path(mirror.trust()["GIT_CONFIG_GLOBAL"]).exists()

    with ThreadPoolExecutor(8) as pool:
        for number in range(20):
            (folder := tmp_path / f"mirrors-{number}").mkdir()
            barrier = Barrier(8)

            assert all(pool.map(settings, [folder] * 8, [barrier] * 8))
