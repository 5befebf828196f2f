"""The command line in this process, in front of a scripted cloud."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from coatcheck._cli.app import run
from coatcheck._cli.console import Console
from coatcheck._cli.process_env import ProcessEnv
from coatcheck.cloud.scripted_cloud import ScriptedCloud
from coatcheck.testing.emulator_transport import EmulatorTransport
from coatcheck.testing.fake_clock import FakeClock


class Result:
    """What one run of the command line did."""

    def __init__(self, code: int, out: bytes, err: bytes) -> None:
        self.code, self.data = int(code), out
        self.out, self.err = out.decode(), err.decode()

    def __repr__(self) -> str:
        return f"exit {self.code}\n{self.out}\n--- stderr\n{self.err}"

    @property
    def json(self) -> Any:
        return json.loads(self.data)

    @property
    def error(self) -> Any:
        assert "" == self.err, self
        return self.json["error"]

    @property
    def line(self) -> str:
        """The text of stderr, which must be one line that begins with coatcheck."""
        assert self.out == "", self
        assert self.err.startswith("coatcheck: "), self
        assert self.err.count("\n") == 1, self
        assert "Traceback" not in self.err
        return self.err.removeprefix("coatcheck: ").rstrip("\n")


class Cli:
    """The command line in this process, in front of a scripted cloud (or of any handler)."""

    def __init__(self, folder: Path, service: Any = None, **environ: str) -> None:
        self.cloud = service if service is not None else ScriptedCloud()
        self.folder, self.clock = folder, FakeClock()
        self.environ = {
            "HOME": str(folder.parent / f"{folder.name}-home"),
            "CODEX_ACCESS_TOKEN": self._token(),
            **environ,
        }
        self.is_terminal = self.is_asking = False

    def _token(self) -> str:
        return self.cloud.tokens.access_token if isinstance(self.cloud, ScriptedCloud) else "made-up-token"

    def __call__(self, *arguments: str, stdin: bytes = b"") -> Result:
        out, err = io.BytesIO(), io.BytesIO()
        console = Console(out, err, environ=self.environ, is_terminal=self.is_terminal, is_interactive=self.is_terminal)
        process_env = ProcessEnv(
            environ=self.environ,
            folder=str(self.folder),
            stdin=io.BytesIO(stdin),
            console=console,
            is_asking=self.is_asking,
            transport=EmulatorTransport(self.cloud),
            clock=self.clock,
        )
        return Result(run(arguments, process_env), out.getvalue(), err.getvalue())

    def submit(self, *options: str, prompt: str = "Add dark mode") -> str:
        """Submit a task and return its ref."""
        done = self("submit", "--environment", "owner/repo", *options, prompt)
        assert done.code == 0, done
        return done.out.strip()


def completed(cli: Cli, line: str) -> list[str]:
    """Return the values that complete *line*."""
    cli.environ |= {"_COATCHECK_COMPLETE": "bash", "_COATCHECK_LINE": line}
    answers = [each.split("\t") for each in cli().out.splitlines()]
    for name in ("_COATCHECK_COMPLETE", "_COATCHECK_LINE"):
        del cli.environ[name]
    return [value if kind == "plain" else kind for kind, value, *_ in answers]
