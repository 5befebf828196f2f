"""Start a local cloud from its options, and stop it.

Guarantee: what was started is stopped in the opposite order: the record is removed, the socket closed, the agents are
ended, the database is closed, the lock is released.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from .. import errors
from .._files.locks import lock_descriptor
from .._files.private import make_private_folder
from .._files.processes import boot_id
from .._installation import install_command
from .._patches.git import GitError, git
from .._runtime.server_record import ServedEnvironment, ServerRecord
from .._values.value import Value
from .codex_home import refuse_foreign, write_codex_home
from .http_server import recorded, serving
from .issued_tokens import Account, TokenBook
from .models import CloudEnvironment, CloudTask

if TYPE_CHECKING:
    from .._app.gates import Gates
    from .._store.hooks import Hook
    from .acp.permissions import Permissions
    from .local_cloud import LocalCloud
    from .router import Router
    from .task_hooks import TaskHooks
    from .task_store import Store

# Defaults of the runner: the service itself allows a task an hour.
TIMEOUT = 3600.0
MAX_PARALLEL = 2
# How long a permission request waits for a person, before it is rejected (seconds).
PERMISSION_TIMEOUT = 1800.0


class ServeOptions(Value, frozen=True, kw_only=True):
    """The options of ``coatcheck serve``. `command` holds ``{prompt}`` or reads it; `timeout` is in seconds, None for none.

    With `permissions` the command is an ACP agent: they decide its permission requests, a person within
    `permission_timeout` seconds, through `gates`, which opens the user's store.

    `data` keeps tasks, mirrors and clones; `record` is the file with the server's address; `on_task` is called
    with each new task, from any thread; `environ` is what agents inherit, and not in the repr: it may hold
    secrets. `hooks` are addresses to which changes of tasks are sent, `allowed_hooks` origins that may be among them
    although they are not public; `on_hooks` is called with the hooks, and the secrets of new ones, before the server starts.
    """

    _hidden: ClassVar[frozenset[str]] = frozenset({"environ"})

    environments: tuple[CloudEnvironment, ...]
    command: tuple[str, ...]
    permissions: Permissions | None = None
    permission_timeout: float | None = PERMISSION_TIMEOUT
    gates: Callable[[], Gates] | None = None
    data: Path
    port: int = 0
    max_parallel: int = MAX_PARALLEL
    timeout: float | None = TIMEOUT
    record: Path | None = None
    codex_home: Path | None = None
    on_task: Callable[[CloudTask], None] | None = None
    environ: Mapping[str, str]
    hooks: tuple[str, ...] = ()
    allowed_hooks: tuple[str, ...] = ()
    on_hooks: Callable[[Sequence[tuple[Hook, str | None]]], None] | None = None


def parse_environment(text: str, *, environ: Mapping[str, str]) -> CloudEnvironment:
    """Read ``LABEL=PATH`` and check the repository there. Raises `ConfigurationError`."""
    label, equals, path = text.partition("=")
    if not equals or not label.strip() or not path:
        message = f"{text!r} is not LABEL=PATH"
        raise errors.ConfigurationError(message, remedy="for example: owner/repo=/path/to/checkout")
    return environment(label.strip(), Path(path).expanduser(), environ=environ)


def environment(label: str, path: Path, *, environ: Mapping[str, str]) -> CloudEnvironment:
    """Return the environment of the repository at *path*. Raises `ConfigurationError` where there is none."""
    path = path.absolute()
    if not path.is_dir():
        problem = "is not a folder" if path.exists() else "does not exist"
        raise errors.ConfigurationError(f"{path} {problem}", remedy="name the folder of a git checkout")
    _git(path, "rev-parse", "--git-dir", environ=environ)
    # 1: HEAD is detached (git-symbolic-ref(1))
    head = _git(path, "symbolic-ref", "--quiet", "--short", "HEAD", environ=environ, accept=(0, 1))
    is_repository = label.count("/") == 1 and not label.startswith("/") and not label.endswith("/")
    return CloudEnvironment(
        id=hashlib.sha256(f"{label}={path}".encode("utf-8", "surrogateescape")).hexdigest()[:32],
        label=label,
        repository=label if is_repository else None,
        default_branch=head or "main",
        path=str(path),
    )


def _git(path: Path, *arguments: str, environ: Mapping[str, str], accept: tuple[int, ...] = (0,)) -> str:
    """Run git with the user's settings: safe.directory is one. Raises `ConfigurationError`."""
    try:
        return git(*arguments, folder=path, environ=environ, accept=accept).decode("utf-8", "replace").strip()
    except GitError as error:
        if error.remedy:  # git is not installed, or does not trust the owner
            raise
        raise errors.ConfigurationError(
            f"{path} is not a git repository", remedy="make one there with: git init"
        ) from None


