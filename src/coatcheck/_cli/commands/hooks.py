"""`hooks`: webhooks that are sent and received."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from ... import errors
from ..command_group import CommandGroup
from ..context import CommandContext

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..._store.hooks import Hook, HookDelivery
    from ..._webhooks.settings import NewHook, WebhookSettings
    from ..console import Line

hooks_command = CommandGroup(
    "hooks",
    default="list",
    help="""Send events to your addresses, and receive deliveries of services, as webhooks.

    Messages follow Standard Webhooks and name the task and its state, nothing else. They are sent, and deliveries are
    received, while `coatcheck hooks serve` runs.
    """,
)
hook_argument = click.argument("hook", metavar="HOOK")
allow_option = click.option(
    "--allow-hook",
    "allowed",
    multiple=True,
    metavar="ORIGIN",
    help="Allow an address that is not public, such as http://127.0.0.1:*; may be repeated.",
)


@contextmanager
def opened(run: CommandContext) -> Iterator[WebhookSettings]:
    """Open the webhooks of this user."""
    from ..._webhooks.settings import WebhookSettings

    settings = WebhookSettings(run.workspace, clock=run.process_env.clock)
    try:
        yield settings
    finally:
        settings.close()


# --- hooks ------------------------------------------------------------------------------------------------------------


@hooks_command.subcommand("list", examples="coatcheck hooks")
def list_hooks(run: CommandContext) -> None:
    """List the hooks, and the services whose deliveries are accepted."""
    with opened(run) as settings:
        hooks, senders = settings.hooks.list_hooks(), settings.senders()
    run.answer(
        lambda: {"hooks": [_document(hook) for hook in hooks], "senders": list(senders)},
        lambda: _list_lines(hooks, senders),
    )


@hooks_command.subcommand(
    "add", examples="coatcheck hooks add https://example.com/hook --events task.succeeded,task.failed"
)
@click.argument("url")
@click.option("--events", metavar="TYPES", help="Types of events to send, with commas (default: all).")
@allow_option
def add_hook(run: CommandContext, *, url: str, events: str | None, allowed: tuple[str, ...]) -> None:
    """Add a hook that sends events to URL, and print its secret."""
    kinds = [kind.strip() for kind in (events or "").split(",") if kind.strip()]
    with opened(run) as settings:
        _show_new(run, settings.add(url, kinds, allowed=allowed))


@hooks_command.subcommand("remove", examples="coatcheck hooks remove hook_1a2b3c4d")
@hook_argument
def remove_hook(run: CommandContext, *, hook: str) -> None:
    """Remove a hook."""
    with opened(run) as settings:
        settings.remove(hook)
    run.answer(lambda: {"hook": hook, "action": "remove"}, list)
    run.note(f"Removed {hook}.")


@hooks_command.subcommand("on", examples="coatcheck hooks on hook_1a2b3c4d")
@hook_argument
def switch_on(run: CommandContext, *, hook: str) -> None:
    """Switch a hook on, also one that was switched off after failures."""
    _switch(run, hook, is_on=True)


@hooks_command.subcommand("off", examples="coatcheck hooks off hook_1a2b3c4d")
@hook_argument
def switch_off(run: CommandContext, *, hook: str) -> None:
    """Switch a hook off."""
    _switch(run, hook, is_on=False)


def _switch(run: CommandContext, id: str, *, is_on: bool) -> None:
    with opened(run) as settings:
        hook = settings.switch(id, is_on=is_on)
    run.answer(lambda: {"hook": _document(hook)}, lambda: [_hook_line(hook)])


@hooks_command.subcommand("rotate", examples="coatcheck hooks rotate hook_1a2b3c4d")
@hook_argument
def rotate_secret(run: CommandContext, *, hook: str) -> None:
    """Replace the secret of a hook, and print the new one."""
    with opened(run) as settings:
        _show_new(run, settings.rotate(hook))


@hooks_command.subcommand(
    "test",
    examples="""
