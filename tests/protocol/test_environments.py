from __future__ import annotations

import pytest

from coatcheck import Environment, errors
from coatcheck.provider import choose_environment

ONE = Environment(id="1" * 32, label="owner/repo", repositories=("Owner/Repo",))
TWO = Environment(id="2" * 32, label="Beta", repositories=("owner/repo", "owner/other"))
THREE = Environment(id="3" * 32, label="beta")
FOUR = Environment(id="4" * 32)


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ("1" * 32, ONE),
        (" OWNER/REPO ", ONE),
        ("owner/other", TWO),
        ("https://github.com/owner/other.git", TWO),
        ("4" * 32, FOUR),
    ],
)
def test_an_id_a_label_or_a_repository_chooses(wanted: str, chosen: Environment) -> None:
    """An id is tried first, then a label in any case, then a repository."""
    assert chosen == choose_environment([ONE, TWO, THREE, FOUR], wanted)


def test_ambiguity_lists_the_candidates() -> None:
    """A label that two environments have is an error naming both, and only them."""
    with pytest.raises(errors.ConfigurationError) as raised:
        choose_environment([ONE, TWO, THREE], "BETA")

    assert f"'BETA' names 2 environments: Beta ({TWO.id}), beta ({THREE.id})" == str(raised.value)


def test_case_is_ignored_in_ascii_only() -> None:
    """Labels are compared as the official client does: other letters keep their case."""
    with pytest.raises(errors.ConfigurationError):
        choose_environment([Environment(id="x", label="ÉTÉ")], "été")


def test_an_unknown_name_shows_what_there_is() -> None:
    """The remedy lists the environments, shortened where there are hundreds."""
    many = [Environment(id=str(number)) for number in range(300)]
    with pytest.raises(errors.ConfigurationError) as raised:
        choose_environment(many, "nope")

    assert "there are: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 290 more" == raised.value.remedy


def test_no_environment_at_all() -> None:
    """The error for a workspace without environments has a remedy."""
    with pytest.raises(errors.ConfigurationError, match="no cloud environments are available"):
        choose_environment([], "x")
