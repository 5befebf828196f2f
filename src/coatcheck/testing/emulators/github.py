"""An emulator of GitHub: workflows, runs and their artifacts, pull requests, rate limits.

Invariants:

- a run advances by one step when it is requested, not before the time of its current step is over; steps that have a
  time also end by the clock in lists;
- invalid inputs, refs, versions and pages and a missing user agent are refused as the service refuses them;
- downloads are on another host for a minute, and a request with a token is refused there.

See docs/reference/protocols/services.md, "1 GitHub Actions".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from urllib.parse import unquote

import msgspec

from ..._protocol.effects import Clock, Request, Response
from ...cloud.faults import Fault
from . import github_documents as documents, github_login, github_rest as rest
from ._service import HttpService
from .github_agents import Agents
from .github_git import GitServer
from .github_graphql import created_data, new_pull_request, pull_request_data, repository_data
from .github_pulls import PullService
from .github_runs import LIFE, Act, Definition, EmulatedRun, Files, made

TOKEN = "ghp_" + "0" * 36
CLOUD_VERSIONS = ("2022-11-28", "2026-03-10")
SERVER_VERSIONS = ("2022-11-28",)
# From this version on a dispatch says which run it made (docs/reference/protocols/services.md, "1.2 The id of a
# dispatched run").
RETURNS_RUN_SINCE = "2026-03-10"
MAX_INPUTS = 25

INPUTS = frozenset(
    {"prompt", "task_id", "title", "model", "instructions", "starting_diff", "working_branch", "open_pull_request"}
)
WORKFLOWS = (
    Definition(id=161335, file="coatcheck.yml", inputs=INPUTS, required=frozenset({"prompt"})),
    Definition(id=161336, file="ci.yml", name="CI", inputs=None),
)
REPOSITORY = "owner/repo"

_REPO = r"/repos/([^/]+/[^/]+)"
# Method, path, the name that faults use, and the method of `GithubEmulator` that handles it.
ROUTES: tuple[tuple[str, re.Pattern[str], str, str], ...] = tuple(
    (method, re.compile(path), name, answer)
    for method, path, name, answer in (
        ("POST", _REPO + r"/actions/workflows/([^/]+)/dispatches", "create_task", "_dispatch"),
        ("GET", _REPO + r"/actions/workflows/([^/]+)/runs", "find_task", "_workflow_runs"),
        ("GET", _REPO + r"/actions/workflows/([^/]+)", "get_workflow", "_workflow"),
        ("GET", _REPO + r"/actions/workflows", "list_environments", "_workflows"),
        ("GET", _REPO + r"/actions/runs", "list_tasks", "_runs"),
        ("GET", _REPO + r"/actions/runs/(\d+)", "get_task", "_run"),
        ("GET", _REPO + r"/actions/runs/(\d+)/attempts/\d+", "get_task", "_run"),
        ("DELETE", _REPO + r"/actions/runs/(\d+)", "delete_task", "_delete"),
        ("POST", _REPO + r"/actions/runs/(\d+)/cancel", "cancel_task", "_cancel"),
        ("POST", _REPO + r"/actions/runs/(\d+)/force-cancel", "cancel_task", "_cancel"),
        ("POST", _REPO + r"/actions/runs/(\d+)/rerun", "rerun", "_rerun"),
        ("GET", _REPO + r"/actions/runs/(\d+)/(?:attempts/\d+/)?jobs", "list_jobs", "_jobs"),
        ("GET", _REPO + r"/actions/runs/(\d+)/artifacts", "list_artifacts", "_artifacts"),
        ("GET", _REPO + r"/actions/runs/(\d+)/(?:attempts/\d+/)?logs", "get_logs", "_logs"),
        ("GET", _REPO + r"/actions/jobs/(\d+)/logs", "get_log", "_log"),
        ("GET", _REPO + r"/actions/artifacts/(\d+)/zip", "get_artifact", "_artifact"),
        ("GET", _REPO + r"/check-runs/\d+/annotations", "annotations", "_nothing"),
        ("GET", _REPO + r"/pulls", "list_pulls", "_pulls"),
        ("POST", _REPO + r"/pulls", "create_pull", "_write_pull"),
        ("PATCH", _REPO + r"/pulls/(\d+)", "update_pull", "_write_pull"),
        ("POST", _REPO + r"/issues/(\d+)/labels", "add_labels", "_write_pull"),
        ("POST", _REPO + r"/pulls/(\d+)/requested_reviewers", "request_reviewers", "_write_pull"),
        ("POST", _REPO + r"/forks", "fork", "_write_pull"),
        ("GET", _REPO + r"/pulls/(\d+)", "get_pull", "_pull"),
        ("GET", _REPO + r"/compare/(.+)", "compare", "_compare"),
        ("GET", _REPO, "get_repository", "_repository"),
        ("GET", r"/rate_limit", "get_usage", "_limits"),
        ("GET", r"/user", "get_user", "_user"),
        ("POST", r"/graphql", "graphql", "_graphql"),
        ("POST", r"/agents/repos/([^/]+/[^/]+)/tasks", "create_task", "_create_agent_task"),
        ("GET", r"/agents/repos/([^/]+/[^/]+)/tasks", "list_tasks", "_agent_tasks"),
        ("GET", r"/agents/tasks", "list_tasks", "_agent_tasks"),
        ("GET", r"/agents/(?:repos/[^/]+/[^/]+/)?tasks/([^/]+)", "get_task", "_agent_task"),
    )
)
BLOB = re.compile(r"/blobs/(artifact|log|logs)/(\d+)")


class GithubEmulator(HttpService):
    """A GitHub with one user. Give `handle` to a transport of `coatcheck.testing`, or to `coatcheck.testing.serving`.

    *life* are the steps of new runs, and *leaves* returns their result for their inputs. *versions* are the supported
    API versions: without the newest, the response to a dispatch does not name the run. *unlisted* is for how many seconds
    a new run is in no list. *points* a minute are the secondary limit, *limit* an hour the primary one. *blobs* is the
    base URL of downloads. `pull_service` has the pull requests and what is refused. `agents` are the tasks of the coding agent, `pulls` the pull requests by number, `compares` the
    diffs between two refs (``base...head``), `logins` the logins by device code.
    """

    def __init__(
        self,
        life: Iterable[Act] = LIFE,
        *,
        leaves: Callable[[Mapping[str, str]], Files | None] = made,
        clock: Clock | None = None,
        faults: Iterable[Fault] = (),
        workflows: Iterable[Definition] = WORKFLOWS,
        refs: Iterable[str] = ("main", "next", "v1"),
        versions: Iterable[str] = CLOUD_VERSIONS,
        unlisted: float = 0.0,
        limit: int = 5000,
        points: int | None = None,
        artifact: str = "coatcheck",
        blobs: str = "http://127.0.0.1:1",
    ) -> None:
        super().__init__(clock=clock, faults=faults)
        self.life, self.leaves = tuple(life), leaves
        self.workflows, self.refs, self.versions = tuple(workflows), tuple(refs), tuple(versions)
        self.unlisted, self.artifact, self.blobs = unlisted, artifact, blobs
        self.token = TOKEN
        self.meter = rest.Meter(limit=limit, points=points)
        self.agents = Agents(self.clock)
        self.logins = github_login.LoginService(self.clock)
        self.pulls: dict[int, dict[str, object]] = {}
        self.pull_service = PullService(self.pulls)
        self.diffs: dict[int, bytes] = {}
        self.compares: dict[str, bytes] = {}
        self._runs_by_id: dict[int, EmulatedRun] = {}

    @property
    def tasks(self) -> tuple[object, ...]:
        """Every run and every agent's task, oldest first."""
        return (*self._runs_by_id.values(), *self.agents.tasks)

    def run(self, id: int | None = None) -> EmulatedRun:
        """Return a run, by default the newest."""
        return self._runs_by_id[max(self._runs_by_id) if id is None else id]

    def _route_of(self, request: Request) -> str:
        return find_route(request)[0]

    def _worded(self, fault: Fault, response: Response) -> Response:
        return rest.worded(fault, response)

    def _answer(self, request: Request) -> Response:
        git = self.pull_service.git
        if git is not None and (response := git.answer(request)) is not None:
            return response
        if blob := BLOB.fullmatch(request.path):
            return self._blob(request, blob[1], int(blob[2]))
        if request.path in github_login.ROUTES and request.method == "POST":
            return self.logins.answer(request)
        try:
            self._admit(request)
            _, answer, parts = find_route(request)
            if not answer:
                raise rest.NOT_FOUND
            found: Response = getattr(self, answer)(request, *parts)
            response = rest.tagged(request, found)
        except rest.RefusalError as refused:
            response = refused.response
        dated = {**response.headers, "date": rest.http_date(self.clock.time())}
        return self.meter.settle(msgspec.structs.replace(response, headers=dated))

    def _admit(self, request: Request) -> None:
        """Refuse a request without a user agent, with a wrong token or an unknown version, or above a rate limit."""
        headers = dict(request.headers)
        if "user-agent" not in headers:
            raise rest.refusal(403, "Request forbidden by administrative rules.")
        token = headers.get("authorization", "").partition(" ")[2]
        if not self.accepts(token):
            raise rest.refusal(401, "Bad credentials")
        if headers.get("x-github-api-version", self.versions[0]) not in self.versions:
            raise rest.refusal(400, "The API version is not supported.")
        self.meter.check(request, self.clock.time())

    def accepts(self, token: str) -> bool:
        """Whether a token is valid."""
        return token == self.token or self.logins.accepts(token)

    def serve_git(self, root: Path) -> GitServer:
        """Serve the bare repositories in *root*/OWNER/NAME.git beside the API."""
        service = self.pull_service
        service.git = GitServer(root, accepts=self.accepts, read_only=service.read_only)
        return service.git

    # -- workflows ---------------------------------------------------------------------------------------------------

    def _definition(self, named: str) -> Definition:
        for each in self.workflows:
            if named in (each.file, str(each.id)):
                return each
        raise rest.NOT_FOUND

    def _workflows(self, request: Request, repository: str) -> Response:
        documents = [each.document(repository) for each in self.workflows]
        return rest.page(request, documents, key="workflows", base=self._base(request))

    def _workflow(self, request: Request, repository: str, named: str) -> Response:  # noqa: ARG002 - every answer is given the request
        return rest.reply(self._definition(named).document(repository))

    def _dispatch(self, request: Request, repository: str, named: str) -> Response:
        definition, body = self._definition(named), rest.read_body(request)
        version = dict(request.headers).get("x-github-api-version", self.versions[0])
        inputs = self._checked(definition, body, version)
        now = self.clock.time()
        run = EmulatedRun(
            30_433_642 + len(self._runs_by_id),
            definition,
            repository=repository,
            ref=str(body["ref"]).removeprefix("refs/heads/"),
            inputs=inputs,
            life=self.life,
            leaves=self.leaves,
            now=now,
        )
        self._runs_by_id[run.id] = run
        if version < RETURNS_RUN_SINCE and not body.get("return_run_details"):
            return Response(204)
        at = run.document()
        return rest.reply({"workflow_run_id": run.id, "run_url": at["url"], "html_url": at["html_url"]})

    def _checked(self, definition: Definition, body: Mapping[str, object], version: str) -> dict[str, str]:
        """Return the inputs of a dispatch, or refuse it for its first error."""
        known = {"ref", "inputs"} | ({"return_run_details"} if "2026-03-10" in self.versions else set[str]())
        if unknown := sorted(set(body) - known):
            raise rest.refusal(422, f'Invalid request.\n\n"{unknown[0]}" is not a permitted key.')
        if not isinstance(body.get("ref"), str):
            raise rest.refusal(422, 'Invalid request.\n\n"ref" wasn\'t supplied.')
        given = body.get("inputs") or {}
        inputs = given if isinstance(given, dict) else {}
        if len(inputs) > MAX_INPUTS:
            raise rest.refusal(422, "Invalid request.\n\nNo more than 25 properties are allowed; 26 were supplied.")
        if definition.inputs is None:
            raise rest.refusal(422, "Workflow does not have 'workflow_dispatch' trigger")
        if str(body["ref"]).removeprefix("refs/heads/") not in self.refs:
            raise rest.refusal(422, f"No ref found for: {body['ref']}")
        if unexpected := sorted(set(inputs) - definition.inputs):
            raise rest.refusal(422, f"Unexpected inputs provided: {msgspec.json.encode(unexpected).decode()}")
        if missing := sorted(name for name in definition.required if not inputs.get(name)):
            raise rest.refusal(422, f"Required input '{missing[0]}' not provided")
        del version
        return {str(name): str(value) for name, value in inputs.items()}

    # -- runs --------------------------------------------------------------------------------------------------------

    def _of(self, repository: str, id: str) -> EmulatedRun:
        run = self._runs_by_id.get(int(id))
        if run is None or run.repository != repository or run.is_deleted:
            raise rest.NOT_FOUND
        return run

    def _run(self, request: Request, repository: str, id: str) -> Response:  # noqa: ARG002 - every answer is given the request
        run = self._of(repository, id)
        run.advance(self.clock.time())
        return rest.reply(run.document())

    def _runs(self, request: Request, repository: str) -> Response:
        return self._listed(request, [run for run in self._runs_by_id.values() if run.repository == repository])

    def _workflow_runs(self, request: Request, repository: str, named: str) -> Response:
        definition = self._definition(named)
        mine = [
            run for run in self._runs_by_id.values() if run.repository == repository and run.definition == definition
        ]
        return self._listed(request, mine)

    def _listed(self, request: Request, runs: Iterable[EmulatedRun]) -> Response:
        query, now = dict(request.query), self.clock.time()
        runs = tuple(runs)
        for run in runs:
            run.catch_up(now)
        since = rest.seconds_of(query["created"].removeprefix(">=")) if "created" in query else 0.0
        wanted = [
            run
            for run in runs
            if query.get("branch") in (None, run.ref)
            and query.get("event") in (None, "workflow_dispatch")
            and query.get("status") in (None, run.act.status, run.act.conclusion)
            and since <= run.created <= now - self.unlisted
            and not run.is_deleted
        ]
        newest = sorted(wanted, key=lambda run: run.id, reverse=True)
        return rest.page(request, [run.document() for run in newest], key="workflow_runs", base=self._base(request))

    def _delete(self, request: Request, repository: str, id: str) -> Response:  # noqa: ARG002 - every answer is given the request
        run = self._of(repository, id)
        if not run.has_ended:
            raise rest.refusal(403, "Workflow run is still in progress and cannot be deleted.")
        run.is_deleted = True
        return Response(204)

    def _cancel(self, request: Request, repository: str, id: str) -> Response:
        run = self._of(repository, id)
        if run.has_ended:
            raise rest.refusal(409, "Cannot cancel a workflow run that is completed.")
        if "always" not in run.inputs.get("instructions", "") or request.path.endswith("force-cancel"):
            run.end("cancelled", self.clock.time())
        return rest.reply({}, status=202)

    def _rerun(self, request: Request, repository: str, id: str) -> Response:  # noqa: ARG002 - every answer is given the request
        run = self._of(repository, id)
        if not run.has_ended:
            raise rest.refusal(403, "This workflow is already running")
        run.restart(self.life, self.clock.time())
        return rest.reply({}, status=201)

    def _jobs(self, request: Request, repository: str, id: str) -> Response:
        return rest.page(request, [self._of(repository, id).job()], key="jobs", base=self._base(request))

    # -- what runs leave ---------------------------------------------------------------------------------------------

    def _artifacts(self, request: Request, repository: str, id: str) -> Response:
        run, name = self._of(repository, id), dict(request.query).get("name", self.artifact)
        archives = run.archives if name == self.artifact else {}
        found = [run.artifact(each, self.artifact, self.clock.time()) for each in sorted(archives, reverse=True)]
        return rest.page(request, found, key="artifacts", base=self._base(request))

    def _artifact(self, request: Request, repository: str, id: str) -> Response:  # noqa: ARG002 - every answer is given the request
        run = self._of(repository, str(int(id) // 10))
        if run.artifact(int(id), "", self.clock.time())["expired"]:
            raise rest.refusal(410, "Artifact has expired")
        return self._elsewhere("artifact", int(id))

    def _log(self, request: Request, repository: str, id: str) -> Response:  # noqa: ARG002 - every answer is given the request
        run = self._of(repository, str(int(id) // 100))
        if not run.has_ended:
            raise rest.NOT_FOUND
        return self._elsewhere("log", int(id))

    def _logs(self, request: Request, repository: str, id: str) -> Response:  # noqa: ARG002 - every answer is given the request
        self._of(repository, id)
        return self._elsewhere("logs", int(id))

    def _elsewhere(self, kind: str, id: int) -> Response:
        until = int(self.clock.time() + rest.BLOB_SECONDS)
        return Response(302, headers={"location": f"{self.blobs}/blobs/{kind}/{id}?se={until}&sig=made-up"})

    def _blob(self, request: Request, kind: str, id: int) -> Response:
        """Return a download; the URL is the only credential, and a request with a token is refused."""
        if "authorization" in dict(request.headers):
            return Response(400, body=b"<Error><Code>InvalidAuthenticationInfo</Code></Error>")
        if self.clock.time() > float(dict(request.query).get("se", 0)):
            return Response(403, body=b"<Error><Code>AuthenticationFailed</Code></Error>")
        run = self._runs_by_id[id // {"artifact": 10, "log": 100, "logs": 1}[kind]]
        if kind == "log":
            return Response(200, headers={"content-type": "text/plain"}, body=run.log().encode())
        data = run.archives[id][0] if kind == "artifact" else run.log_archive()
        return Response(200, headers={"content-type": "application/zip"}, body=data)

    # -- pull requests, and the rest ---------------------------------------------------------------------------------

    def add_pull(self, number: int, *, branch: str, diff: bytes = b"", title: str = "Say hello") -> dict[str, object]:
        """Add a pull request of *branch* and return its document."""
        self.pulls[number] = documents.pull(number, REPOSITORY, branch=branch, title=title)
        self.diffs[number] = diff
        return self.pulls[number]

    def _pulls(self, request: Request, repository: str) -> Response:
        pulls = self.pull_service.list(request, repository)
        return rest.page(request, pulls, key=None, base=self._base(request))

    def _write_pull(self, request: Request, repository: str, number: str = "") -> Response:
        return self.pull_service.write(request, repository, number)

    def _pull(self, request: Request, repository: str, number: str) -> Response:
        del repository
        if int(number) not in self.pulls:
            raise rest.NOT_FOUND
        if "diff" in dict(request.headers).get("accept", ""):
            return Response(200, headers={"content-type": "text/plain"}, body=self.diffs[int(number)])
        return rest.reply(self.pulls[int(number)])

    def _compare(self, request: Request, repository: str, ends: str) -> Response:
        del request, repository
        if unquote(ends) not in self.compares:
            raise rest.NOT_FOUND
        return Response(200, headers={"content-type": "text/plain"}, body=self.compares[unquote(ends)])

    def _repository(self, request: Request, repository: str) -> Response:  # noqa: ARG002 - every answer is given the request
        return rest.reply(self.pull_service.repository(repository))

    def _limits(self, request: Request) -> Response:  # noqa: ARG002 - every answer is given the request
        core = self.meter.document()
        others = {name: {**core, "used": 0, "remaining": core["limit"]} for name in ("graphql", "search")}
        return rest.reply({"resources": {"core": core, **others}, "rate": core})

    def _user(self, request: Request) -> Response:  # noqa: ARG002 - every answer is given the request
        return rest.reply({"login": "octocat", "id": self.logins.user_id, "type": "User"})

    def _nothing(self, request: Request, repository: str) -> Response:  # noqa: ARG002 - every answer is given the request
        return rest.reply([])

    def _graphql(self, request: Request) -> Response:
        """Return what a query requests about pull requests or a repository, or open a pull request."""
        variables = rest.read_body(request).get("variables") or {}
        if "input" in variables:
            repository, body = new_pull_request(variables["input"])
            created = self.pull_service.create(body, repository)
            return rest.reply(created_data(msgspec.json.decode(created.body)))
        if "name" in variables:
            name = f"{variables.get('owner')}/{variables['name']}"
            return rest.reply(repository_data(self.pull_service.repository(name)))
        return rest.reply(pull_request_data(self.pulls.values(), variables))

    # -- the coding agent --------------------------------------------------------------------------------------------

    def _create_agent_task(self, request: Request, repository: str) -> Response:
        return self.agents.create(rest.read_body(request), repository)

    def _agent_tasks(self, request: Request, repository: str | None = None) -> Response:
        return rest.page(request, self.agents.listed(request, repository), key="tasks", base=self._base(request))

    def _agent_task(self, request: Request, id: str) -> Response:  # noqa: ARG002 - every answer is given the request
        return self.agents.show(id)

    def _base(self, request: Request) -> str:
        """Return the origin to which *request* was sent, for links."""
        return "https://api.github.com" if not request.url else request.url.partition(request.path)[0]


def find_route(request: Request) -> tuple[str, str, tuple[str, ...]]:
    """Return the name of a request's route, the method that answers, and the parts of its path."""
    path = request.path.removeprefix("/api/v3")
    for method, pattern, name, answer in ROUTES:
        if request.method == method and (found := pattern.fullmatch(path)):
            return name, answer, found.groups()
    return github_login.ROUTES.get(path, ""), "", ()
