from __future__ import annotations

from pathlib import Path

import pytest
from tests import checkouts
from tests.checkouts import git

from coatcheck import errors
from coatcheck._app.apply import ApplyOptions, apply_patch, undo_last
from coatcheck._app.checkout import current_branch, find_root, repositories
from coatcheck._app.field_errors import FieldError
from coatcheck._app.outcomes import choose_patch, load_patch, load_task
from coatcheck._app.patch_files import PatchOptions
from coatcheck._app.review import compare_two, read_patch, review_attempts
from coatcheck._model.tasks import Task
from coatcheck._runtime.client import Client


@pytest.fixture
def task(client: Client) -> Task:
    """An ended task with two attempts, of which the second has a diff."""
    return client.poll_task(client.create_task("Add it", environment="owner/repo", attempts=2).ref)


def test_the_first_attempt_with_a_diff_is_chosen(client: Client, task: Task) -> None:
    """Without a number the first attempt that has a diff is read."""
    loaded = read_patch(client, task.ref, None)

    assert (2, ["hello.txt"]) == (loaded.number, [change.path for change in loaded.patch.files])


@pytest.mark.parametrize(("expected", "number"), [("attempt 1 of .* has no diff", 1), ("has no attempt 7", 7)])
def test_an_attempt_without_a_diff(client: Client, task: Task, expected: str, number: int) -> None:
    """An attempt that does not exist or has no diff is an error that names the others."""
    with pytest.raises(errors.CoatcheckError, match=expected) as caught:
        read_patch(client, task.ref, number)

    assert "2" in (caught.value.remedy or "")


def test_names_are_changed_as_git_apply_does(client: Client, task: Task) -> None:
    """A folder is put before the names of the patch."""
    patch = read_patch(client, task.ref, 2, PatchOptions(directory="sub")).patch

    assert ["sub/hello.txt"] == [change.path for change in patch.files]


def test_attempts_are_reviewed_and_compared(client: Client, task: Task) -> None:
    """All attempts are listed; two that have no diffs cannot be compared."""
    assert 2 == len(review_attempts(client, task.ref).attempts)
    with pytest.raises(errors.TaskError, match="has no diff"):
        compare_two(client, task.ref, (1, 2))


def test_a_patch_is_applied_and_undone(client: Client, task: Task, checkout: Path) -> None:
    """Applying returns what was done to each file, and undoing restores it."""
    report = apply_patch(str(checkout), load_patch(client, task, None), task=task)
    text = (checkout / "hello.txt").read_text()
    undone = undo_last(str(checkout))

    assert (True, "hello\nworld\n") == (report.is_complete, text)
    assert (True, frozenset()) == (undone.is_complete, undone.removed)
    assert "hello\n" == (checkout / "hello.txt").read_text()


def test_a_check_changes_nothing(client: Client, task: Task, checkout: Path) -> None:
    """With `check` the report is the same, and the checkout is unchanged."""
    options = ApplyOptions(check=True)
    report = apply_patch(str(checkout), load_patch(client, task, None), options, task=task)

    assert (True, "hello\n") == (report.is_complete, (checkout / "hello.txt").read_text())


def test_a_patch_is_committed_to_a_branch(client: Client, task: Task, checkout: Path) -> None:
    """With `branch` the patch is a commit that names the task, and the work tree is unchanged."""
    options = ApplyOptions.of(branch="dark-mode")
    apply_patch(str(checkout), load_patch(client, task, None), options, task=task)

    assert f"Coatcheck-Task: {task.ref}" in git(checkout, "log", "-1", "--format=%B", "dark-mode")
    assert "topic" == current_branch(str(checkout))


@pytest.mark.parametrize(
    ("expected", "options"),
    [
        ("branch and check cannot be combined", {"branch": "b", "check": True}),
        ("branch and markers cannot be combined", {"branch": "b", "markers": True}),
        ("start needs branch", {"start": "HEAD"}),
    ],
)
def test_options_that_contradict(expected: str, options: dict[str, object]) -> None:
    """Options that contradict one another are an error that names the fields."""
    with pytest.raises(FieldError, match=expected):
        ApplyOptions.of(**options)


def test_a_selection_without_files(client: Client, task: Task, checkout: Path) -> None:
    """A selection that leaves no file is an error that lists the files."""
    with pytest.raises(FieldError, match="include and exclude leave no file") as caught:
        apply_patch(str(checkout), load_patch(client, task, None), ApplyOptions(include=("*.md",)))

    assert "the patch changes hello.txt" == caught.value.remedy


def test_undo_without_an_application(checkout: Path) -> None:
    """Without an application there is nothing to undo."""
    with pytest.raises(errors.PatchConflictError):
        undo_last(str(checkout))


def test_a_loaded_task_has_the_outcomes_of_its_attempts(client: Client, task: Task) -> None:
    """Loading a task with several attempts loads their outcomes."""
    loaded = load_task(client, task.ref)

    assert (2, 2) == (len(loaded.attempts), choose_patch(loaded, loaded.attempts, None).number)


def test_a_checkout_is_found_from_a_folder_inside(checkout: Path) -> None:
    """The root is the nearest folder with git's data; elsewhere there is none."""
    (checkout / "inside").mkdir()

    assert str(checkout) == find_root(str(checkout / "inside"))
    assert None is find_root(str(checkout.parent))


def test_a_folder_named_git_that_is_no_repository_is_passed_over(tmp_path: Path) -> None:
    """An empty ``.git`` hides neither the checkout around it nor that there is none."""
    (tmp_path / "work" / "inside" / ".git").mkdir(parents=True)
    before = find_root(str(tmp_path / "work" / "inside"))
    checkouts.mark(tmp_path / "work")

    assert (None, str(tmp_path / "work")) == (before, find_root(str(tmp_path / "work" / "inside")))


def test_repositories_of_a_checkout(checkout: Path) -> None:
    """Each remote's repository is named once."""
    for name, url in {
        "origin": "git@github.com:a/b.git",
        "copy": "https://github.com/A/B",
        "up": "/srv/c/d",
    }.items():
        git(checkout, "remote", "add", name, url)

    assert ("A/B",) == repositories(str(checkout))
