"""What every command has in common: options, settings, a client, and output.

A setting comes from an option, else the environment, the project file, the user file, the default (`_runtime.config`).
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .. import errors
from .._protocol.registry import DEFAULT_PROVIDER
from .._runtime.system_clock import SystemClock
from .click_command import Command
from .common_options import ACCOUNT, BASE_URL, OUTPUT, PROVIDER, start_logging
from .completion_types import completing
from .console import Styled, clean, paragraph, parts_of
from .outages import Outages
from .text_input import utf8

if TYPE_CHECKING:
    from datetime import datetime

    from .._app.task_history import TaskHistory
    from .._app.workspace import Workspace
    from .._model.tasks import TaskRef
    from .._protocol.intents import Journal
    from .._runtime.client import Client
    from .._runtime.config import Config
    from .console import Console, Line
    from .json_selection import JsonOutput
    from .process_env import ProcessEnv
    from .progress import ProgressClock, WaitProgress


F = TypeVar("F", bound=Callable[..., Any])


class CommandContext:
    """One run of one command: its common options and its process environment."""

    def __init__(
        self,
        process_env: ProcessEnv,
        *,
        is_json: bool,
        provider: str | None,
        base_url: str | None,
        account: str | None = None,
        output: JsonOutput | None = None,
    ) -> None:
        """*output* is what ``--json FIELDS`` and ``--jq`` choose; None prints whole documents."""
        self.process_env, self.is_json, self._output = process_env, is_json, output
        self._provider, self._base_url, self._account = provider, base_url, account
        self._refs: list[TaskRef] = []
        self.outages = Outages(process_env.console)
        # The tasks that were read from the history, and when each was recorded.
        self.read_from_history: dict[TaskRef, datetime] = {}
        # The file of a prompt that was written in the editor: an error of the submission names it.
        self.kept_prompt: str | None = None

    @property
    def command_name(self) -> str:
        """The name of the command that runs: ``wait``, ``history export``."""
        return click.get_current_context().command.name or ""

    @property
    def console(self) -> Console:
        """Where output goes."""
        return self.process_env.console

    @property
    def has_chosen_fields(self) -> bool:
        """Whether only a part of the document is printed."""
        return self._output is not None

    @functools.cached_property
    def root(self) -> str | None:
        """The root of the checkout that contains the working directory."""
        from .._app.checkout import find_root

        return find_root(self.process_env.folder)

    @property
    def workspace(self) -> Workspace:
        """The working directory, the settings and the environment, for use cases."""
        from .._app.workspace import Workspace

        process_env = self.process_env
        return Workspace(process_env.folder, config=self.config, environ=process_env.environ, provider=self.provider)

    @functools.cached_property
    def config(self) -> Config:
        """The settings, the options of this run included."""
        from .._runtime.config import DEFAULTS, PROJECT_FILE, Config

        project = f"{self.root}/{PROJECT_FILE}" if self.root else None
        explicit = {"provider": self._provider, "account": self._account}
        # A person waits: poll ten times as often as for a program.
        defaults = {**DEFAULTS, "poll_cost": "0.1"}
        return Config(environ=self.process_env.environ, explicit=explicit, project=project, defaults=defaults)

    def with_files_read_again(self) -> Config:
        """Return the settings as the files are now."""
        return self.config.with_explicit({})

    def set(self, name: str, value: str | None) -> None:
        """Set a setting as an option of this run; None changes nothing."""
        if value is not None:
            self.config = self.config.with_explicit({name: value})

    @functools.cached_property
    def history(self) -> TaskHistory:
        """What the command records."""
        from .._app.task_history import TaskHistory

        return TaskHistory(self.config, clock=self.process_env.clock)

    @property
    def now(self) -> float:
        """The seconds since the epoch."""
        clock = self.process_env.clock
        return clock.time() if clock else time.time()

    @property
    def service_options(self) -> Sequence[str]:
        """The options of this run that select the service, as words of a command line."""
        options = {"--provider": self._provider, "--account": self._account, "--base-url": self._base_url}
        return [word for name, value in options.items() if value is not None for word in (name, value)]

    @property
    def base_url(self) -> str | None:
        """The URL of the service that an option gave."""
        return self._base_url

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return self._clock.monotonic()

    @property
    def provider(self) -> str:
        """The provider of this run where no ref names one."""
        return self.config.get("provider") or DEFAULT_PROVIDER

    def service(self, name: str | None) -> str:
        """Return the provider that manages the login *name*: a provider, or a login that several of them share."""
        from .._runtime.provider_lookup import provider_of_login

        return provider_of_login(name, self.config) if name else self.provider

    def ref(self, text: str) -> TaskRef:
        """Return the task that *text* names. One of another provider is an error if ``--provider`` was given."""
        from .._app.task_lookup import find_ref

        ref = find_ref(text, self.workspace, provider=self._provider, base_url=self._base_url)
        self._refs.append(ref)
        if "://" not in text and str(ref) != text and not str(ref).endswith(f":{text}"):
            self.note(Styled(f"{text} is {ref}", "dim"))
        self.process_env.interruption.expect(f"see the task with: {self.hint('status', str(ref))}", ref=ref)
        return ref

    @contextmanager
    def client(
        self,
        provider: str | None = None,
        *,
        environment: str | None = None,
        waits: bool = False,
        refs: Sequence[TaskRef] = (),
        journal: Journal | None = None,
    ) -> Iterator[Client]:
        """Open a client of *provider*, or of the configured one; one that *waits* shows the progress of its waits.

        *journal* records its submissions in place of the store's.

        Of several local clouds it uses the one that has *refs* (default: the command's tasks) or serves *environment*.
        """
        from .._app.task_lookup import local_server_url
        from .._runtime.client import Client

        name = provider or self.provider
        url = self._base_url or local_server_url(name, self.workspace, refs=refs or self._refs, environment=environment)
        try:
            with (
                self._clock.webhooks(self.workspace) if waits else nullcontext() as wakes,
                Client(
                    name,
                    config=self.config,
                    environ=self.process_env.environ,
                    transport=self.process_env.transport,
                    clock=self._clock if waits else self.process_env.clock,
                    base_url=url,
                    on_outage=self.outages.report,
                    store=None if self.history.level == "off" else self.history,
                    wakes=wakes,
                    journal=journal,
                ) as client,
            ):
                yield client
        except errors.CoatcheckError as error:
            named = self.in_context(error, provider=name, refs=self._refs)
            if named is error:
                raise
            raise named from error

    def in_context(
        self, error: errors.CoatcheckError, *, provider: str, refs: Sequence[TaskRef]
    ) -> errors.CoatcheckError:
        """Return *error* with the task that it is about, and with the options of this run in the commands of its remedy."""
        from .error_context import in_context, with_service_options  # only an error needs them

        options = {"--account": self._account, "--base-url": self._base_url}
        named = in_context(error, provider=provider, refs=refs, environ=self.process_env.environ)
        named.remedy = named.remedy and with_service_options(named.remedy, options)
        return named

    def start_progress(self, *refs: TaskRef) -> WaitProgress:
        """Show the progress of a wait for *refs* from now on."""
        from .progress import WaitProgress

        progress = self.outages.progress = self._clock.progress = WaitProgress(self.console, self._clock, *refs)
        progress.refresh()
        self.history.is_live = True
        return progress

    @functools.cached_property
    def _clock(self) -> ProgressClock:
        """The clock of the command's client, which keeps the progress of a wait up to date."""
        from .progress import ProgressClock

        return ProgressClock(self.process_env.clock or SystemClock())

    def hint(self, *words: str, has_provider: bool = False) -> str:
        """Return a command line that the user can paste: *words*, and the options of this run that select the service.

        *has_provider* adds the provider, for commands without a ref.
        """
        import shlex

        options = {"--provider": self._provider if has_provider else None, "--account": self._account}
        options["--base-url"] = self._base_url
        arguments = [word for name, value in options.items() if value is not None for word in (name, value)]
        return shlex.join(["coatcheck", *words, *arguments])

    def confirm(self, question: str) -> bool:
        """Ask a question on the terminal; where standard input is not a terminal, the answer is no."""
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
            self.print_document(document())
        elif is_long:
            self._page_unless_it_fits(lines())
        else:
            self.console.show_all(lines())

    def print_document(self, document: dict[str, object], *, is_line: bool = False) -> None:
        """Print a document as ``--json`` and ``--jq`` choose it; *is_line* is for a document of a stream."""
        if self._output is not None:
            data = self._output.text(document, is_line=is_line)
            (self.console.write if self._output.is_filtered else self.console.write_json)(data)
            return
        from .json_output import dump, dump_line

        self.console.write_json(dump_line(document) if is_line else dump(document))

    def _page_unless_it_fits(self, lines: list[Line]) -> None:
        """Print lines through the pager; without it where they may hold links, which few pagers pass through, and fit."""
        if self.console.has_links and self.console.fits(lines):
            self.console.show_all(lines)
        else:
            self.page(lines)

    def page(self, lines: Iterable[Line], *, with_colour: bool | None = None) -> None:
        """Print many result lines, on a terminal through a pager."""
        if self.process_env.can_page:
            from .pager import command_of, passes_links, show

            environ = self.process_env.environ
            command = command_of(self.config.get("pager"), environ=environ)
            has_links = self.console.has_links and passes_links(command, environ=environ)
            if show(
                self.console.composed(lines, with_colour=with_colour, with_links=has_links), command, environ=environ
            ):
                return
        self.console.show_all(lines, with_colour=with_colour)

    def markdown(self, text: str, *, indent: str = "") -> list[Line]:
        """Return a text that may be Markdown as lines that begin with *indent*: rendered on a terminal, else as it is."""
        if not self.console.is_terminal or self.console.is_dumb:
            return paragraph(text, indent=indent)
        from .markdown import rendered  # 100 ms, only needed on terminals

        lines = rendered(text, width=self.console.width - len(indent))
        return [(indent, *parts_of(line)) for line in lines] if indent else lines

    def bytes(self, data: bytes) -> None:
        """Print a result's own bytes, nothing added; on a terminal their text, with control characters escaped."""
        if self.console.is_terminal:
            text = data.decode("utf-8", "backslashreplace").removesuffix("\n")
            self.page(text.split("\n"))
        else:
            self.console.write(data)

    def note(self, *lines: Line) -> None:
        """Print notes on stderr, with ``--json`` only on a terminal, and nothing with ``--quiet``."""
        if not self.console.is_quiet:
            self.warn(*lines)

    def print_origin(self) -> None:
        """Print which results come from the history."""
        if self.read_from_history:
            from .recording import origin_line

            self.note(origin_line(self.read_from_history, self.now))

    def save_history(self) -> None:
        """Record what the command has observed."""
        if "history" in vars(self):
            from .recording import save_history

            save_history(self.history, self.console)

    def warn(self, *lines: Line) -> None:
        """Print warnings on stderr, with ``--json`` only on a terminal."""
        if not self.is_json or self.console.is_interactive:
            self.console.note(*lines)


# A command in a remedy that takes the options of the service; it ends with the remedy or before the next part of it.
SERVICE_COMMAND = r"\bcoatcheck (?:list|submit|wait|watch|status)\b[^;,)]*"


def command(
    name: str, *, examples: str, has_provider: bool = True, notes: Callable[[], Iterable[str]] | None = None
) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a click command of a function whose first argument is its `CommandContext`.

    The docstring is the help, *notes* follow it, *examples* end it. ``--json`` comes with every command, ``--provider``, ``--account``
    and ``--base-url`` with those that send requests to a service.
    """

    def decorate(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        def invoke(
            *,
            as_json: str | None,
            jq: str | None,
            quiet: bool,
            verbose: int,
            log_file: str | None,
            provider: str | None = None,
            base_url: str | None = None,
            account: str | None = None,
            **options: Any,
        ) -> Any:
            process_env: ProcessEnv = click.get_current_context().obj
            process_env.console.is_quiet = quiet
            start_logging(process_env, verbose, log_file)
            run = CommandContext(
                process_env,
                is_json=as_json is not None or jq is not None,
                provider=provider,
                base_url=base_url,
                account=account,
                output=json_output(name, as_json, jq),
            )
            try:
                code = function(run, **options)
                run.print_origin()
            finally:
                run.save_history()
            return code

        own = reversed(getattr(function, "__click_params__", ()))
        common = (PROVIDER, ACCOUNT, BASE_URL, *OUTPUT) if has_provider else OUTPUT
        params = [completing(each, name) for each in (*own, *common)]
        return Command(name, callback=invoke, params=params, help=function.__doc__, examples=examples, notes=notes)

    return decorate


def json_output(command: str, fields: str | None, filter: str | None) -> JsonOutput | None:
    """Return what ``--json FIELDS`` and ``--jq`` choose, None where they choose nothing."""
    if not fields and filter is None:
        return None
    from .json_selection import JsonOutput

    return JsonOutput(command, fields, filter)


ref_argument = click.argument("task", metavar="REF")
refs_argument = click.argument("tasks", metavar="REF...", nargs=-1, required=True)
attempt_option = click.option(
    "--attempt", type=click.IntRange(min=1), metavar="N", help="Which attempt, from 1; the numbers never change."
)
