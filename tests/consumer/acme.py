"""A provider of a project's own, written with the public names and checked by mypy and pyright, both strict."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from coatcheck import Client, Message, Outcome, Page, Task, TaskRef, TaskSpec, TaskState
from coatcheck.provider import (
    Capabilities,
    Exchange,
    Factory,
    Login,
    Provider,
    ProviderSetting,
    Request,
    Response,
    Secret,
    Settings,
    Support,
    TaskFilter,
    Verb,
    base_url,
    check,
    decode,
    encoded,
    read_json,
)

STATES: Mapping[str, TaskState] = {"busy": TaskState.RUNNING, "done": TaskState.SUCCEEDED, "bad": TaskState.FAILED}


class Job(msgspec.Struct):
    """A job as the service sends it."""

    id: str
    state: str = ""
    prompt: str | None = None
    text: str | None = None


class Jobs(msgspec.Struct):
    """A page of the service's list."""

    jobs: list[Job] = []
    next: str | None = None


def to_task(job: Job, raw: bytes = b"") -> Task:
    """Return the task that *job* describes."""
    return Task(
        ref=TaskRef("acme", job.id),
        state=STATES.get(job.state, TaskState.UNKNOWN),
        raw_state=job.state,
        prompt=job.prompt,
        outcome=Outcome(messages=(Message(text=job.text),)) if job.text else None,
        raw=raw,
    )


class AcmeProvider:
    """The provider of an example service."""

    name = "acme"
    login = Login(name="acme", environment="ACME_TOKEN", remedy="set ACME_TOKEN")
    capabilities = Capabilities(
        verbs=dict.fromkeys((Verb.CREATE_TASK, Verb.GET_TASK, Verb.LIST_TASKS), Support.DOCUMENTED),
        reasons={Verb.CANCEL_TASK: "the service cannot stop a job"},
    )

    def __init__(self, url: str) -> None:
        self.origins: Mapping[str, str] = {"api": url}

    def authorize(self, request: Request, secret: Secret, now: float) -> Request:
        """Return *request* with the token."""
        return request.with_headers(("authorization", f"Bearer {secret.token}"))

    def prepare(self, spec: TaskSpec) -> Exchange[TaskSpec]:
        """Return *spec* as it is."""
        yield from ()
        return spec

    def create_task(self, spec: TaskSpec) -> Exchange[Task]:
        """Submit a job."""
        response = yield Request("POST", "/jobs", body=msgspec.json.encode({"prompt": spec.prompt}))
        return to_task(decode(response, Job), response.body)

    def get_task(self, ref: TaskRef) -> Exchange[Task]:
        """Read a job."""
        response = yield Request("GET", f"/jobs/{encoded(ref.id)}")
        return to_task(decode(response, Job), response.body)

    def get_task_response(self, ref: TaskRef) -> Exchange[bytes]:
        """Return the response about a job as it was received."""
        response: Response = yield Request("GET", f"/jobs/{encoded(ref.id)}")
        check(response)
        return response.body

    def list_tasks(
        self, *, filter: TaskFilter, environment: str | None, limit: int | None, cursor: str | None
    ) -> Exchange[Page]:
        """Return a page of jobs."""
        response = yield Request("GET", "/jobs", query=(("cursor", cursor),) if cursor else ())
        page = decode(response, Jobs)
        return Page(items=tuple(map(to_task, page.jobs)), cursor=page.next)

    def extract_response(self, response: bytes, siblings: bytes | None = None) -> Task:
        """Return the task in a saved response."""
        return to_task(read_json(response, Job), response)


def acme(settings: Settings) -> Provider:
    """Return the provider for *settings*: what the entry point names."""
    url = settings.get("base_url", variable="ACME_BASE_URL") or "https://acme.example"
    return AcmeProvider(base_url(url, of="acme"))


class TwoVerbs:
    """A provider that can only create a task and read one."""

    name = "two"
    login = Login(name="two", environment="TWO_TOKEN", remedy="set TWO_TOKEN")
    capabilities = Capabilities(verbs=dict.fromkeys((Verb.CREATE_TASK, Verb.GET_TASK), Support.DOCUMENTED))
    origins: Mapping[str, str] = {"api": "https://two.example"}
    settings = (ProviderSetting("base_url", "where the service is"),)

    def authorize(self, request: Request, secret: Secret, now: float) -> Request:
        """Return *request* with the token."""
        return request.with_headers(("authorization", f"Bearer {secret.token}"))

    def create_task(self, spec: TaskSpec) -> Exchange[Task]:
        """Submit a job."""
        response = yield Request("POST", "/jobs", body=msgspec.json.encode({"prompt": spec.prompt}))
        return to_task(decode(response, Job), response.body)

    def get_task(self, ref: TaskRef) -> Exchange[Task]:
        """Read a job."""
        response = yield Request("GET", f"/jobs/{encoded(ref.id)}")
        return to_task(decode(response, Job), response.body)


def two(settings: Settings) -> Provider:
    """Return the provider of two verbs."""
    del settings
    return TwoVerbs()


factory: Factory = two


def use_it() -> Task:
    """Pass a provider to a client as a value."""
    with Client(TwoVerbs(), token="secret") as client:
        return client.create_task("Say hello")
