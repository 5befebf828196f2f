"""From options to a client: what every command has in common.

The order of every setting is `_runtime.config`'s: option, environment, project file, user file, default.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .. import errors
from .console import clean

if TYPE_CHECKING:
    from .._engine.reachability import Outage
    from .._model.tasks import TaskRef
    from .._protocol.effects import Clock
    from .._runtime.client import Client
    from .._runtime.config import Config
    from .console import Console, Line
    from .process_env import ProcessEnv

# How long an outage lasts before the first line about it (seconds); every further line comes after twice that time.
FIRST_LINE = 5.0

F = TypeVar("F", bound=Callable[..., Any])


# A service whose login several providers share -> the one of them that is asked about it.
SHARED_LOGINS: Mapping[str, str] = {"github": "github_actions"}


class CommandContext:
    """One run of one command: its common options, and the world around it."""

    def __init__(
        self,
        process_env: ProcessEnv,
        *,
        is_json: bool,
        provider: str | None,
        base_url: str | None,
        account: str | None = None,
    ) -> None:
        self.process_env, self.is_json = process_env, is_json
        self._provider, self._base_url, self._account = provider, base_url, account
        self._refs: list[TaskRef] = []
        self.outages = Outages(process_env.console)

    @property
    def console(self) -> Console:
        """Where output goes."""
        return self.process_env.console

    @functools.cached_property
    def root(self) -> str | None:
        """The folder of the checkout we stand in."""
        from .checkout import find_root

        return find_root(self.process_env.folder)

    @functools.cached_property
    def config(self) -> Config:
        """The settings, the options of this run included."""
        from .._runtime.config import DEFAULTS, PROJECT_FILE, Config

        project = f"{self.root}/{PROJECT_FILE}" if self.root else None
        explicit = {"provider": self._provider, "account": self._account}
        # Somebody sits and waits: a look is worth a tenth of what it is to a program.
        defaults = {**DEFAULTS, "look_worth": "0.1"}
        return Config(environ=self.process_env.environ, explicit=explicit, project=project, defaults=defaults)

    def set(self, name: str, value: str | None) -> None:
        """Set a setting as an option of this run does; None leaves it as it is."""
        if value is not None:
            self.config = self.config.with_explicit({name: value})

    @property
    def now(self) -> float:
        """The seconds since the epoch."""
        clock = self.process_env.clock
        return clock.time() if clock else time.time()

    @property
    def provider(self) -> str:
        """The provider to talk to where no ref names one."""
        return self.config.get("provider") or "codex"

    def service(self, name: str | None) -> str:
        """Return the provider whose login *name* is: a provider, or a service that several of them share."""
        return SHARED_LOGINS.get(name or "", name or self.provider)

    def ref(self, text: str) -> TaskRef:
        """Return the task that *text* names. One of another provider is an error if ``--provider`` was given."""
        from .._model.tasks import TaskRef

        ref = self._ref_by_url(text.strip()) if "://" in text else TaskRef.parse(text, provider=self.provider)
        if self._provider is not None and ref.provider != self._provider:
            raise errors.ConfigurationError(
                f"{ref} is a task of {ref.provider}, not of {self._provider}", remedy="leave out --provider"
            )
        self._refs.append(ref)
        self.process_env.interruption.expect(f"look at the task with: coatcheck status {ref}", ref=ref)
        return ref

    def _ref_by_url(self, url: str) -> TaskRef:
        """Return the task whose page is *url*: of the provider that is set, of the local cloud, of a known site."""
        from .._model.task_urls import is_loopback_page
        from .._model.tasks import TaskRef
        from .._runtime.server_record import LOCAL, running_server
        from .._runtime.session import Options, origins_of_client

        if is_loopback_page(url) and self._provider is None and self._base_url is None:
            server = running_server(self.process_env.environ)
            if server is not None and url.startswith(f"{server.url.removesuffix('/backend-api')}/"):
                return TaskRef.parse(url, provider=LOCAL)
        options = Options(
            provider=self.provider, config=self.config, environ=self.process_env.environ, base_url=self._base_url
        )
        return TaskRef.parse(url, provider=self.provider, origins=origins_of_client(options))

    @contextmanager
    def client(self, provider: str | None = None, *, environment: str | None = None) -> Iterator[Client]:
        """Open a client to *provider*, or to the one that is set.

        Of several local clouds it is the one that has the command's tasks, or that serves *environment*, else the
        environment that is set, else the checkout we stand in.
        """
        from .._runtime.client import Client

        name = provider or self.provider
        base_url = self._base_url
        if name == "local" and not (base_url or self.config.get("local.base_url")):
            base_url = self._local_url(environment)
        with Client(
            name,
            config=self.config,
            environ=self.process_env.environ,
            transport=self.process_env.transport,
            clock=self._clock,
            base_url=base_url,
            on_outage=self.outages.report,
        ) as client:
            yield client

    def _local_url(self, environment: str | None) -> str | None:
        from .._runtime.server_record import running_server, running_servers

        environ = self.process_env.environ
        if len(running_servers(environ)) < 2:
            return None  # the client finds a single one
        name = environment or self.config.get("environment")
        tasks = [ref.id for ref in self._refs if ref.provider == "local"]
        server = running_server(environ, environments=[name] if name else self._places(), tasks=tasks)
        return server.url if server else None

    def _places(self) -> tuple[str, ...]:
        """Return what the checkout we stand in may be called as an environment: its path, its repositories."""
        if self.root is None:
            return ()
        from .checkout import repositories

        return (os.path.realpath(self.root), *repositories(self.root))

    @property
    def _clock(self) -> Clock | None:
        """The clock of waits: on a terminal one that keeps the line of progress alive."""
        if self.process_env.clock is None and self.console.is_interactive:
            from .progress_clock import ProgressClock

            return ProgressClock(self.console.refresh)
        return self.process_env.clock

    def hint(self, *words: str, has_provider: bool = False) -> str:
        """Return a command line that the user can paste: *words*, and the options of this run that say whose it is.

        A ref names its provider; *has_provider* is for commands without one.
        """
        import shlex

        options = {"--provider": self._provider if has_provider else None, "--account": self._account}
        options["--base-url"] = self._base_url
        given = [word for name, value in options.items() if value is not None for word in (name, value)]
        return shlex.join(["coatcheck", *words, *given])

    def confirm(self, question: str) -> bool:
        """Ask a person who types on standard input; where nobody does, the answer is no."""
        return self.process_env.is_asking and click.confirm(clean(question), err=True)

    def text(self, argument: str | None, what: str) -> str:
        """Return *what* as text: the argument, or standard input where it is ``-`` or missing.

        Raises `ConfigurationError` for bytes that are not UTF-8.
        """
        if argument is not None and argument != "-":
            return utf8(argument.encode("utf-8", "surrogateescape"), what)
        if argument is None and self.process_env.is_asking:
            self.console.note(f"Type {what}, then end it with Ctrl-D.")
        return utf8(self.process_env.stdin.read(), f"{what} on standard input")

    def answer(
        self, document: Callable[[], dict[str, object]], lines: Callable[[], list[Line]], *, is_long: bool = False
    ) -> None:
        """Print a result: the document with ``--json``, the lines otherwise, which a pager shows when they are long."""
        if self.is_json:
            from .json_output import dump

            self.console.write_json(dump(document()))
        elif is_long:
            self.page(lines())
        else:
            self.console.show_all(lines())

    def page(self, lines: Iterable[Line], *, with_colour: bool | None = None) -> None:
        """Print many result lines, through a pager on a terminal."""
        if self.process_env.can_page:
            from .pager import command_of, show

            environ = self.process_env.environ
            command = command_of(self.config.get("pager"), environ=environ)
            if show(self.console.composed(lines, with_colour=with_colour), command, environ=environ):
                return
        self.console.show_all(lines, with_colour=with_colour)

    def bytes(self, data: bytes) -> None:
        """Print a result's own bytes, nothing added. A terminal is shown their text, without a way to control it."""
        if self.console.is_terminal:
            text = data.decode("utf-8", "backslashreplace").removesuffix("\n")
            self.page(text.split("\n"))
        else:
            self.console.write(data)

    def note(self, *lines: Line) -> None:
        """Tell the person who waits; programs that asked for JSON are told nothing they did not ask for."""
        if not self.is_json or self.console.is_interactive:
            self.console.note(*lines)


