"""All that a provider needs: the contract, effects, decoding, pagination, batches, event streams and values.

A provider is found by its entry point in the group ``coatcheck.providers``: a function from `Settings` to `Provider`.
Each of its verbs is an `Exchange`: a generator that yields requests, is sent responses, and returns a value. It performs
no I/O, so it serves both clients and is tested without a network.

Names are imported when they are first used, so that a provider loads only what it uses.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import errors as errors
    from ._installation import install_command as install_command
    from ._model.catalogue import Environment as Environment, Model as Model
    from ._model.events import (
        STATE_EVENTS as STATE_EVENTS,
        TaskAttempt as TaskAttempt,
        TaskDiff as TaskDiff,
        TaskEvent as TaskEvent,
        TaskLog as TaskLog,
        TaskMessage as TaskMessage,
        TaskNotice as TaskNotice,
        TaskPlan as TaskPlan,
        TaskProgress as TaskProgress,
        TaskTool as TaskTool,
        TaskUsage as TaskUsage,
        UnknownEvent as UnknownEvent,
        event_from_dict as event_from_dict,
        task_event_from_dict as task_event_from_dict,
    )
    from ._model.gates import GateOption as GateOption, PermissionRequest as PermissionRequest
    from ._model.outcome import (
        Artifact as Artifact,
        Attempt as Attempt,
        Citation as Citation,
        DiffStats as DiffStats,
        Failure as Failure,
        FileLines as FileLines,
        FileSnapshot as FileSnapshot,
        Item as Item,
        Message as Message,
        Notice as Notice,
        Outcome as Outcome,
        PatchState as PatchState,
        Plan as Plan,
        PlanStep as PlanStep,
        PullRequest as PullRequest,
    )
    from ._model.states import TaskState as TaskState
    from ._model.task_page import TaskPage as TaskPage
    from ._model.tasks import Page as Page, Task as Task, TaskRef as TaskRef, TaskSpec as TaskSpec
    from ._model.usage import (
        Credits as Credits,
        RateLimit as RateLimit,
        RateWindow as RateWindow,
        SpendControl as SpendControl,
        Usage as Usage,
    )
    from ._patches.file_change import FileChange as FileChange
    from ._patches.languages import Language as Language, language_of as language_of
    from ._patches.parse import Patch as Patch
    from ._patches.patch_stats import PatchStats as PatchStats
    from ._protocol.batches import (
        BATCH_MODEL as BATCH_MODEL,
        BATCH_REASONS as BATCH_REASONS,
        batch_error as batch_error,
        batch_model as batch_model,
        batch_outcome as batch_outcome,
        batch_progress as batch_progress,
        batch_requests as batch_requests,
        partial_notices as partial_notices,
        read_json_lines as read_json_lines,
    )
    from ._protocol.channels import channel_of as channel_of, open_channel as open_channel, repeatable as repeatable
    from ._protocol.decode import (
        STATUSES as STATUSES,
        UNREADABLE as UNREADABLE,
        check as check,
        decode as decode,
        decode_json as decode_json,
        detail_of as detail_of,
        error_for as error_for,
        read_json as read_json,
        scrub as scrub,
        split_path as split_path,
        text_body as text_body,
    )
    from ._protocol.diff_stats import count_diff as count_diff
    from ._protocol.effects import (
        USER_AGENT as USER_AGENT,
        Call as Call,
        ChannelEffect as ChannelEffect,
        Clock as Clock,
        Close as Close,
        Emit as Emit,
        Events as Events,
        Exchange as Exchange,
        Open as Open,
        Pairs as Pairs,
        Read as Read,
        Receive as Receive,
        Request as Request,
        Response as Response,
        Script as Script,
        Send as Send,
        Sleep as Sleep,
    )
    from ._protocol.environments import choose_environment as choose_environment
    from ._protocol.hosts import is_loopback as is_loopback
    from ._protocol.intents import Intent as Intent, Journal as Journal
    from ._protocol.json_rpc import (
        JsonRpc as JsonRpc,
        Notification as Notification,
        RpcAnswer as RpcAnswer,
        RpcError as RpcError,
        ServerRequest as ServerRequest,
    )
    from ._protocol.json_text import clean_json as clean_json
    from ._protocol.lenient import (
        fields as fields,
        flag as flag,
        instant as instant,
        items as items,
        number as number,
        text as text,
        whole as whole,
    )
    from ._protocol.login_contract import (
        Credentials as Credentials,
        DeviceRoutes as DeviceRoutes,
        Keyring as Keyring,
        Login as Login,
        LoginFile as LoginFile,
        LoginFormat as LoginFormat,
        OAuth as OAuth,
        Secret as Secret,
        Tokens as Tokens,
        Whoami as Whoami,
    )
    from ._protocol.pagination import PageLimits as PageLimits, paginate as paginate
    from ._protocol.poll_memory import PollMemory as PollMemory
    from ._protocol.provider import (
        Capabilities as Capabilities,
        Provider as Provider,
        ProviderMethods as ProviderMethods,
        StatusPage as StatusPage,
        Support as Support,
        TaskFilter as TaskFilter,
        TaskSnapshot as TaskSnapshot,
        Verb as Verb,
    )
    from ._protocol.registry import (
        DEFAULT_PROVIDER as DEFAULT_PROVIDER,
        LOCAL_PROVIDER as LOCAL_PROVIDER,
        Factory as Factory,
    )
    from ._protocol.repositories import repository_named as repository_named
    from ._protocol.retry_after import is_throttled as is_throttled, retry_after as retry_after
    from ._protocol.service_pages import collect_pages as collect_pages, filter_page as filter_page
    from ._protocol.settings import (
        COMMON_SETTINGS as COMMON_SETTINGS,
        LOGIN_SETTINGS as LOGIN_SETTINGS,
        ProviderSetting as ProviderSetting,
        Settings as Settings,
    )
    from ._protocol.sse import EventStreamReader as EventStreamReader, ServerSentEvent as ServerSentEvent
    from ._protocol.urls import base_url as base_url, encoded as encoded, origin_of as origin_of
    from ._protocol.webhooks import (
        STANDARD_WEBHOOKS as STANDARD_WEBHOOKS,
        STANDARD_WEBHOOKS_OR_TEXT as STANDARD_WEBHOOKS_OR_TEXT,
        Webhooks as Webhooks,
        WebhookSignature as WebhookSignature,
        WebhookSubject as WebhookSubject,
        bearer_token as bearer_token,
        data_id as data_id,
        sha256_signature as sha256_signature,
    )
    from ._values.rfc3339 import format_time as format_time
    from ._values.value import Value as Value

_HOMES = {
    "Artifact": "_model.outcome",
    "Attempt": "_model.outcome",
    "base_url": "_protocol.urls",
    "bearer_token": "_protocol.webhooks",
    "data_id": "_protocol.webhooks",
    "BATCH_MODEL": "_protocol.batches",
    "BATCH_REASONS": "_protocol.batches",
    "batch_error": "_protocol.batches",
    "batch_model": "_protocol.batches",
    "batch_outcome": "_protocol.batches",
    "batch_progress": "_protocol.batches",
    "batch_requests": "_protocol.batches",
    "Call": "_protocol.effects",
    "Capabilities": "_protocol.provider",
    "channel_of": "_protocol.channels",
    "ChannelEffect": "_protocol.effects",
    "choose_environment": "_protocol.environments",
    "check": "_protocol.decode",
    "Citation": "_model.outcome",
    "clean_json": "_protocol.json_text",
    "Clock": "_protocol.effects",
    "Close": "_protocol.effects",
    "collect_pages": "_protocol.service_pages",
    "COMMON_SETTINGS": "_protocol.settings",
    "count_diff": "_protocol.diff_stats",
    "Credentials": "_protocol.login_contract",
    "Credits": "_model.usage",
    "decode": "_protocol.decode",
    "decode_json": "_protocol.decode",
    "DEFAULT_PROVIDER": "_protocol.registry",
    "detail_of": "_protocol.decode",
    "DeviceRoutes": "_protocol.login_contract",
    "DiffStats": "_model.outcome",
    "Emit": "_protocol.effects",
    "encoded": "_protocol.urls",
    "Environment": "_model.catalogue",
    "error_for": "_protocol.decode",
    "errors": "",
    "Events": "_protocol.effects",
    "EventStreamReader": "_protocol.sse",
    "event_from_dict": "_model.events",
    "JsonRpc": "_protocol.json_rpc",
    "Notification": "_protocol.json_rpc",
    "Open": "_protocol.effects",
    "open_channel": "_protocol.channels",
    "Receive": "_protocol.effects",
    "repeatable": "_protocol.channels",
    "RpcAnswer": "_protocol.json_rpc",
    "RpcError": "_protocol.json_rpc",
    "Send": "_protocol.effects",
    "ServerRequest": "_protocol.json_rpc",
    "task_event_from_dict": "_model.events",
    "Exchange": "_protocol.effects",
    "Factory": "_protocol.registry",
    "Failure": "_model.outcome",
    "fields": "_protocol.lenient",
    "FileChange": "_patches.file_change",
    "FileLines": "_model.outcome",
    "FileSnapshot": "_model.outcome",
    "filter_page": "_protocol.service_pages",
    "flag": "_protocol.lenient",
    "instant": "_protocol.lenient",
    "format_time": "_values.rfc3339",
    "GateOption": "_model.gates",
    "install_command": "_installation",
    "Intent": "_protocol.intents",
    "is_loopback": "_protocol.hosts",
    "is_throttled": "_protocol.retry_after",
    "Item": "_model.outcome",
    "items": "_protocol.lenient",
    "Journal": "_protocol.intents",
    "Keyring": "_protocol.login_contract",
    "Language": "_patches.languages",
    "language_of": "_patches.languages",
    "LOCAL_PROVIDER": "_protocol.registry",
    "Login": "_protocol.login_contract",
    "LOGIN_SETTINGS": "_protocol.settings",
    "LoginFile": "_protocol.login_contract",
    "LoginFormat": "_protocol.login_contract",
    "Message": "_model.outcome",
    "Model": "_model.catalogue",
    "Notice": "_model.outcome",
    "number": "_protocol.lenient",
    "OAuth": "_protocol.login_contract",
    "origin_of": "_protocol.urls",
    "Outcome": "_model.outcome",
    "Page": "_model.tasks",
    "PageLimits": "_protocol.pagination",
    "paginate": "_protocol.pagination",
    "Pairs": "_protocol.effects",
    "partial_notices": "_protocol.batches",
    "Patch": "_patches.parse",
    "PatchState": "_model.outcome",
    "PatchStats": "_patches.patch_stats",
    "PermissionRequest": "_model.gates",
    "Plan": "_model.outcome",
    "PlanStep": "_model.outcome",
    "PollMemory": "_protocol.poll_memory",
    "Provider": "_protocol.provider",
    "ProviderMethods": "_protocol.provider",
    "ProviderSetting": "_protocol.settings",
    "PullRequest": "_model.outcome",
    "RateLimit": "_model.usage",
    "RateWindow": "_model.usage",
    "Read": "_protocol.effects",
    "read_json": "_protocol.decode",
    "read_json_lines": "_protocol.batches",
    "repository_named": "_protocol.repositories",
    "Request": "_protocol.effects",
    "Response": "_protocol.effects",
    "retry_after": "_protocol.retry_after",
    "Script": "_protocol.effects",
    "scrub": "_protocol.decode",
    "Secret": "_protocol.login_contract",
    "ServerSentEvent": "_protocol.sse",
    "Settings": "_protocol.settings",
    "Sleep": "_protocol.effects",
    "SpendControl": "_model.usage",
    "split_path": "_protocol.decode",
    "STATUSES": "_protocol.decode",
    "STATE_EVENTS": "_model.events",
    "StatusPage": "_protocol.provider",
    "Support": "_protocol.provider",
    "Task": "_model.tasks",
    "TaskAttempt": "_model.events",
    "TaskDiff": "_model.events",
    "TaskEvent": "_model.events",
    "TaskFilter": "_protocol.provider",
    "TaskLog": "_model.events",
    "TaskMessage": "_model.events",
    "TaskNotice": "_model.events",
    "TaskPlan": "_model.events",
    "TaskProgress": "_model.events",
    "TaskRef": "_model.tasks",
    "TaskSnapshot": "_protocol.provider",
    "TaskSpec": "_model.tasks",
    "TaskState": "_model.states",
    "TaskTool": "_model.events",
    "TaskUsage": "_model.events",
    "text": "_protocol.lenient",
    "text_body": "_protocol.decode",
    "Tokens": "_protocol.login_contract",
    "UnknownEvent": "_model.events",
    "UNREADABLE": "_protocol.decode",
    "Usage": "_model.usage",
    "USER_AGENT": "_protocol.effects",
    "Value": "_values.value",
    "Verb": "_protocol.provider",
    "Whoami": "_protocol.login_contract",
    "sha256_signature": "_protocol.webhooks",
    "STANDARD_WEBHOOKS": "_protocol.webhooks",
    "STANDARD_WEBHOOKS_OR_TEXT": "_protocol.webhooks",
    "TaskPage": "_model.task_page",
    "Webhooks": "_protocol.webhooks",
    "WebhookSignature": "_protocol.webhooks",
    "WebhookSubject": "_protocol.webhooks",
    "whole": "_protocol.lenient",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 - one list, kept once


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    from importlib import import_module

    home = _HOMES[name]
    # Classes keep the module that defines them: msgspec looks up the names in their annotations there.
    value = getattr(import_module(f".{home}", __package__), name) if home else import_module(f".{name}", __package__)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
