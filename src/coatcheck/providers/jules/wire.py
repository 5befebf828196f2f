"""The structures of Jules' responses: only the fields that are read; unknown fields and values are accepted.

Proto3 JSON leaves default values out, so everything may be missing, and null counts as missing
(docs/reference/protocols/jules.md, "1.1 Base, auth, versions").
Typed fields decide (ids, states, texts, diffs): a wrong type is an error with its JSON path. Fields of type
``object`` are only shown and are read by `loose`. What is one of several kinds has them all as fields, and an element
that has none of them is kept raw: its native word is reported (docs/reference/protocols/jules.md, "2.4 Activity" and
"2.5 outputs").
"""

from __future__ import annotations

import msgspec


class Wire(msgspec.Struct, frozen=True, rename="camel"):
    """A message of the service."""


class GithubBranch(Wire, frozen=True):
    """A branch (docs/reference/protocols/jules.md, "2.1 Source")."""

    display_name: object = None


class GithubRepo(Wire, frozen=True):
    """The repository behind a source (docs/reference/protocols/jules.md, "2.1 Source")."""

    owner: str | None = None
    repo: str | None = None
    default_branch: GithubBranch | None = None


class Source(Wire, frozen=True):
    """A repository that was connected in the web app (docs/reference/protocols/jules.md, "2.1 Source")."""

    name: str | None = None
    id: object = None
    github_repo: GithubRepo | None = None


class SourcePage(Wire, frozen=True):
    """A page of sources (docs/reference/protocols/jules.md, "1.5 Pagination, filters, order")."""

    sources: list[Source] | None = None
    next_page_token: str | None = None


class GithubRepoContext(Wire, frozen=True):
    """Where in the repository a session starts (docs/reference/protocols/jules.md, "2.2 Session")."""

    starting_branch: str | None = None


class SourceContext(Wire, frozen=True):
    """Which source a session works on (docs/reference/protocols/jules.md, "2.2 Session")."""

    source: str | None = None
    github_repo_context: GithubRepoContext | None = None


class GitPatch(Wire, frozen=True):
    """A diff, cumulative from the base commit (docs/reference/protocols/jules.md, "2.4 Activity")."""

    unidiff_patch: str | None = None
    base_commit_id: object = None
    suggested_commit_message: object = None


class ChangeSet(Wire, frozen=True):
    """A change; without a diff it is an empty one, which is frequent.

    See docs/reference/protocols/jules.md, "2.4 Activity".
    """

    git_patch: GitPatch | None = None


class PullRequest(Wire, frozen=True):
    """A pull request that the service opened (docs/reference/protocols/jules.md, "2.5 outputs")."""

    url: str | None = None
    title: object = None
    description: object = None
    base_ref: object = None
    head_ref: object = None


class Output(Wire, frozen=True):
    """An output of a session (docs/reference/protocols/jules.md, "2.5 outputs")."""

    change_set: ChangeSet | None = None
    pull_request: PullRequest | None = None


class Session(Wire, frozen=True):
    """A session; input-only fields are never returned (docs/reference/protocols/jules.md, "2.2 Session")."""

    name: str | None = None
    id: str | None = None
    prompt: str | None = None
    title: object = None
    state: str | None = None
    url: object = None
    create_time: object = None
    update_time: object = None
    source_context: SourceContext | None = None
    outputs: list[Output] | None = None
    archived: object = None


class SessionPage(Wire, frozen=True):
    """A page of sessions, newest first (docs/reference/protocols/jules.md, "1.5 Pagination, filters, order")."""

    sessions: list[Session] | None = None
    next_page_token: str | None = None


class Step(Wire, frozen=True):
    """A step of a plan (docs/reference/protocols/jules.md, "2.4 Activity")."""

    title: object = None
    description: object = None


class Plan(Wire, frozen=True):
    """A plan (docs/reference/protocols/jules.md, "2.4 Activity")."""

    id: str | None = None
    steps: list[Step] | None = None


class PlanGenerated(Wire, frozen=True):
    """The agent made a plan (docs/reference/protocols/jules.md, "2.4 Activity")."""

    plan: Plan | None = None


class PlanApproved(Wire, frozen=True):
    """A person, or the service itself, approved a plan (docs/reference/protocols/jules.md, "2.4 Activity")."""

    plan_id: object = None


class UserMessaged(Wire, frozen=True):
    """The user sent a message (docs/reference/protocols/jules.md, "2.4 Activity")."""

    user_message: str | None = None


class AgentMessaged(Wire, frozen=True):
    """The agent sent a message (docs/reference/protocols/jules.md, "2.4 Activity")."""

    agent_message: str | None = None


class ProgressUpdated(Wire, frozen=True):
    """The agent did something; both texts may be absent (docs/reference/protocols/jules.md, "2.4 Activity")."""

    title: object = None
    description: object = None


class SessionCompleted(Wire, frozen=True):
    """The agent is done, for now (docs/reference/protocols/jules.md, "2.4 Activity")."""


class SessionFailed(Wire, frozen=True):
    """The session failed (docs/reference/protocols/jules.md, "2.4 Activity")."""

    reason: str | None = None


class Media(Wire, frozen=True):
    """An image or the like, in base64 (docs/reference/protocols/jules.md, "2.4 Activity")."""

    data: str | None = None
    mime_type: object = None


class BashOutput(Wire, frozen=True):
    """A command that the agent ran; an exit code of 0 is left out.

    See docs/reference/protocols/jules.md, "1.1 Base, auth, versions" and "2.4 Activity".
    """

    command: object = None
    output: object = None
    exit_code: object = None


class Artifact(Wire, frozen=True):
    """Something that an activity shows (docs/reference/protocols/jules.md, "2.4 Activity")."""

    change_set: ChangeSet | None = None
    media: Media | None = None
    bash_output: BashOutput | None = None


class Activity(Wire, frozen=True):
    """Something that happened; immutable (docs/reference/protocols/jules.md, "2.4 Activity")."""

    name: str | None = None
    id: str | None = None
    create_time: str | None = None
    originator: object = None
    description: object = None
    artifacts: list[msgspec.Raw] | None = None
    plan_generated: PlanGenerated | None = None
    plan_approved: PlanApproved | None = None
    user_messaged: UserMessaged | None = None
    agent_messaged: AgentMessaged | None = None
    progress_updated: ProgressUpdated | None = None
    session_completed: SessionCompleted | None = None
    session_failed: SessionFailed | None = None

    @property
    def key(self) -> str:
        """Return what identifies it: its id, which is also the last part of its name."""
        return self.id or (self.name or "").rpartition("/")[2]


class ActivityPage(Wire, frozen=True):
    """A page of activities, oldest first (docs/reference/protocols/jules.md, "1.5 Pagination, filters, order")."""

    activities: list[msgspec.Raw] | None = None
    next_page_token: str | None = None


# Keys of an activity that are not its kind.
COMMON = frozenset({"name", "id", "createTime", "originator", "description", "artifacts"})
