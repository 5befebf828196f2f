"""Write docs/pictures/page.png: the comparison of `coatcheck demo --web`, in Chromium.

Needs Chromium and Playwright (``make peers`` installs the latter into .venv/peers/python).
Run it after a change of the page, and look at the picture.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from subprocess import PIPE

ROOT = Path(__file__).parents[3]
PICTURES = ROOT / "docs" / "pictures"
PYTHON = ROOT / ".venv" / "peers" / "python" / "bin" / "python"
COATCHECK = Path(sys.executable).with_name("coatcheck")

# Run by the Python that has Playwright: the browser, the link, and where the picture is written.
BROWSER = """
import sys
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    chromium = playwright.chromium.launch(executable_path=sys.argv[1], args=["--no-sandbox"])
    page = chromium.new_page(viewport={"width": 1280, "height": 860})
    page.goto(sys.argv[2])
    page.goto(page.url.partition("?")[0] + "/compare?candidate=2&view=split")
    page.wait_for_selector("details.file .d tr")
    page.evaluate("document.querySelector('footer').hidden = true")
    page.screenshot(path=f"{sys.argv[3]}/page.png")
    chromium.close()
"""


def main() -> None:
    """Write the picture."""
    chromium = shutil.which("chromium", path=f"{ROOT / '.venv' / 'peers' / 'bin'}:/usr/bin")
    if chromium is None or not PYTHON.exists():
        sys.exit("make_screenshot.py: there is no Chromium with Playwright; run make peers")
    with tempfile.TemporaryDirectory() as folder:
        environ = {"HOME": folder, "PATH": os.environ["PATH"]}
        command = [str(COATCHECK), "demo", "--web", "--folder", f"{folder}/website", "--json"]
        with subprocess.Popen(command, env=environ, cwd=folder, stdout=PIPE, text=True) as demo:
            try:
                link = json.loads(demo.stdout.readline() if demo.stdout else "")["link"]
                subprocess.run([PYTHON, "-c", BROWSER, chromium, link, PICTURES], check=True, timeout=240)
            finally:
                demo.terminate()


if __name__ == "__main__":
    main()
