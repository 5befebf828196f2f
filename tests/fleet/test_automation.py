from __future__ import annotations

import pytest

from coatcheck._fleet.reviewing import decide
from coatcheck._fleet.sections import ApproveSection, AutoSection
from coatcheck._patches.parse import Patch


@pytest.mark.parametrize(
    "diff",
    [
        "--- /dev/null\n+++ b/.github/workflows/x.yml\n@@ -0,0 +1 @@\n+on: push\n",
        "--- a/.github/workflows/x.yml\n+++ /dev/null\n@@ -1 +0,0 @@\n-on: push\n",
        (
            "diff --git a/x.yml b/.github/workflows/x.yml\nsimilarity index 100%\n"
            "rename from x.yml\nrename to .github/workflows/x.yml\n"
        ),
        "--- a/AGENTS.md\n+++ b/AGENTS.md\n@@ -1 +1 @@\n-a\n+b\n",
    ],
)
@pytest.mark.parametrize("otherwise", ["person", "reject"])
def test_a_change_to_automation_files_waits_for_a_person(diff: str, otherwise: str) -> None:
    """Whatever the rules approve or reject, a person decides about what starts automation."""
    section = ApproveSection(auto=AutoSection(), otherwise=otherwise)  # type: ignore[arg-type]
    decision, why = decide(section, Patch.parse(diff.encode()), is_automatic=True, why="it passes tests")

    assert ("waiting", True) == (decision, "starts automation" in why)
