from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from coatcheck import errors
from coatcheck._fleet.file import read_file, schema
from coatcheck._fleet.planning import plan_items
from coatcheck._fleet.spec import FleetSpec, build_spec
from coatcheck._review.protected_paths import DEFAULT_PROTECTED

FILE = """
version = 1
name = "typing"

[task]
prompt = "Add type hints to {package}."
title = "Typing: {package}"
base = "main"

[items]
repository = ["acme/api", "acme/web"]
package = ["core", "http"]
exclude = [{ repository = "acme/web", package = "http" }]
include = [{ repository = "acme/cli", package = "main", base = "trunk" }]

[[candidates]]
provider = "codex"
attempts = 2
[[candidates]]
provider = "jules"

[verify]
setup = "uv sync --frozen"
protected = ["tests/**"]
limits = { cpu = "10m", memory = "2GiB" }
[[verify.checks]]
name = "tests"
run = "pytest -q"

[budget]
tasks = 500
concurrent = { codex = 10 }
deadline = "48h"

[rollout]
waves = ["1", "50%"]
"""


def read(folder: Path, text: str, *, name: str = "fleet.toml") -> FleetSpec:
    """Return the fleet of a file with this text."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return build_spec(read_file(path), folder=folder)


def test_items_are_a_product_less_exclusions_and_with_additions(tmp_path: Path) -> None:
    """Each item has the prompt, the title and the base of its variables, in the order of the file."""
    spec = read(tmp_path, FILE)
    shown = [(item.key, item.prompt, item.base) for item in spec.items]

    assert [
        ("acme/api core", "Add type hints to core.", "main"),
        ("acme/api http", "Add type hints to http.", "main"),
        ("acme/web core", "Add type hints to core.", "main"),
        ("acme/cli main trunk", "Add type hints to main.", "trunk"),
    ] == shown


def test_values_have_units(tmp_path: Path) -> None:
    """Durations, sizes and shares are read as they are written."""
    spec = read(tmp_path, FILE)
    limits = spec.verification.limits

    assert (600.0, 2 * 1024**3, 48 * 3600.0, (1, 2, 4), 10, None) == (
        limits.cpu,
        limits.memory,
        spec.deadline,
        spec.wave_sizes(),
        spec.concurrent("codex"),
        spec.concurrent("jules"),
    )


def test_toml_and_json_are_the_same_fleet(tmp_path: Path) -> None:
    """A fleet has one digest, whichever way its file is written."""
    import tomllib

    as_json = json.dumps(dict(reversed(tomllib.loads(FILE).items())))

    assert read(tmp_path, FILE).digest == read(tmp_path, as_json, name="fleet.json").digest


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("items.csv", '\ufeffrepository,package\nacme/api,"core, http"\n'),
        ("items.jsonl", '{"repository": "acme/api", "package": "core, http"}\n\n'),
    ],
)
def test_items_come_from_a_file(tmp_path: Path, name: str, text: str) -> None:
    """Rows of a CSV or JSON Lines file are items."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    spec = read(
        tmp_path,
        f'name = "x"\n[task]\nprompt = "Fix {{package}}."\n[items]\nfrom = "{name}"\n[[candidates]]\nprovider = "codex"',
    )

    assert ["Fix core, http."] == [item.prompt for item in spec.items]


def test_a_blank_prompt_costs_its_own_item(tmp_path: Path) -> None:
    """An item whose prompt is blank is a problem of the plan, and the others are planned."""
    spec = read(
        tmp_path,
        'name = "x"\n[task]\nprompt = " {text}"\n[items]\nid = [1, 2]\ntext = ["fix", " "]\n'
        '[[candidates]]\nprovider = "codex"',
    )
    items, problems = plan_items(spec, known={}, resolve=lambda *_: None)

    assert (["1 fix", "2 fix"], ["1  ", "2  "]) == ([item.key for item in items], [*problems])


HEAD = 'name = "x"\n[[candidates]]\nprovider = "codex"\n'
TASK = '[task]\nprompt = "Fix it."\n'
ITEMS = '[items]\nrepository = "acme/api"\n'


@pytest.mark.parametrize(
    ("verify", "protected"),
    [
        ("", DEFAULT_PROTECTED),
        ("[verify]\nsandbox = 'none'\n", DEFAULT_PROTECTED),
        ("[verify]\nprotected = ['a']\n", ("a",)),
        ("[verify]\nprotected = []\n", ()),
    ],
)
def test_tests_are_protected_by_default(tmp_path: Path, verify: str, protected: tuple[str, ...]) -> None:
    """The protected paths of a fleet are those of reviews, unless the file has others or none."""
    assert protected == read(tmp_path, HEAD + TASK + ITEMS + verify).verification.protected


