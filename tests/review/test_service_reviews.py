"""A program submits a task to several services, waits for all, and continues a review by its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.services_support import Broken, ManyServices

from coatcheck import Client, Journal, Review, TaskSpec, errors
from coatcheck._review.targets import divided, names_of

SPEC = TaskSpec(prompt="Add a line", repository="owner/repo")


@pytest.fixture
def services(tmp_path: Path) -> ManyServices:
    """Three services and a checkout."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    return ManyServices(folder)


def submit(services: ManyServices, **options: object) -> Review:
    """Submit the task to all of them."""
    arguments = {"on": ["codex:2", "jules", "local"], "name": "dark", "interval": 1.0, **options}
    return Review.submit(SPEC, repository=services.folder, **common(services), **arguments)  # type: ignore[arg-type]


def common(services: ManyServices) -> dict[str, object]:
    """Return the options of a program that uses the services."""
    return {"environ": services.environ, "clock": services.clock, "open_client": opener(services)}


def opener(services: ManyServices) -> Callable[[str, Journal], Client]:
    """Return the function that opens a client of a service."""

    def open_client(name: str, journal: Journal) -> Client:
        return Client(
            name, journal=journal, environ=services.environ, transport=services.services, clock=services.clock
        )

    return open_client


def test_the_results_of_several_services_are_candidates(services: ManyServices) -> None:
    """Every attempt of every service is a candidate, and one that a check passes is chosen."""
    review = submit(services)
    names = [each.name.partition(":")[0] for each in review.candidates]

    assert ("dark", ["codex", "codex", "jules", "local"], ["codex", "jules", "local"]) == (
        review.name,
        names,
        services.posts(),
    )


def test_a_service_that_fails_is_a_candidate_with_an_error(services: ManyServices) -> None:
    """The others compete without it; where all fail, the first error is raised."""
    services.services.handlers["jules"] = Broken()
    review = submit(services)
    (error,) = (each.error for each in review.candidates if each.name.startswith("jules"))
    with pytest.raises(errors.UnsupportedError, match="model"):
        Review.submit(TaskSpec(prompt="p", model="m"), on=["jules"], repository=services.folder, **common(services))  # type: ignore[arg-type]

    assert "no connection" in str(error)


def test_a_review_is_continued_by_its_name(services: ManyServices) -> None:
    """Nothing is submitted twice, and a review that does not exist is an error."""
    first = submit(services)
    second = Review.resume("dark", repository=services.folder, **common(services))  # type: ignore[arg-type]
    with pytest.raises(errors.ConfigurationError, match="there is no review 'bright'"):
        Review.resume("bright", repository=services.folder, **common(services))  # type: ignore[arg-type]

    assert ([each.name for each in first.candidates], ["codex", "jules", "local"]) == (
        [each.name for each in second.candidates],
        services.posts(),
    )


def test_attempts_are_divided_evenly() -> None:
    """As few tasks as the service needs, none with more than it makes."""
    cases = [(1, 1), (3, 1), (3, 4), (5, 4), (9, 4)]

    assert [(1,), (1, 1, 1), (3,), (3, 2), (3, 3, 3)] == [divided(*case) for case in cases]


def test_names_are_words_of_the_prompt() -> None:
    """A name is short, begins with a letter, and is made of the words of the task."""
    prompts = ["Add dark mode", "  Füge 2 Knöpfe hinzu!", "404 page", "写测试", "x" * 99, "fix the " + "word " * 20]

    assert [
        "add-dark-mode",
        "fuge-2-knopfe-hinzu",
        "review-404-page",
        "review",
        "x" * 32,
        "fix-the-word-word-word-word-word",
    ] == [next(names_of(None, prompt)) for prompt in prompts]