class Outages:
    """Says on stderr that the service does not answer: on a terminal in the line of progress, else in lines.

    Lines come less and less often, from the fifth second on: what is shorter concerns nobody.
    """

    def __init__(self, console: Console) -> None:
        self._screen, self._next = console, FIRST_LINE
        self.are_shown = False  # a command that waits shows them; any other soon ends with the error itself

    def report(self, outage: Outage | None) -> None:
        """Show what a client reports (`on_outage`)."""
        if not self.are_shown:
            return
        if self._screen.is_interactive:
            self._screen.interject(None if outage is None else lambda: (f"{outage}, retrying",))
        elif outage is None:
            self._next = FIRST_LINE
        elif outage.seconds >= self._next:
            self._next = 2 * outage.seconds
            self._screen.note(f"coatcheck: {outage}, retrying")


def utf8(data: bytes, what: str) -> str:
    """Return bytes as text; raises `ConfigurationError` for what is not UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise errors.ConfigurationError(f"{what} is not UTF-8 text") from None


JSON = click.Option(["--json", "as_json"], is_flag=True, help="Print JSON instead of text.")
PROVIDER = click.Option(
    ["--provider"], metavar="NAME", help="Who runs the tasks: codex, local, or a plug-in's name (default: codex)."
)
ACCOUNT = click.Option(["--account"], metavar="NAME", help="Which of our own logins, by the name given at `login`.")
BASE_URL = click.Option(["--base-url"], metavar="URL", help="Where the service is, instead of its usual address.")


def command(name: str, *, examples: str, has_provider: bool = True) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a click command of a function whose first argument is its `CommandContext`.

    The docstring is the help, *examples* end it. ``--json`` comes with every command, ``--provider``, ``--account``
    and ``--base-url`` with those that talk to a service.
    """

    def decorate(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        def invoke(
            *,
            as_json: bool,
            provider: str | None = None,
            base_url: str | None = None,
            account: str | None = None,
            **options: Any,
        ) -> Any:
            process_env: ProcessEnv = click.get_current_context().obj
            run = CommandContext(process_env, is_json=as_json, provider=provider, base_url=base_url, account=account)
            return function(run, **options)

        own = reversed(getattr(function, "__click_params__", ()))
        common = (PROVIDER, ACCOUNT, BASE_URL, JSON) if has_provider else (JSON,)
        epilog = "\b\nExamples:\n" + "\n".join(f"  {line}" for line in examples.strip().splitlines())
        return click.Command(name, callback=invoke, params=[*own, *common], help=function.__doc__, epilog=epilog)

    return decorate


ref_argument = click.argument("task", metavar="REF")
attempt_option = click.option(
    "--attempt", type=click.IntRange(min=1), metavar="N", help="Which attempt, from 1; the numbers never move."
)


def seconds(text: str) -> float | None:
    """Read a duration: seconds, or a number with s, m, h or d; "none" is for ever. Raises `ConfigurationError`."""
    if text.strip().lower() == "none":
        return None
    number, unit = text.strip(), 1.0
    if number[-1:].lower() in UNITS:
        number, unit = number[:-1], UNITS[number[-1].lower()]
    try:
        value = float(number) * unit
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise errors.ConfigurationError(
            f"{text!r} is not a length of time", remedy="give seconds, or 90s, 30m, 2h, 1d; none waits for ever"
        )
    return value


UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def timeout_of(run: CommandContext, option: str | None) -> float | None:
    """Return how long to wait: the option, else the setting ``timeout``."""
    return seconds(option if option is not None else run.config.get("timeout") or "none")


timeout_option = click.option(
    "--timeout", metavar="TIME", help="Give up waiting after this: 90s, 30m, 2h, none (default: 1h). The task goes on."
)
interval_option = click.option("--interval", metavar="TIME", help="Look this often (default: when an end is likely).")