def run(options: ServeOptions, *, announce: Callable[[ServerRecord], None]) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP; *announce* is called with the record of the server. Raises `ConfigurationError`. Main thread only."""
    from .._server.listener import stop_signal

    with stop_signal() as wait, running(options) as record:
        announce(record)
        wait()


@contextmanager
def running(options: ServeOptions) -> Iterator[ServerRecord]:
    """Serve while the block runs. Raises `ConfigurationError`."""
    check(options)
    if options.permissions is not None:
        require_acp()
    with ExitStack() as stack:
        make_private_folder(str(options.data))
        stack.enter_context(_only_one(options.data))
        hooks = _hooks(options, stack)
        store = _open_store(options.data, stack, hooks)
        cloud = _cloud(options, store)
        if hooks is not None:
            _use_hooks(options, hooks, store, stack)
        stack.callback(cloud.close)
        cloud.start()
        record = _serve(options, store, cloud, stack)
        stack.callback(cloud.close)  # here too, so that open event streams end before the socket waits for them
        stack.enter_context(recorded(options.record, record))
        yield record


def check(options: ServeOptions) -> None:
    """Raise `ConfigurationError` for what cannot work."""
    problems = {
        "there is no environment": (not options.environments, "add --environment owner/repo=/path/to/checkout"),
        "two environments have the same label": (
            _has_duplicates(options.environments),
            "give each --environment a different label",
        ),
        "there is no agent command": (not options.command, "add --agent 'COMMAND {prompt}'"),
        "at least one attempt must run at a time": (options.max_parallel < 1, "give --max-parallel 1 or more"),
        "the timeout must be positive": (
            options.timeout is not None and options.timeout <= 0,
            "give --timeout in seconds",
        ),
        "serving is not supported on Windows": (os.name != "posix", "use WSL"),
    }
    for problem, (is_there, remedy) in problems.items():
        if is_there:
            raise errors.ConfigurationError(problem, remedy=remedy)


def require_acp() -> None:
    """Import the library for ACP agents, before the first of them needs it. Raises `ConfigurationError` without it."""
    try:
        import acp.connection  # noqa: F401 - half a second
    except ImportError:
        raise errors.ConfigurationError(
            "an ACP agent needs the Python package agent-client-protocol",
            remedy=f"install it with: {install_command('acp')}",
        ) from None


def _has_duplicates(environments: tuple[CloudEnvironment, ...]) -> bool:
    return len({environment.label for environment in environments}) < len(environments)


def _hooks(options: ServeOptions, stack: ExitStack) -> TaskHooks | None:
    """Return what sends changes of tasks, None where no address is given and none was before."""
    folder = options.data / "hooks"
    if not options.hooks and not folder.exists():
        return None
    from .._webhooks.targets import read_target
    from .task_hooks import TaskHooks

    for url in options.hooks:
        read_target(url, allowed=options.allowed_hooks)
    hooks = TaskHooks(folder, allowed=options.allowed_hooks, environ=options.environ)
    stack.callback(hooks.close)
    return hooks


def _use_hooks(options: ServeOptions, hooks: TaskHooks, store: Store, stack: ExitStack) -> None:
    used = hooks.use_urls(options.hooks, store)
    if options.on_hooks is not None:
        options.on_hooks(used)
    if used:
        stack.enter_context(hooks.sending(store))


def _open_store(data: Path, stack: ExitStack, hooks: TaskHooks | None) -> Store:
    from .task_store import Store  # imports sqlite3

    path = data / "cloud.sqlite3"
    if hooks is None:
        store = Store(path)
    else:
        from .task_hooks import ObservedStore

        store = ObservedStore(path, hooks.put)
    store.open()
    stack.callback(store.close)
    return store


def _cloud(options: ServeOptions, store: Store) -> LocalCloud:
    from .._workspaces.workspace import WorkspaceManager
    from .attempt_runner import Agent
    from .local_cloud import LocalCloud

    work = options.data / "work"
    work.mkdir(mode=0o700, exist_ok=True)
    agent = Agent(
        command=options.command,
        permissions=options.permissions,
        timeout=options.timeout,
        environ=options.environ,
    )
    workspaces = WorkspaceManager(work, environ=options.environ)
    return LocalCloud(
        options.environments,
        agent,
        store=store,
        workspaces=workspaces,
        max_parallel=options.max_parallel,
        task_prefix=task_prefix(options.data),
        on_task=options.on_task,
        gates=options.gates,
        permission_timeout=options.permission_timeout,
    )


def task_prefix(data: Path) -> str:
    """Return the prefix of the ids of tasks in *data*: it identifies one of several servers."""
    return f"task_e_{hashlib.sha256(os.fsencode(data.resolve())).hexdigest()[:8]}"


def _serve(options: ServeOptions, store: Store, cloud: LocalCloud, stack: ExitStack) -> ServerRecord:
    from .event_routes import EventRoutes
    from .oauth_server import OAuthServer
    from .page import TaskPages
    from .permission_routes import PermissionRoutes
    from .router import Router

    account, key = Account(), secrets.token_hex(4)
    book = TokenBook(account=account, time=time.time, store=store)
    oauth = OAuthServer(book, time=time.time, key=key)
    router: Router = Router(cloud, book=book, oauth=oauth)
    if options.codex_home is not None:
        refuse_foreign(options.codex_home, account)
    pages = TaskPages(cloud, is_key=oauth.is_key)
    events = EventRoutes(cloud, accepts=book.accepts)
    permissions = PermissionRoutes(cloud.permissions, accepts=book.accepts)
    routes = (*pages.routes(), *events.routes(), *permissions.routes())
    url = stack.enter_context(serving(router, port=options.port, routes=routes))
    tokens = book.issue()
    if options.codex_home is not None:
        write_codex_home(options.codex_home, url=url, tokens=book.issue(), account=account, now=time.time())
    return ServerRecord(
        url=url,
        token=tokens.access_token,
        pid=os.getpid(),
        started=time.time(),
        account_id=account.account_id,
        approval_key=key,
        environments=tuple(
            ServedEnvironment(id=each.id, label=each.label, repository=each.repository, path=_real(each))
            for each in options.environments
        ),
        task_prefix=task_prefix(options.data),
        boot=boot_id(),
    )


def _real(environment: CloudEnvironment) -> str | None:
    return os.path.realpath(environment.path) if environment.path else None


@contextmanager
def _only_one(data: Path) -> Iterator[None]:
    """Refuse a second server on the same data: it would end the attempts of the first as those of a crash."""
    if sys.platform == "win32":  # checked before; for the type checkers
        return
    with (data / "lock").open("wb") as file:
        if not lock_descriptor(file.fileno()):
            message = f"another server uses {data}"
            raise errors.ConfigurationError(message, remedy="end that one, or give --data another folder")
        yield
