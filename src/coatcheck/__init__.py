"""Hand a coding task to a cloud agent, get a ticket at once, come back for the patch.

Everything public is here, in `coatcheck.errors`, in `coatcheck.provider` (for authors of providers) and in
`coatcheck.testing`. Names are imported when they are first used, so ``import coatcheck`` costs almost nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import errors as errors
    from ._credentials.device_code import DeviceCode as DeviceCode
    from ._credentials.login_status import LoginStatus as LoginStatus
    from ._engine.backoff import RetryPolicy as RetryPolicy
    from ._engine.poll_context import Interval as Interval
    from ._engine.reachability import OnOutage as OnOutage, Outage as Outage
    from ._engine.submit import ResumedSubmission as ResumedSubmission
    from ._fleet.control import ItemReport as ItemReport
    from ._fleet.estimate import Estimate as Estimate
    from ._fleet.fleet import AsyncFleet as AsyncFleet, Fleet as Fleet
    from ._fleet.plan import FleetPlan as FleetPlan, PlanItem as PlanItem
    from ._fleet.report import FleetReport as FleetReport
    from ._fleet.report_values import (
        RatePoint as RatePoint,
        RejectedCandidate as RejectedCandidate,
        ReportedItem as ReportedItem,
        ServiceReport as ServiceReport,
        Unfinished as Unfinished,
        WaveReport as WaveReport,
    )
    from ._model.catalogue import Environment as Environment, Model as Model
    from ._model.comparison import (
        AttemptChange as AttemptChange,
        AttemptPair as AttemptPair,
        Comparison as Comparison,
        compare_attempts as compare_attempts,
    )
    from ._model.events import (
        AnyEvent as AnyEvent,
        TaskAttempt as TaskAttempt,
        TaskCancelled as TaskCancelled,
        TaskDiff as TaskDiff,
        TaskEvent as TaskEvent,
        TaskExpired as TaskExpired,
        TaskFailed as TaskFailed,
        TaskLog as TaskLog,
        TaskMessage as TaskMessage,
        TaskNeedsInput as TaskNeedsInput,
        TaskNotice as TaskNotice,
        TaskPlan as TaskPlan,
        TaskProgress as TaskProgress,
        TaskStarted as TaskStarted,
        TaskSubmitted as TaskSubmitted,
        TaskSucceeded as TaskSucceeded,
        TaskTool as TaskTool,
        TaskUsage as TaskUsage,
        UnknownEvent as UnknownEvent,
        event_from_dict as event_from_dict,
        task_event_from_dict as task_event_from_dict,
    )
    from ._model.fleet_events import (
        FleetDone as FleetDone,
        FleetPaused as FleetPaused,
        FleetResumed as FleetResumed,
        FleetStarted as FleetStarted,
        FleetStopped as FleetStopped,
        ItemApproved as ItemApproved,
        ItemConflict as ItemConflict,
        ItemDelivered as ItemDelivered,
        ItemEnded as ItemEnded,
        ItemFailed as ItemFailed,
        ItemParked as ItemParked,
        ItemRanked as ItemRanked,
        ItemRejected as ItemRejected,
        ItemSubmitted as ItemSubmitted,
        ItemVerified as ItemVerified,
        ItemWaiting as ItemWaiting,
    )
    from ._model.fleets import (
        CandidateState as CandidateState,
        FleetAccount as FleetAccount,
        FleetCandidate as FleetCandidate,
        FleetDelivery as FleetDelivery,
        FleetItem as FleetItem,
        FleetOutcome as FleetOutcome,
        FleetRecord as FleetRecord,
        FleetState as FleetState,
        FleetStatus as FleetStatus,
        ItemState as ItemState,
    )
    from ._model.gates import (
        Decision as Decision,
        Gate as Gate,
        GateOption as GateOption,
        PermissionRequest as PermissionRequest,
        PlanDecision as PlanDecision,
    )
    from ._model.outcome import (
        Artifact as Artifact,
        Attempt as Attempt,
        Citation as Citation,
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
    from ._model.review_events import (
        ActionPerformed as ActionPerformed,
        CheckFinished as CheckFinished,
        GateDecided as GateDecided,
        GateExpired as GateExpired,
        GateOpened as GateOpened,
        GateWithdrawn as GateWithdrawn,
        ReviewRanked as ReviewRanked,
    )
    from ._model.states import TaskState as TaskState
    from ._model.tasks import (
        Page as Page,
        Task as Task,
        TaskRef as TaskRef,
        TaskSpec as TaskSpec,
    )
    from ._model.usage import (
        Credits as Credits,
        RateLimit as RateLimit,
        RateWindow as RateWindow,
        SpendControl as SpendControl,
        Usage as Usage,
    )
    from ._patches.apply_results import AppliedPatch as AppliedPatch, FileOutcome as FileOutcome
    from ._patches.compare import Overlap as Overlap
    from ._patches.file_change import FileChange as FileChange, Hunk as Hunk
    from ._patches.header import ChangeStatus as ChangeStatus
    from ._patches.languages import Language as Language, language_of as language_of
    from ._patches.parse import Patch as Patch
    from ._patches.patch_stats import DiffStats as DiffStats, LanguageStats as LanguageStats, PatchStats as PatchStats
    from ._patches.policy import Finding as Finding, Policy as Policy
    from ._patches.repair_rows import Repair as Repair, RepairedPatch as RepairedPatch
    from ._patches.undo_journal import UndoResult as UndoResult, undo as undo
    from ._patches.verify import VerifiedPatch as VerifiedPatch
    from ._protocol.intents import Intent as Intent, Journal as Journal
    from ._protocol.login_contract import Tokens as Tokens
    from ._protocol.task_recorder import TaskRecorder as TaskRecorder
    from ._protocol.wake_source import WakeSource as WakeSource
    from ._review.candidates import Candidate as Candidate
    from ._review.checks import (
        Check as Check,
        CheckResult as CheckResult,
        Limits as Limits,
        SandboxKind as SandboxKind,
        Verdict as Verdict,
        Verification as Verification,
    )
    from ._review.ranking import Ranking as Ranking, RankingStep as RankingStep
    from ._review.review import Review as Review
    from ._review.score_card import CandidateResult as CandidateResult, ScoreCard as ScoreCard
    from ._review.verification_results import CheckProgress as CheckProgress
    from ._runtime.async_client import AsyncClient as AsyncClient
    from ._runtime.base_client import Seconds as Seconds
    from ._runtime.client import Client as Client
    from ._runtime.config import Config as Config, Setting as Setting
    from ._runtime.token_manager import AsyncTokenManager as AsyncTokenManager, TokenManager as TokenManager
    from ._runtime.transport import AsyncTransport as AsyncTransport, Transport as Transport
    from ._store.events import StoredEvent as StoredEvent
    from ._store.gates import GateStore as GateStore
    from ._store.history import (
        History as History,
        HistoryEntry as HistoryEntry,
        HistoryFilter as HistoryFilter,
        HistoryPage as HistoryPage,
    )
    from ._version import __version__ as __version__

_HOMES = {
    "__version__": "_version",
    "ActionPerformed": "_model.review_events",
    "AnyEvent": "_model.events",
    "AppliedPatch": "_patches.apply_results",
    "Artifact": "_model.outcome",
    "AsyncClient": "_runtime.async_client",
    "AsyncFleet": "_fleet.fleet",
    "AsyncTokenManager": "_runtime.token_manager",
    "AsyncTransport": "_runtime.transport",
    "Attempt": "_model.outcome",
    "AttemptChange": "_model.comparison",
    "AttemptPair": "_model.comparison",
    "Candidate": "_review.candidates",
    "CandidateResult": "_review.score_card",
    "CandidateState": "_model.fleets",
    "ChangeStatus": "_patches.header",
    "Check": "_review.checks",
    "CheckFinished": "_model.review_events",
    "CheckProgress": "_review.verification_results",
    "CheckResult": "_review.checks",
    "Citation": "_model.outcome",
    "Client": "_runtime.client",
    "compare_attempts": "_model.comparison",
    "Comparison": "_model.comparison",
    "Config": "_runtime.config",
    "Credits": "_model.usage",
    "Decision": "_model.gates",
    "DeviceCode": "_credentials.device_code",
    "DiffStats": "_patches.patch_stats",
    "Environment": "_model.catalogue",
    "errors": "",
    "Estimate": "_fleet.estimate",
    "event_from_dict": "_model.events",
    "Failure": "_model.outcome",
    "FileChange": "_patches.file_change",
    "FileLines": "_model.outcome",
    "FileOutcome": "_patches.apply_results",
    "FileSnapshot": "_model.outcome",
    "Finding": "_patches.policy",
    "Fleet": "_fleet.fleet",
    "FleetAccount": "_model.fleets",
    "FleetCandidate": "_model.fleets",
    "FleetDelivery": "_model.fleets",
    "FleetDone": "_model.fleet_events",
    "FleetItem": "_model.fleets",
    "FleetOutcome": "_model.fleets",
    "FleetPaused": "_model.fleet_events",
    "FleetPlan": "_fleet.plan",
    "FleetRecord": "_model.fleets",
    "FleetReport": "_fleet.report",
    "FleetResumed": "_model.fleet_events",
    "FleetStarted": "_model.fleet_events",
    "FleetState": "_model.fleets",
    "FleetStatus": "_model.fleets",
    "FleetStopped": "_model.fleet_events",
    "Gate": "_model.gates",
    "GateDecided": "_model.review_events",
    "GateExpired": "_model.review_events",
    "GateOpened": "_model.review_events",
    "GateOption": "_model.gates",
    "PlanDecision": "_model.gates",
    "GateStore": "_store.gates",
    "GateWithdrawn": "_model.review_events",
    "History": "_store.history",
    "HistoryEntry": "_store.history",
    "HistoryFilter": "_store.history",
    "HistoryPage": "_store.history",
    "Hunk": "_patches.file_change",
    "Intent": "_protocol.intents",
    "Interval": "_engine.poll_context",
    "Item": "_model.outcome",
    "ItemApproved": "_model.fleet_events",
    "ItemConflict": "_model.fleet_events",
    "ItemDelivered": "_model.fleet_events",
    "ItemEnded": "_model.fleet_events",
    "ItemFailed": "_model.fleet_events",
    "ItemParked": "_model.fleet_events",
    "ItemRanked": "_model.fleet_events",
    "ItemRejected": "_model.fleet_events",
    "ItemReport": "_fleet.control",
    "ItemState": "_model.fleets",
    "ItemSubmitted": "_model.fleet_events",
    "ItemVerified": "_model.fleet_events",
    "ItemWaiting": "_model.fleet_events",
    "Journal": "_protocol.intents",
    "Language": "_patches.languages",
    "language_of": "_patches.languages",
    "LanguageStats": "_patches.patch_stats",
    "Limits": "_review.checks",
    "LoginStatus": "_credentials.login_status",
    "Message": "_model.outcome",
    "Model": "_model.catalogue",
    "Notice": "_model.outcome",
    "OnOutage": "_engine.reachability",
    "Outage": "_engine.reachability",
    "Outcome": "_model.outcome",
    "Overlap": "_patches.compare",
    "Page": "_model.tasks",
    "Patch": "_patches.parse",
    "PatchState": "_model.outcome",
    "PatchStats": "_patches.patch_stats",
    "PermissionRequest": "_model.gates",
    "Plan": "_model.outcome",
    "PlanItem": "_fleet.plan",
    "PlanStep": "_model.outcome",
    "Policy": "_patches.policy",
    "PullRequest": "_model.outcome",
    "Ranking": "_review.ranking",
    "RankingStep": "_review.ranking",
    "RateLimit": "_model.usage",
    "RatePoint": "_fleet.report_values",
    "RateWindow": "_model.usage",
    "RejectedCandidate": "_fleet.report_values",
    "Repair": "_patches.repair_rows",
    "RepairedPatch": "_patches.repair_rows",
    "ReportedItem": "_fleet.report_values",
    "ResumedSubmission": "_engine.submit",
    "RetryPolicy": "_engine.backoff",
    "Review": "_review.review",
    "ReviewRanked": "_model.review_events",
    "SandboxKind": "_review.checks",
    "ScoreCard": "_review.score_card",
    "Seconds": "_runtime.base_client",
    "ServiceReport": "_fleet.report_values",
    "Setting": "_runtime.config",
    "SpendControl": "_model.usage",
    "StoredEvent": "_store.events",
    "Task": "_model.tasks",
    "task_event_from_dict": "_model.events",
    "TaskAttempt": "_model.events",
    "TaskCancelled": "_model.events",
    "TaskDiff": "_model.events",
    "TaskEvent": "_model.events",
    "TaskExpired": "_model.events",
    "TaskFailed": "_model.events",
    "TaskLog": "_model.events",
    "TaskMessage": "_model.events",
    "TaskNeedsInput": "_model.events",
    "TaskNotice": "_model.events",
    "TaskPlan": "_model.events",
    "TaskProgress": "_model.events",
    "TaskRecorder": "_protocol.task_recorder",
    "TaskRef": "_model.tasks",
    "TaskSpec": "_model.tasks",
    "TaskStarted": "_model.events",
    "TaskState": "_model.states",
    "TaskSubmitted": "_model.events",
    "TaskSucceeded": "_model.events",
    "TaskTool": "_model.events",
    "TaskUsage": "_model.events",
    "TokenManager": "_runtime.token_manager",
    "Tokens": "_protocol.login_contract",
    "Transport": "_runtime.transport",
    "undo": "_patches.undo_journal",
    "UndoResult": "_patches.undo_journal",
    "Unfinished": "_fleet.report_values",
    "UnknownEvent": "_model.events",
    "Usage": "_model.usage",
    "Verdict": "_review.checks",
    "Verification": "_review.checks",
    "VerifiedPatch": "_patches.verify",
    "WakeSource": "_protocol.wake_source",
    "WaveReport": "_fleet.report_values",
}

__all__ = sorted(_HOMES)  # noqa: PLE0605 - one list, kept once


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    from importlib import import_module

    home = _HOMES[name]
    value = getattr(import_module(f"{__name__}.{home}"), name) if home else import_module(f"{__name__}.{name}")
    if isinstance(value, type):
        value.__module__ = __name__  # tracebacks and docs show the public name
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