@pytest.mark.parametrize(
    ("text", "message", "remedy"),
    [
        (HEAD + TASK + ITEMS + "[bugdet]\ntasks = 1", "there is no key bugdet", "budget"),
        (HEAD + TASK + ITEMS + "[verify]\n[[verify.checks]]\nname = 'a'\nrn = 'b'", "verify.checks[0].rn", "run"),
        (
            HEAD + TASK + ITEMS + "[verify]\nprotected = ['../x']",
            "the protected pattern '../x' contains ..",
            "relative",
        ),
        (HEAD + TASK + ITEMS + "[verify]\nsetup = 'npm ci; npm test'", "the setup 'npm ci; npm test' has ';'", "sh -c"),
        (HEAD + '[task]\nprompt = "x"\nprompt_file = "y"\n' + ITEMS, "task has prompt and prompt_file", "one of"),
        (HEAD + "[task]\n" + ITEMS, "task has no prompt", "one of"),
        (HEAD + '[task]\nprompt = "{pakage}"\n[items]\npackage = "a"', "pakage", "did you mean package"),
        (HEAD + '[task]\nprompt = " {package}"\n[items]\nid = 1\npackage = " "', "is blank", "task.prompt"),
        (HEAD + TASK + "[items]\nrepository = ['a/b', 'a/b']", "two items have the key 'a/b'", "key"),
        (HEAD + TASK + "[items]\nrepository = []", "items.repository is empty", "at least one"),
        (HEAD + TASK + "[items]\nnumber = [true]", "items.number should be text", "quotes"),
        (HEAD + TASK, "items has no item", "repository"),
        ('name = "x"\n' + TASK + ITEMS, "candidates is missing", "add candidates"),
        ('name = "a b"\n' + HEAD[11:] + TASK + ITEMS, "name is not usable", "letters"),
        (HEAD + TASK + ITEMS + "[budget]\ntasks = 0", "budget.tasks", None),
        (HEAD + TASK + ITEMS + "[budget]\nspend = 0", "budget.spend: expected `float` > 0.0", None),
        (HEAD + TASK + ITEMS + "[budget]\nspend = inf", "budget.spend: expected `float` <", None),
        (HEAD + TASK + ITEMS + 'exclude = [{ repositry = "x" }]', "which no item has", "did you mean repository"),
        (HEAD + TASK + ITEMS + "[budget]\nspent = 9.5", "there is no key budget.spent", "spend"),
        (HEAD + TASK + ITEMS + "[budget]\nconcurrent = { codx = 1 }", "budget.concurrent names codx", "codex"),
        (HEAD + TASK + ITEMS + '[budget]\ndeadline = "soon"', "budget.deadline should be a duration", None),
        (HEAD + TASK + ITEMS + '[rollout]\nwaves = ["ten"]', "rollout.waves[0]", "10%"),
        (
            HEAD + TASK + ITEMS + '[rollout]\nwaves = ["50%", 3, "10%"]',
            "rollout.waves has '10%' after '50%'",
            "growing",
        ),
        (HEAD + TASK + '[items]\nfrom = "none.csv"', "none.csv cannot be read", "items.from"),
        (HEAD + TASK + '[items]\nid = "1"\n[deliver]\nto = "branch"', "no repository to deliver", "patch"),
        ("name = [", "is not TOML", "TOML"),
    ],
)
def test_a_mistake_is_one_line_with_the_file_and_the_key(
    tmp_path: Path, text: str, message: str, remedy: str | None
) -> None:
    """What does not fit raises `ConfigurationError` that names the key and says what to write."""
    with pytest.raises(errors.ConfigurationError) as caught:
        read(tmp_path, text)

    assert (True, True, False) == (
        message in str(caught.value),
        remedy is None or remedy in (caught.value.remedy or ""),
        "\n" in str(caught.value) and "TOML" not in message,
    )


def test_the_schema_knows_every_key_of_the_example(tmp_path: Path) -> None:
    """The JSON Schema of the file is valid JSON and names the tables."""
    properties = schema()["$defs"]["FleetSections"]["properties"]

    assert {"name", "task", "items", "candidates", "verify"} <= set(properties)
    assert msgspec.json.encode(schema())
