"""Chromium compares attempts on the page, and applies one to a checkout."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.checkouts import RepositoryCopies
from tests.peers.peer_support import TIME_LIMIT, bare_environ
from tests.web.test_compare import BASE, CHANGED, make_base
from tests.web.web_support import Pages

from coatcheck._server.http_protocol import limits_here
from coatcheck._server.listener import serving_app
from coatcheck.cloud.models import CloudResult
from coatcheck.cloud.scripted_cloud import AttemptScript, ScriptedCloud

HERE = Path(__file__).parent
PYTHON = str(HERE.parents[1] / ".venv/peers/python/bin/python")
CHROMIUM = shutil.which("chromium") or ""

pytestmark = [pytest.mark.peer, pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium on this machine")]

HOSTILE = (
    "diff --git a/<img src=x onerror=hacked=true> b/<img src=x onerror=hacked=true>\nnew file mode 100644\n--- /dev/null\n"
    "+++ b/<img src=x onerror=hacked=true>\n@@ -0,0 +1 @@\n+<script>hacked=true</script>\u202e\n"
)
DIFFS = (HOSTILE + CHANGED.format("thirty"), HOSTILE + CHANGED.format("THIRTY"), HOSTILE)


@pytest.mark.parametrize("width", [1280, 390])
def test_attempts_are_compared_and_applied_by_keyboard(
    width: int, tmp_path: Path, repositories: RepositoryCopies
) -> None:
    """By keys alone a person gets from a task to the one line in which attempts differ, and applies one; nothing hostile runs."""
    checkout = repositories.copy(make_base, tmp_path / "checkout")
    scripts = [AttemptScript(timeline=["completed"], result=CloudResult(diff=diff, messages=())) for diff in DIFFS]
    pages = Pages(tmp_path, ScriptedCloud(attempts=scripts), checkout=checkout)
    ref = pages.submit(attempts="3")
    with serving_app(pages.app.asgi, limits_here(), on_stop=pages.app.live.end) as origin:
        script = str(HERE / "compare_page_browser.py")
        arguments = [PYTHON, script, CHROMIUM, pages.site.new_link(origin), f"{origin}/tasks/{ref}/compare", str(width)]
        ran = subprocess.run(
            arguments, capture_output=True, timeout=TIME_LIMIT, check=False, env=bare_environ(tmp_path)
        )
    pages.site.close()
    assert ran.returncode == 0, ran.stderr.decode()
    seen = json.loads(ran.stdout)

    assert ["thirty", "THIRTY"] == seen["difference"]["lines"]
    assert (seen["difference"]["url"], False) == (seen["again"]["url"], "against" in seen["whole"]["url"])
    assert ("f.txt", "split", seen["split"]["url"]) == (
        seen["files"]["file"],
        seen["split"]["view"],
        seen["back"]["url"],
    )
    assert [(False, False)] * 7 == [
        (seen[step]["overflow"], seen[step]["isHacked"])
        for step in ("files", "second", "difference", "next", "split", "third", "checks")
    ]
    assert [] == seen["messages"]
    assert BASE.replace("line 30\n", "THIRTY\n") == (checkout / "f.txt").read_text()