coatcheck hooks test hook_1a2b3c4d
coatcheck hooks test hook_1a2b3c4d --allow-hook 'http://127.0.0.1:*'
""",
)
@hook_argument
@allow_option
def send_test(run: CommandContext, *, hook: str, allowed: tuple[str, ...]) -> None:
    """Send a message to a hook now."""
    with opened(run) as settings:
        delivery = settings.test(hook, allowed=allowed)
    if delivery.state != "sent":
        reason = delivery.detail or f"the receiver answered {delivery.status}"
        raise errors.TransportError(
            f"the test of {delivery.hook} failed: {reason}", remedy=f"its log: coatcheck hooks log {delivery.hook}"
        )
    run.answer(lambda: {"delivery": _document(delivery)}, lambda: [_delivery_line(delivery)])


# --- deliveries -------------------------------------------------------------------------------------------------------


@hooks_command.subcommand(
    "log",
    examples="""
coatcheck hooks log
coatcheck hooks log github --limit 5
""",
)
@click.argument("target", metavar="[HOOK|SENDER]", required=False)
@click.option("--limit", type=click.IntRange(min=1), default=50, metavar="N", help="At most N (default: 50).")
def list_deliveries(run: CommandContext, *, target: str | None, limit: int) -> None:
    """List the deliveries that were sent and received, the latest first."""
    with opened(run) as settings:
        deliveries = settings.deliveries(hook=target, limit=limit)
    run.answer(
        lambda: {"deliveries": [_document(each) for each in deliveries]},
        lambda: [_delivery_line(each) for each in deliveries] or ["No deliveries yet."],
    )


@hooks_command.subcommand("replay", examples="coatcheck hooks replay msg_hook_1a2b3c4d_17")
@click.argument("delivery")
def replay_delivery(run: CommandContext, *, delivery: str) -> None:
    """Send a delivery again."""
    with opened(run) as settings:
        settings.replay(delivery)
    run.answer(lambda: {"delivery": delivery, "action": "replay"}, list)
    run.note(f"{delivery} is due again; it is sent while `coatcheck hooks serve` runs.")


# --- receiving --------------------------------------------------------------------------------------------------------


@hooks_command.subcommand(
    "secret",
    examples="""
coatcheck hooks secret github < secret.txt
coatcheck hooks secret github --remove
""",
)
@click.argument("sender")
@click.option("--remove", "is_removed", is_flag=True, help="Accept no deliveries of SENDER any more.")
def set_secret(run: CommandContext, *, sender: str, is_removed: bool) -> None:
    """Accept the deliveries of a service, whose secret is read from standard input."""
    with opened(run) as settings:
        if not is_removed:
            settings.set_sender_secret(sender, run.text(None, "the secret").strip())
        elif not settings.remove_sender_secret(sender):
            raise errors.ConfigurationError(f"{sender} has no secret", remedy="see: coatcheck hooks list")
    run.answer(lambda: {"sender": sender, "action": "remove" if is_removed else "accept"}, list)
    if is_removed:
        run.note(f"Deliveries of {sender} are not accepted any more.")
    else:
        run.note(f"Deliveries of {sender} are accepted at /{sender} while `coatcheck hooks serve` runs.")


@hooks_command.subcommand("serve", examples="coatcheck hooks serve --port 8787")
@click.option("--port", type=click.IntRange(0, 65_535), default=0, metavar="N", help="Port (default: a free one).")
@allow_option
def serve_hooks(run: CommandContext, *, port: int, allowed: tuple[str, ...]) -> None:
    """Receive and send until Ctrl-C.

    It listens on loopback only: give services the address of a tunnel to it, /SENDER at the end. A delivery ends the
    pause of a wait for its task; a task that nothing waits for is polled and recorded.
    """
    with opened(run) as settings:
        _serve(run, settings, port=port, allowed=allowed)


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
