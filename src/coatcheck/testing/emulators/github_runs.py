"""One run of the emulated Actions: its inputs, its steps, its result.

See docs/reference/protocols/services.md, "1.1 Endpoints", "1.2 The id of a dispatched run", "1.3 States", "1.4 Rate
limits, conditional polling" and "1.5 Result, PR, diff".
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections import deque
from collections.abc import Callable, Iterable, Mapping

import msgspec

from ..._values.value import Value
from . import github_documents as documents
from .github_rest import moment

# Artifacts are kept for 90 days by default (docs.github.com, "Usage limits"; seconds).
RETENTION = 90 * 24 * 3600.0
STEPS = ("Set up job", "Run the agent", "Upload the result", "Complete job")
PATCH = """\
diff --git a/hello.txt b/hello.txt
new file mode 100644
index 0000000..ce01362
--- /dev/null
+++ b/hello.txt
@@ -0,0 +1 @@
+hello
"""

Files = Mapping[str, bytes]


class Act(Value, frozen=True):
    """A state of a run in which *steps* of its job are done; it lasts at least *seconds*, until the run is requested."""

    status: str
    conclusion: str | None = None
    steps: int = 0
    seconds: float = 0.0


LIFE = (
    Act("queued"),
    Act("in_progress", steps=1),
    Act("in_progress", steps=2),
    Act("completed", "success", steps=len(STEPS)),
)


def failing(conclusion: str = "failure") -> tuple[Act, ...]:
    """Return the steps of a run that fails while the agent runs."""
    return (*LIFE[:2], Act("completed", conclusion, steps=2))


def made(inputs: Mapping[str, str]) -> Files | None:
    """Return the result of an ordinary run: a message and a patch."""
    document = {"base_commit": "1" * 40, "model": inputs.get("model")}
    return {
        "result.json": msgspec.json.encode(document),
        "message.md": f"Done: {inputs.get('prompt', '').partition(chr(10))[0]}\n".encode(),
        "patch.diff": PATCH.encode(),
    }


class Definition(Value, frozen=True, kw_only=True):
    """A workflow: the inputs that it declares, None where it cannot be dispatched, and which of them are *required*."""

    id: int
    file: str
    name: str = "Agent"
    inputs: frozenset[str] | None = frozenset()
    required: frozenset[str] = frozenset()
    title: str = "{title} [{task_id}]"

    def document(self, repository: str) -> dict[str, object]:
        """Return the document of the workflow."""
        path = f".github/workflows/{self.file}"
        return {
            "id": self.id,
            "node_id": f"W_{self.id}",
            "name": self.name,
            "path": path,
            "state": "active",
            "created_at": moment(0),
            "updated_at": moment(0),
            "url": f"https://api.github.com/repos/{repository}/actions/workflows/{self.id}",
            "html_url": f"https://github.com/{repository}/blob/main/{path}",
            "badge_url": f"https://github.com/{repository}/workflows/{self.name}/badge.svg",
        }


class EmulatedRun:
    """A run and the steps that follow."""

    def __init__(
        self,
        id: int,
        definition: Definition,
        *,
        repository: str,
        ref: str,
        inputs: Mapping[str, str],
        life: Iterable[Act],
        leaves: Callable[[Mapping[str, str]], Files | None],
        now: float,
    ) -> None:
        self.id, self.definition, self.repository, self.ref, self.inputs = id, definition, repository, ref, inputs
        self.created = self.started = self.updated = now
        self.attempt, self.number = 1, id % 1000
        self.archives: dict[int, tuple[bytes, float]] = {}
        self.is_deleted = False
        self._leaves = leaves
        self._begin(life, now)

    @property
    def title(self) -> str:
        """The name of the run, from its inputs."""
        fields = {"title": self.inputs.get("title") or "coatcheck", "task_id": self.inputs.get("task_id", "")}
        return self.definition.title.format(**fields)

    @property
    def has_ended(self) -> bool:
        """Whether no step follows."""
        return self.act.status == "completed"

    @property
    def job_id(self) -> int:
        """The number of the one job, which differs for each attempt."""
        return self.id * 100 + self.attempt

    def advance(self, now: float) -> None:
        """Take the next step, if the current one has lasted long enough."""
        self.catch_up(now)
        if self._acts and now - self._since >= self.act.seconds:
            self._become(self._acts.popleft(), now)

    def catch_up(self, now: float) -> None:
        """Take the steps that end by the clock."""
        while self._acts and 0 < self.act.seconds <= now - self._since:
            self._become(self._acts.popleft(), self._since + self.act.seconds)

    def end(self, conclusion: str, now: float) -> None:
        """End now, without the steps that follow."""
        self._acts.clear()
        self._become(Act("completed", conclusion, steps=self.act.steps), now)

    def restart(self, life: Iterable[Act], now: float) -> None:
        """Start another attempt of the same run (docs/reference/protocols/services.md, "1.1 Endpoints")."""
        self.attempt, self.started = self.attempt + 1, now
        self._begin(life, now)

    def _begin(self, life: Iterable[Act], now: float) -> None:
        self._acts = deque(life)
        self._become(self._acts.popleft(), now)

    def _become(self, act: Act, now: float) -> None:
        self.act, self._since, self.updated = act, now, now
        if act.status == "completed" and (files := self._leaves(self.inputs)) is not None:
            self.archives[self.id * 10 + self.attempt] = (archive(files), now)

    # -- documents ---------------------------------------------------------------------------------------------------

    def document(self) -> dict[str, object]:
        """Return the document of the run (docs/reference/protocols/services.md, "1.1 Endpoints")."""
        at = f"https://api.github.com/repos/{self.repository}/actions/runs/{self.id}"
        repository = documents.repository(self.repository)
        before = f"{at}/attempts/{self.attempt - 1}" if self.attempt > 1 else None
        return {
            "id": self.id,
            "name": self.definition.name,
            "node_id": f"WFR_{self.id}",
            "head_branch": self.ref,
            "head_sha": "1" * 40,
            "path": f".github/workflows/{self.definition.file}",
            "display_title": self.title,
            "run_number": self.number,
            "event": "workflow_dispatch",
            "status": self.act.status,
            "conclusion": self.act.conclusion,
            "workflow_id": self.definition.id,
            "check_suite_id": self.id,
            "check_suite_node_id": f"CS_{self.id}",
            "url": at,
            "html_url": f"https://github.com/{self.repository}/actions/runs/{self.id}",
            "pull_requests": [],
            "created_at": moment(self.created),
            "updated_at": moment(self.updated),
            "run_attempt": self.attempt,
            "run_started_at": moment(self.started),
            "jobs_url": f"{at}/jobs",
            "logs_url": f"{at}/logs",
            "check_suite_url": f"https://api.github.com/repos/{self.repository}/check-suites/{self.id}",
            "artifacts_url": f"{at}/artifacts",
            "cancel_url": f"{at}/cancel",
            "rerun_url": f"{at}/rerun",
            "previous_attempt_url": before,
            "workflow_url": f"https://api.github.com/repos/{self.repository}/actions/workflows/{self.definition.id}",
            "head_commit": None,
            "repository": repository,
            "head_repository": repository,
        }

    def job(self) -> dict[str, object]:
        """Return the document of the job (docs/reference/protocols/services.md, "1.1 Endpoints")."""
        at = f"https://api.github.com/repos/{self.repository}/actions/jobs/{self.job_id}"
        has_begun = self.act.status in ("in_progress", "completed")
        return {
            "id": self.job_id,
            "run_id": self.id,
            "run_url": f"https://api.github.com/repos/{self.repository}/actions/runs/{self.id}",
            "run_attempt": self.attempt,
            "node_id": f"CR_{self.job_id}",
            "head_sha": "1" * 40,
            "head_branch": self.ref,
            "workflow_name": self.definition.name,
            "url": at,
            "html_url": f"https://github.com/{self.repository}/actions/runs/{self.id}/job/{self.job_id}",
            "status": self.act.status,
            "conclusion": self.act.conclusion,
            "created_at": moment(self.started),
            "started_at": moment(self.started),
            "completed_at": moment(self.updated) if self.has_ended else None,
            "name": "agent",
            "steps": [self._step(number, name) for number, name in enumerate(STEPS, 1)] if has_begun else [],
            "check_run_url": f"https://api.github.com/repos/{self.repository}/check-runs/{self.job_id}",
            "labels": ["ubuntu-latest"],
            "runner_id": 1 if has_begun else None,
            "runner_name": "GitHub Actions 1" if has_begun else None,
            "runner_group_id": 0 if has_begun else None,
            "runner_group_name": "GitHub Actions" if has_begun else None,
        }

    def _step(self, number: int, name: str) -> dict[str, object]:
        done, runs = number <= self.act.steps, number == self.act.steps + 1 and not self.has_ended
        is_last = self.has_ended and number == self.act.steps
        skipped = self.has_ended and not done
        words = {True: self.act.conclusion if is_last else "success", False: "skipped" if skipped else None}
        return {
            "name": name,
            "status": "completed" if done or skipped else "in_progress" if runs else "queued",
            "conclusion": words[done],
            "number": number,
            "started_at": moment(self.started) if done or runs else None,
            "completed_at": moment(self.updated) if done else None,
        }

    def artifact(self, id: int, name: str, now: float) -> dict[str, object]:
        """Return the document of an artifact.

        See docs/reference/protocols/services.md, "1.1 Endpoints".
        """
        data, at = self.archives[id]
        where = f"https://api.github.com/repos/{self.repository}/actions/artifacts/{id}"
        return {
            "id": id,
            "node_id": f"A_{id}",
            "name": name,
            "size_in_bytes": len(data),
            "url": where,
            "archive_download_url": f"{where}/zip",
            "expired": now >= at + RETENTION,
            "digest": f"sha256:{hashlib.sha256(data).hexdigest()}",
            "created_at": moment(at),
            "updated_at": moment(at),
            "expires_at": moment(at + RETENTION),
        }

    def log(self) -> str:
        """Return the log of the job up to the current step."""
        lines = [f"##[group]{name}\n{name} is done" for name in STEPS[: self.act.steps]]
        return (
            "\ufeff" + "\n".join(f"{moment(self.started)} {line}" for text in lines for line in text.split("\n")) + "\n"
        )

    def log_archive(self) -> bytes:
        """Return the archive of all logs with one file for each step, as the service has it."""
        steps = enumerate(STEPS[: self.act.steps], 1)
        return archive({f"agent/{number}_{name}.txt": f"{name} is done\n".encode() for number, name in steps})


def archive(files: Files) -> bytes:
    """Return a zip archive of *files*."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in files.items():
            opened.writestr(name, data)
    return buffer.getvalue()
