"""`hooks`: webhooks that are sent and received."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ... import errors
from ..context import CommandContext, command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..._store.hooks import Hook, HookDelivery
    from ..._webhooks.settings import NewHook, WebhookSettings
    from ..console import Line

ACTIONS = ("list", "add", "remove", "on", "off", "rotate", "test", "log", "replay", "secret", "serve")
_NEEDS_TARGET = {
    "add": "URL",
    "remove": "HOOK",
    "on": "HOOK",
    "off": "HOOK",
    "rotate": "HOOK",
    "test": "HOOK",
    "replay": "DELIVERY",
    "secret": "SENDER",
}


@command(
    "hooks",
    has_provider=False,
    examples="""
coatcheck hooks add https://example.com/hook --events task.succeeded,task.failed
coatcheck hooks test hook_1a2b3c4d
coatcheck hooks secret github < secret.txt
coatcheck hooks serve --port 8787
coatcheck hooks log
coatcheck hooks replay msg_hook_1a2b3c4d_17
""",
)
@click.argument("action", type=click.Choice(ACTIONS), default="list")
@click.argument("target", required=False)
@click.option("--events", metavar="TYPES", help="add: Types of events to send, with commas (default: all).")
@click.option(
    "--allow-hook",
    "allowed",
    multiple=True,
    metavar="ORIGIN",
    help="add, test, serve: Allow an address that is not public, such as http://127.0.0.1:*; may be repeated.",
)
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=0, metavar="N", help="serve: Port (default: a free one)."
)
@click.option("--limit", type=click.IntRange(min=1), default=50, metavar="N", help="log: At most N (default: 50).")
@click.option("--remove", "is_removed", is_flag=True, help="secret: Accept no deliveries of SENDER any more.")
def hooks_command(
    run: CommandContext,
    *,
    action: str,
    target: str | None,
    events: str | None,
    allowed: tuple[str, ...],
    port: int,
    limit: int,
    is_removed: bool,
) -> None:
    """Send events to your addresses, and receive deliveries of services, as webhooks.

    add, remove, on, off, rotate and list manage hooks; their messages follow Standard Webhooks and name the task and its
    state, nothing else. test sends a message now. secret stores the secret of a service (from standard input) whose
    deliveries are then accepted; log shows deliveries and replay sends one again. serve receives and sends until Ctrl-C, on loopback only: give services
    the address of a tunnel to it, /SENDER at the end. A delivery ends the pause of a wait for its task; a task that
    nothing waits for is polled and recorded.
    """
    from ..._webhooks.settings import WebhookSettings

    if action in _NEEDS_TARGET and target is None:
        raise errors.ConfigurationError(
            f"hooks {action} needs {_NEEDS_TARGET[action]}",
            remedy=f"run: coatcheck hooks {action} {_NEEDS_TARGET[action]}",
        )
    if target is not None and action not in {*_NEEDS_TARGET, "log"}:
        raise errors.ConfigurationError(f"hooks {action} takes no argument", remedy=f"leave out {target!r}")
    settings = WebhookSettings(run.workspace, clock=run.process_env.clock)
    try:
        if action == "serve":
            _serve(run, settings, port=port, allowed=allowed)
        elif action == "add":
            kinds = [kind.strip() for kind in (events or "").split(",") if kind.strip()]
            _show_new(run, settings.add(target or "", kinds, allowed=allowed))
        elif action == "rotate":
            _show_new(run, settings.rotate(target or ""))
        elif action == "test":
            _test(run, settings.test(target or "", allowed=allowed))
        elif action == "secret":
            _secret(run, settings, target or "", is_removed=is_removed)
        else:
            _other(run, settings, action, target, limit)
    finally:
        settings.close()


def _other(run: CommandContext, settings: WebhookSettings, action: str, target: str | None, limit: int) -> None:
    if action == "list":
        hooks, senders = settings.hooks.list_hooks(), settings.senders()
        run.answer(
            lambda: {"hooks": [_document(hook) for hook in hooks], "senders": list(senders)},
            lambda: _list_lines(hooks, senders),
        )
    elif action == "log":
        deliveries = settings.deliveries(hook=target, limit=limit)
        run.answer(
            lambda: {"deliveries": [_document(each) for each in deliveries]},
            lambda: [_delivery_line(each) for each in deliveries] or ["No deliveries yet."],
        )
    elif action == "remove":
        settings.remove(target or "")
        run.note(f"Removed {target}.")
    elif action in ("on", "off"):
        hook = settings.switch(target or "", is_on=action == "on")
        run.answer(lambda: {"hook": _document(hook)}, lambda: [_hook_line(hook)])
    else:
        settings.replay(target or "")
        run.note(f"{target} is due again; it is sent while `coatcheck hooks serve` runs.")


def _test(run: CommandContext, delivery: HookDelivery) -> None:
    if delivery.state != "sent":
        reason = delivery.detail or f"the receiver answered {delivery.status}"
        raise errors.TransportError(
            f"the test of {delivery.hook} failed: {reason}", remedy=f"its log: coatcheck hooks log {delivery.hook}"
        )
    run.answer(lambda: {"delivery": _document(delivery)}, lambda: [_delivery_line(delivery)])


def _secret(run: CommandContext, settings: WebhookSettings, sender: str, *, is_removed: bool) -> None:
    if is_removed:
        if not settings.remove_sender_secret(sender):
            raise errors.ConfigurationError(f"{sender} has no secret", remedy="see: coatcheck hooks list")
        run.note(f"Deliveries of {sender} are not accepted any more.")
        return
    settings.set_sender_secret(sender, run.text(None, "the secret").strip())
    run.note(f"Deliveries of {sender} are accepted at /{sender} while `coatcheck hooks serve` runs.")


def _serve(run: CommandContext, settings: WebhookSettings, *, port: int, allowed: tuple[str, ...]) -> None:
    from ..._server.listener import stop_signal
    from ..._webhooks.server import serving_hooks

    senders = settings.senders()
    with stop_signal() as wait, serving_hooks(settings, port=port, allowed=allowed) as origin:
        if run.is_json:
            from ..json_output import dump_line

            run.console.write_json(dump_line({"url": origin, "senders": list(senders)}))
        else:
            run.console.show(f"Serving {origin}")
            for sender in senders:
                run.note(f"{sender}: {origin}/{sender}")
            if not senders:
                run.note("No deliveries are accepted yet: coatcheck hooks secret SENDER")
        wait()


def _show_new(run: CommandContext, new: NewHook) -> None:
    run.answer(
        lambda: {"hook": _document(new.hook), "secret": new.secret},
        lambda: [
            f"{new.hook.id}  {new.hook.url}",
            f"Secret, shown this once: {new.secret}",
            "Messages are sent while `coatcheck hooks serve` runs.",
        ],
    )


def _document(value: Hook | HookDelivery) -> dict[str, object]:
    from ..json_output import to_object

    return to_object(value)


def _list_lines(hooks: Sequence[Hook], senders: Sequence[str]) -> list[Line]:
    lines = [_hook_line(hook) for hook in hooks]
    lines += [f"{sender}  received" for sender in senders]
    return lines or ["No hooks; add one with: coatcheck hooks add URL"]


def _hook_line(hook: Hook) -> Line:
    failures = f"{hook.failures} deliveries in a row failed" if hook.failures > 1 else ""
    remedy = f"switch it on with: coatcheck hooks on {hook.id}" if hook.state == "off" else ""
    return "  ".join(filter(None, (hook.id, hook.state, hook.url, ", ".join(hook.kinds), failures, remedy)))


def _delivery_line(delivery: HookDelivery) -> Line:
    outcome = delivery.detail if delivery.state == "received" else delivery.status or delivery.detail or ""
    shown = " ".join(str(outcome or "").split())
    return (
        f"{delivery.created_at:%Y-%m-%d %H:%M:%S}  {delivery.state:8}  {delivery.hook}  {delivery.id}  {shown}".rstrip()
    )
