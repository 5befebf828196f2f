"""Records in, WHAM documents out: every key that the live service sends.

See docs/reference/protocols/codex-wham.md, 2.1 to 2.5.

Invariant: every field that a client requires is present and not null; a value that this cloud does not have is null.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from .models import (
    CANCELLED,
    COMPLETED,
    FAILED,
    PENDING,
    RUNNING,
    CloudAttempt,
    CloudEnvironment,
    CloudFile,
    CloudLog,
    CloudResult,
    CloudRound,
    CloudStats,
    CloudTask,
)

Document: TypeAlias = dict[str, object]
Environments: TypeAlias = Mapping[str, CloudEnvironment]

INTENTS = {"code": "pr", "ask": "qa"}  # docs/reference/protocols/codex-wham.md, 2.2
REPOSITORY_ID = "github-{}"  # docs/reference/protocols/codex-wham.md, 2.5
NO_RESULT = CloudResult()


def list_item(task: CloudTask) -> Document:
    """Return an entry of ``tasks/list``; all of its booleans and strings are demanded.

    See docs/reference/protocols/codex-wham.md, 2.1.
    """
    return {
        "id": task.id,
        "title": task.title,
        "has_generated_title": True,
        "updated_at": task.updated_at,
        "created_at": task.created_at,
        "task_status_display": status_display(task),
        "archived": task.is_archived,
        "has_unread_turn": task.is_unread,
        "pull_requests": [],
        **extension(task),
    }


def status_display(task: CloudTask) -> Document:
    """Return the form of status that the live service uses (docs/reference/protocols/codex-wham.md, 3, form 1)."""
    current = task.last.attempts[0]
    return {
        "latest_turn_status_display": {
            "turn_id": current.id,
            "turn_status": task.last.state,
            "diff_stats": _stats(current.stats),
            "sibling_turn_ids": [attempt.id for attempt in task.last.attempts[1:]],
            "image_asset_pointer_citations": None,
            "issue_counts": None,
            "intent": INTENTS[task.last.mode],
            "cancellation_requested_at": current.cancellation_requested_at,
        },
        "environment_label": task.environment_label,
        "branch_name": task.branch,
        "fix_task_id": None,
        "initial_intent": INTENTS[task.rounds[0].mode],
    }


def _stats(stats: CloudStats | None) -> Document | None:
    if stats is None:
        return None
    return {"files_modified": stats.files, "lines_added": stats.added, "lines_removed": stats.removed}


def task_record(task: CloudTask) -> Document:
    """Return the ``task`` object of a details answer: no `updated_at` and no `environment_id`, as live records have none."""
    return {
        "id": task.id,
        "created_at": task.created_at,
        "title": task.title,
        "has_generated_title": True,
        "current_turn_id": task.last.attempts[0].id,
        "has_unread_turn": task.is_unread,
        "denormalized_metadata": {
            "num_follow_ups": len(task.rounds) - 1,
            "repo_name_map": {},
            "last_user_turn_created_at": task.last.created_at,
            "last_turn_status": task.last.state,
            "diff_stats": _stats(task.last.attempts[0].stats)
            or {"files_modified": None, "lines_added": None, "lines_removed": None},
            "last_pushed_turn_id": None,
            "start_branch_name": task.branch,
            "pushed_branch_name": None,
            "cached_pull_request_data": None,
        },
        "archived": task.is_archived,
        "task_status_display": status_display(task),
        "creator_workspace": None,
        "external_pull_requests": [],
    }


def details(task: CloudTask, environments: Environments) -> Document:
    """Return a details answer; the diff turn repeats the assistant turn once there is a diff.

    See docs/reference/protocols/codex-wham.md, 2.3.
    """
    round_ = task.last
    turn = assistant_turn(task, round_, round_.attempts[0], environments)
    result = round_.attempts[0].result
    return {
        "task": task_record(task),
        "current_user_turn": user_turn(round_),
        "current_assistant_turn": turn,
        "current_diff_task_turn": turn if result and result.diff else None,
        **extension(task),
    }


def extension(task: CloudTask) -> Document:
    """Return the member that WHAM does not have, for the provider ``local``; none where there is nothing to say.

    See docs/guides/local-cloud.md.
    """
    attempts = task.last.attempts
    requests = [request for attempt in attempts for request in attempt.requests]
    usage = "; ".join(attempt.usage for attempt in attempts if attempt.usage)
    members = {"permission_requests": requests, "usage": usage}
    given = {name: value for name, value in members.items() if value}
    return {"coatcheck": given} if given else {}


def created(task: CloudTask, environments: Environments, rate_limit: Mapping[str, object] | None) -> Document:
    """Return the answer to a create or a follow-up; the assistant turn's key is ``turn``.

    See docs/reference/protocols/codex-wham.md, 2.2.
    """
    return {
        "task": task_record(task),
        "user_turn": user_turn(task.last),
        "turn": assistant_turn(task, task.last, task.last.attempts[0], environments),
        "rate_limit": rate_limit,
        "paragen_forced_compare": False,
    }


def user_turn(round_: CloudRound) -> Document:
    """Return the message of the user."""
    message = {"type": "message", "role": "user", "content": [{"content_type": "text", "text": round_.prompt}]}
    patch = {"type": "pre_apply_patch", "output_diff": {"diff": round_.starting_diff}}
    return {
        "type": "user",
        "id": round_.id,
        "role": "user",
        "input_items": [message, patch] if round_.starting_diff else [message],
        "external_post_config": None,
        "user_model_slug": round_.model,
        "previous_turn_id": round_.previous_turn_id,
        "created_at": round_.created_at,
    }


def assistant_turn(task: CloudTask, round_: CloudRound, attempt: CloudAttempt, environments: Environments) -> Document:
    """Return one attempt; alone it has neither siblings nor a placement.

    See docs/reference/protocols/codex-wham.md, 2.3.
    """
    is_alone = len(round_.attempts) == 1
    environment = environments.get(task.environment_id)
    result = attempt.result or NO_RESULT
    return {
        "type": "assistant",
        "id": attempt.id,
        "sibling_turn_ids": None if is_alone else [other.id for other in round_.attempts if other.id != attempt.id],
        "attempt_placement": None if is_alone else attempt.placement,
        "role": "assistant",
        "output_items": output_items(attempt, result, title=task.title),
        "child_turns": [],
        "conversation_id": "None",
        "error": attempt.error and {"code": attempt.error.code, "message": attempt.error.message},
        "latest_event": _latest_event(attempt),
        "worklog": {"messages": [_worklog_message(text, attempt) for text in result.worklog]},
        "app_server_events": {"events": []},
        "thread_events": {"events": thread_events(round_, attempt)},
        "turn_status": attempt.state,
        "cancellation_requested_at": attempt.cancellation_requested_at,
        "pull_request_status": attempt.pull_request_status,
        "pull_request_data": None,
        "created_at": attempt.created_at,
        "internal_only_rollouts": None,
        "environment_id": task.environment_id,
        "environment": environment_entry(environment) if environment else None,
        "branch": task.branch,
        "base_commit_sha": result.base_commit,
        "branch_name": None,
        "direct_push_pushed_commit_sha": None,
        "previous_turn_id": round_.id,
        "logs": _logs(result),
        "proxy_events": None,
        "debug_metadata": None,
        "discarded": False,
        "model_version": attempt.model,
        "languages": None,
    }


_EVENTS = {
    PENDING: None,
    RUNNING: "Working on the task",
    COMPLETED: "Completing the task",
    FAILED: "The task failed",
    CANCELLED: None,
}


def _latest_event(attempt: CloudAttempt) -> Document | None:
    text = attempt.progress or _EVENTS.get(attempt.state)
    at = attempt.ended_at or attempt.started_at or attempt.created_at
    return {"created": at, "text": text, "event_type": "info"} if text else None


def _worklog_message(text: str, attempt: CloudAttempt) -> Document:
    at = attempt.ended_at or attempt.created_at
    return {
        "id": attempt.id,
        "author": {"role": "assistant", "name": None, "metadata": {}},
        "create_time": at,
        "update_time": at,
        "content": {"content_type": "text", "parts": [text]},
        "status": "finished_successfully",
        "end_turn": None,
        "weight": 0.0,
        "metadata": {},
        "recipient": "all",
        "channel": None,
    }


def log_key(log: CloudLog) -> Document:
    """Return how a log is named."""
    return {"type": "UserSetupScript", "name": log.name, "created_at": log.created_at}


def _logs(result: CloudResult) -> Document | None:
    logs = [{"key": log_key(log), "value": f"file_{number}"} for number, log in enumerate(result.logs)]
    return {"logs": logs} if logs else None


def output_items(attempt: CloudAttempt, result: CloudResult, *, title: str) -> list[Document]:
    """Return message, partial_repo_snapshot and pr, in the service's order.

    See docs/reference/protocols/codex-wham.md, 2.3.
    """
    items: list[Document] = [
        {"type": "message", "role": "assistant", "content": [{"content_type": "text", "text": text}]}
        for text in result.messages
    ]
    if result.files:
        items.append({"type": "partial_repo_snapshot", "files": [_snapshot(file) for file in result.files]})
    if result.diff:
        items.append(_pull_request(attempt, result, title))
    return items


def _snapshot(file: CloudFile) -> Document:
    return {
        "path": file.path,
        "contents": file.content,
        "line_range_contents": [],
        "missing_reason": file.missing_reason,
    }


def _pull_request(attempt: CloudAttempt, result: CloudResult, title: str) -> Document:
    stats = attempt.stats or CloudStats()
    return {
        "type": "pr",
        "pr_title": result.title or title,
        "pr_message": result.body or "",
        "pre_apply_patch": None,
        "output_diff": {
            "type": "output_diff",
            "repo_id": "/workspace/repo",
            "base_commit_sha": result.base_commit,
            "preapply_patch_base_commit_sha": None,
            "diff": None if result.is_offloaded else result.diff,
            "external_storage_diff": {"file_id": "file_diff", "ttl": None} if result.is_offloaded else None,
            "files_modified": stats.files,
            "lines_added": stats.added,
            "lines_removed": stats.removed,
            "commit_message": result.commit_message or result.title or title,
            "additional_parent_commit_shas": [],
        },
    }


def thread_events(round_: CloudRound, attempt: CloudAttempt) -> list[Document]:
    """Return what happened as app-server records: nothing until the turn ends, then all at once.

    See docs/reference/protocols/codex-wham.md, 2.3.
    """
    if not attempt.is_over:
        return []
    thread = {"threadId": attempt.id}
    result = attempt.result or NO_RESULT
    items: list[object] = [
        {"type": "userMessage", "id": round_.id, "content": [{"type": "text", "text": round_.prompt}]}
    ]
    items += [
        {"type": "agentMessage", "id": f"{attempt.id}-{number}", "text": text}
        for number, text in enumerate(result.messages)
    ]
    return [
        _event("thread/started", thread={"id": attempt.id}),
        _event("turn/started", **thread, turn={"id": attempt.id, "status": "inProgress"}),
        *(_event("item/completed", **thread, turnId=attempt.id, item=item) for item in items),
        _event("turn/completed", **thread, turn={"id": attempt.id, "status": attempt.state}),
    ]


def _event(method: str, **params: object) -> Document:
    return {"method": method, "params": params}


def sibling_turns(task: CloudTask, current_id: str, environments: Environments) -> Document:
    """Return the other attempts: never the one asked about, or clients count it twice.

    See docs/reference/protocols/codex-wham.md, 2.4.
    """
    found = task.find_turn(current_id)
    round_ = found[0] if found else task.last
    others = [attempt for attempt in round_.attempts if attempt.id != current_id]
    return {"sibling_turns": [assistant_turn(task, round_, attempt, environments) for attempt in others]}


def turn(task: CloudTask, id: str, environments: Environments) -> Document | None:
    """Return one turn with what it answers (docs/reference/protocols/codex-wham.md, 2.8)."""
    if (found := task.find_turn(id)) is None:
        return None
    round_, attempt = found
    return {
        "task": task_record(task),
        "turn": assistant_turn(task, round_, attempt, environments),
        "user_turn": user_turn(round_),
    }


def turns(task: CloudTask, environments: Environments) -> Document:
    """Return every turn of the task as a tree (docs/reference/protocols/codex-wham.md, 2.8)."""
    mapping: Document = {}
    for round_, following in zip(task.rounds, (*task.rounds[1:], None), strict=True):
        mapping[round_.id] = _node(
            round_.id, user_turn(round_), round_.previous_turn_id, [attempt.id for attempt in round_.attempts]
        )
        for attempt in round_.attempts:
            children = [following.id] if following and following.previous_turn_id == attempt.id else []
            mapping[attempt.id] = _node(
                attempt.id, assistant_turn(task, round_, attempt, environments), round_.id, children
            )
    return {"turn_mapping": mapping, "current_turn_id": task.last.attempts[0].id}


def _node(id: str, turn: Document, parent: str | None, children: list[str]) -> Document:
    return {"id": id, "turn": turn, "parent": parent, "children": children}


def environment_list(environments: Iterable[CloudEnvironment]) -> list[Document]:
    """Return the JSON array of environments (docs/reference/protocols/codex-wham.md, 2.5)."""
    return [environment_entry(environment) for environment in environments]


def environment_entry(environment: CloudEnvironment) -> Document:
    """Return an environment with every key of a live entry; this cloud keeps no variables and no secrets in it."""
    repository = REPOSITORY_ID.format(environment.id)
    return {
        "id": environment.id,
        "devcontainer": None,
        "machine_id": "wham-public/wham-universal",
        "label": environment.label,
        "is_pinned": environment.is_pinned,
        "description": environment.description,
        "workspace_dir": "/workspace",
        "agent_network_access": {
            "mode": "on",
            "preset_allowlist": "all",
            "allowlist_domains": "",
            "safe_methods_only": None,
        },
        "codex_github_direct": None,
        "github_connector_id": None,
        "enable_gitlab_webhooks": False,
        "repos": [repository] if environment.repository else [],
        "setup": "",
        "maintenance_setup": None,
        "repo_map": {repository: _repository(environment, environment.repository)} if environment.repository else {},
        "env_vars": {},
        "secrets": {},
        "secrets_with_domains": {},
        "task_count": 0,
        "creator_id": "user-local",
        "share_settings": "workspace",
        "share_targets": [],
        "permissions": {"can_write": True, "can_delete": True},
        "created_at": environment.created_at,
        "auto_setup_settings": {"use_auto_setup": True},
        "cache_settings": {"post_setup_cache_enabled": True, "cache_invalidation_key": ""},
        "etag": '"0"',
        "enable_authtranslator": False,
        "enable_docker_in_docker": False,
    }


def _repository(environment: CloudEnvironment, full_name: str) -> Document:
    owner, _, name = full_name.partition("/")
    return {
        "id": environment.id,
        "name": name,
        "owner": {"login": owner, "id": 0, "type": "User", "avatar_url": "", "url": ""},
        "repository_full_name": full_name,
        "clone_url": "",
        "default_branch": environment.default_branch,
        "visibility": "private",
        "archived": None,
        "permissions": {"admin": True, "maintain": True, "push": True, "pull": True},
    }
