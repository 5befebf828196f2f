"""The values that a shell completes, by their kind.

Invariants:

- what is known on this machine is taken first; a request is sent only for environments, and for tasks where none was
  submitted or seen from here;
- a request takes `NETWORK_SECONDS` at most, connection included. Only GET requests are sent, so that no login is
  refreshed: a refresh must not be cut off;
- an error completes nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import click
import msgspec
from click.shell_completion import CompletionItem

from .. import errors
from .context import CommandContext

if TYPE_CHECKING:
    from .._protocol.effects import Request, Response
    from .._runtime.client import Client
    from .._runtime.transport import Transport

NETWORK_SECONDS = 0.3
# So many tasks of this machine are offered.
MAX_REFS = 50
# A value, and what is shown with it.
Pairs: TypeAlias = Iterable[tuple[str, str]]


def complete(kind: str, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the values of *kind* that begin with *incomplete*."""
    if kind in ("file", "folder"):
        return [CompletionItem(incomplete, type="file" if kind == "file" else "dir")]
    if ctx.obj is None:
        ctx.obj = ctx.find_root().obj
    options = {name: ctx.params.get(name) for name in ("provider", "base_url", "account")}
    run = CommandContext(ctx.obj, is_json=False, **options)
    try:
        if kind == "field":
            return _fields(ctx.command.name or "", incomplete)
        if kind == "patch":
            return _patches(ctx, param, incomplete)
        if kind == "candidate":
            is_name = not set(":@/").intersection(incomplete)
            return [*(complete("review", ctx, param, incomplete) if is_name else []), *_patches(ctx, param, incomplete)]
        if kind == "setting_value":
            kind = ctx.params.get("name") or ""
        if kind in KINDS_OF_CONTEXT:
            pairs = dict(KINDS_OF_CONTEXT[kind](run, ctx))
        else:
            pairs = dict(KINDS[kind](run, incomplete)) if kind in KINDS else {}
    except (errors.CoatcheckError, OSError):
        return []
    chosen = set(ctx.params.get(param.name or "") or ())
    return [
        CompletionItem(value, help=text)
        for value, text in pairs.items()
        if value.startswith(incomplete) and (param.nargs == 1 or value not in chosen)
    ]


def _patches(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return files, and the tasks that *incomplete* may be; what contains a slash is a file."""
    file = CompletionItem(incomplete, type="file")
    if "/" in incomplete:
        return [file]
    return [*complete("ref", ctx, param, incomplete), *([] if incomplete.startswith("@") else [file])]


def _fields(command: str, incomplete: str) -> list[CompletionItem]:
    """Return the fields of ``--json``, after those that *incomplete* has already."""
    from .json_selection import fields_of

    before, comma, last = incomplete.rpartition(",")
    given = before.split(",")
    names = [name for name in fields_of(command) if name.startswith(last) and name not in given]
    return [CompletionItem(f"{before}{comma}{name}") for name in names]


def _refs(run: CommandContext, incomplete: str) -> Pairs:
    from .._app.recent_tasks import known_tasks, recent_tasks

    provider, colon, id = incomplete.partition(":")
    find = recent_tasks if incomplete.startswith("@") else known_tasks
    known = find(run.workspace, limit=MAX_REFS, provider=provider if colon else None)
    if incomplete.startswith("@"):
        return [("@last" if number == 1 else f"@{number}", each.summary) for number, each in enumerate(known, 1)]
    if any(str(each.ref).startswith(incomplete) for each in known):
        return [(str(each.ref), each.summary) for each in known]
    if by_id := [(each.ref.id, each.summary) for each in known if each.ref.id.startswith(incomplete)]:
        return by_id
    del id
    page = _asked(run, lambda client: client.get_page(limit=20), provider=provider if colon else None)
    return [(str(task.ref), task.title or "") for task in page.items]


def _environments(run: CommandContext, incomplete: str) -> Pairs:
    from .._app.recent_tasks import recent_tasks
    from .._runtime.server_record import LOCAL, running_servers

    if run.provider == LOCAL:
        servers = running_servers(run.process_env.environ)
        return [(each.label or each.id, each.path or "") for server in servers for each in server.environments]
    recent = recent_tasks(run.workspace, provider=run.provider)
    known = {each.environment: "used before" for each in recent if each.environment}
    if any(name.startswith(incomplete) for name in known):
        return known.items()
    listed = _asked(run, lambda client: client.list_environments())
    return [(each.label or each.id, ", ".join(each.repositories)) for each in listed]


def _repositories(run: CommandContext, incomplete: str) -> Pairs:
    del incomplete
    from .._app.checkout import repositories

    return [(name, "") for name in repositories(run.root)] if run.root else []


def _branches(run: CommandContext, incomplete: str) -> Pairs:
    del incomplete
    from .._patches.git import git

    if not run.root:
        return []
    names = git(
        "for-each-ref", "--sort=-committerdate", "--count=200", "--format=%(refname)", "refs/heads", "refs/remotes",
        folder=run.root,
    )  # fmt: skip
    refs = names.decode("utf-8", "replace").split("\n")
    heads = [ref.removeprefix("refs/heads/") for ref in refs if ref.startswith("refs/heads/")]
    remote = [ref.split("/", 3)[3] for ref in refs if ref.startswith("refs/remotes/") and ref.count("/") > 2]
    return [(name, "") for name in dict.fromkeys([*heads, *remote]) if name != "HEAD"]


def _models(run: CommandContext, incomplete: str) -> Pairs:
    del incomplete
    with run.client() as client:
        return [(model.id, model.price or "") for model in client.list_models() if model.is_listed]


def _providers(run: CommandContext, incomplete: str) -> Pairs:
    del incomplete
    from .._runtime.provider_lookup import provider_names

    return [(name, "") for name in provider_names(run.config)]


def _settings(run: CommandContext, incomplete: str) -> Pairs:
    del incomplete
    from .._runtime.config import SETTINGS
    from .._runtime.provider_lookup import declared_settings

    declared = {name: setting.description for name, setting in declared_settings(run.config).items()}
    return {**dict.fromkeys((*SETTINGS, *run.config.names_in_files()), ""), **declared}.items()


def _commands(run: CommandContext, ctx: click.Context) -> Pairs:
    """Return the commands, or the subcommands of the group that is named before."""
    del run
    from .commands.information import context_of

    group = context_of(ctx.params.get("names") or (), ctx.find_root())
    return [(name, "") for name in group.command.list_commands(group)] if isinstance(group.command, click.Group) else []


def _fleets(run: CommandContext, incomplete: str) -> Pairs:
    del incomplete
    from .._app.fleets import fleet_control

    with fleet_control(run.workspace, clock=run.process_env.clock) as control:
        return [(each.name, each.state) for each in control.store.list()] if control else []


def _fleet_items(run: CommandContext, ctx: click.Context) -> Pairs:
    """Return the keys of the items of the fleet that is named before."""
    from .._app.fleets import fleet_control

    with fleet_control(run.workspace, clock=run.process_env.clock) as control:
        name = ctx.params.get("fleet")
        return [(each.key, each.state) for each in control.items(name)] if control and name else []


def _hooks(run: CommandContext, incomplete: str) -> Pairs:
    del incomplete
    from .._webhooks.settings import WebhookSettings

    settings = WebhookSettings(run.workspace, clock=run.process_env.clock)
    try:
        return [(hook.id, hook.url) for hook in settings.hooks.list_hooks()]
    finally:
        settings.close()


def _senders(run: CommandContext, incomplete: str) -> Pairs:
    del run, incomplete
    from .._webhooks.senders import all_senders

    return [(name, "") for name in all_senders()]


def _hooks_and_senders(run: CommandContext, incomplete: str) -> Pairs:
    return [*_hooks(run, incomplete), *_senders(run, incomplete)]


def _rules(run: CommandContext, incomplete: str) -> Pairs:
    del run, incomplete
    from .._patches.policy import RULES

    return [(name, "") for name in RULES]


def _accounts(run: CommandContext, incomplete: str) -> Pairs:
    del incomplete
    from .._runtime.config import config_dir

    folder = os.path.join(config_dir(run.process_env.environ), "logins")
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return [(name.rsplit(".", 2)[-2], "") for name in names if name.endswith(".json") and name.count(".") > 1]


def _gates(run: CommandContext, incomplete: str) -> Pairs:
    del incomplete
    from contextlib import closing

    from .._app.gates import Gates
    from .._runtime.system_clock import SystemClock

    with closing(Gates(run.config, clock=run.process_env.clock or SystemClock())) as gates:
        return [(gate.address, f"{gate.kind}: {gate.title}") for gate in gates.list(limit=MAX_REFS)]


def _reviews(run: CommandContext, incomplete: str) -> Pairs:
    del incomplete
    from .._app.stored_reviews import known_reviews

    return [(each.name, each.title) for each in known_reviews(run.config, limit=MAX_REFS)]


def _refs_and_gates(run: CommandContext, incomplete: str) -> Pairs:
    if incomplete.startswith("gate:"):
        return _gates(run, incomplete)
    gates = [] if ":" in incomplete else list(_gates(run, incomplete))
    return [*gates, *_refs(run, incomplete)]


def _templates(run: CommandContext, incomplete: str) -> Pairs:
    del incomplete
    from .._app.templates import list_templates
    from .templates import folders

    found = list_templates(folders(run))
    return [(each.name, each.template.description or "") for each in found if each.template is not None]


def _template_arguments(run: CommandContext, ctx: click.Context) -> Pairs:
    from .._review.template_files import load_template
    from .templates import folders, located

    # The arguments before an option without its value are not parsed.
    name = next(filter(None, [ctx.params.get("template"), *ctx.args]), None)
    arguments = load_template(located(run, name), folders(run)).arguments if name else ()
    return [(f"{each.name}=", each.description or "") for each in arguments]


KINDS: Mapping[str, Callable[[CommandContext, str], Pairs]] = {
    "account": _accounts,
    "branch": _branches,
    "environment": _environments,
    "fleet": _fleets,
    "gate": _gates,
    "hook": _hooks,
    "hook_or_sender": _hooks_and_senders,
    "model": _models,
    "provider": _providers,
    "ref": _refs,
    "ref_or_gate": _refs_and_gates,
    "repository": _repositories,
    "review": _reviews,
    "rule": _rules,
    "sender": _senders,
    "setting": _settings,
    "template": _templates,
}


# The same for values that depend on the words before them.
KINDS_OF_CONTEXT: Mapping[str, Callable[[CommandContext, click.Context], Pairs]] = {
    "command": _commands,
    "fleet_item": _fleet_items,
    "template_argument": _template_arguments,
}


def _asked(run: CommandContext, ask: Callable[[Client], Any], *, provider: str | None = None) -> Any:
    """Return what the service answers within `NETWORK_SECONDS`. Raises `CoatcheckError`."""
    from .._engine.backoff import RetryPolicy
    from .._runtime.client import Client
    from .._runtime.transport import ReqwestTransport, TransportOptions

    environ = run.process_env.environ
    options = TransportOptions(environ=environ, timeout=NETWORK_SECONDS, connect_timeout=NETWORK_SECONDS)
    transport = DeadlineTransport(run.process_env.transport or ReqwestTransport(options), NETWORK_SECONDS)
    with Client(
        provider or run.provider,
        config=run.config,
        environ=environ,
        transport=transport,
        retry=RetryPolicy(attempts=1),
        base_url=run.base_url,
    ) as client:
        return ask(client)


class DeadlineTransport:
    """A transport that sends GET requests until a deadline; it refuses everything else before anything is sent."""

    def __init__(
        self, transport: Transport, seconds: float, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._transport, self._monotonic = transport, monotonic
        self._end = monotonic() + seconds

    def send(self, request: Request) -> Response:
        """Return the answer to *request*. Raises `TransportError` after the deadline, and for another method than GET."""
        remaining = self._end - self._monotonic()
        if request.method != "GET" or remaining <= 0:
            raise errors.TransportTimeoutError("a shell waits for this", request_sent=False)
        limit = remaining if request.timeout is None else min(remaining, request.timeout)
        return self._transport.send(msgspec.structs.replace(request, timeout=limit))

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()
