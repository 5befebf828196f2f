"""`web` serves the page of this user's store until it is interrupted."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from ... import errors
from ..context import CommandContext, command
from ..process_env import can_browse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import BaseRoute

    from ..._web.site import Site


@command(
    "web",
    examples="""
coatcheck web
coatcheck web --checkout ~/src/repo --port 8700
coatcheck web --no-open --token-file ./token --json
""",
)
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=0, metavar="N", help="Port to listen on (default: a free one)."
)
@click.option("--no-open", is_flag=True, help="Print the link, and open no browser.")
@click.option(
    "--checkout",
    metavar="FOLDER",
    help="The checkout that patches are applied to (default: the one that contains the working directory).",
)
@click.option(
    "--token-file",
    metavar="FILE",
    help="The bearer token of programs, created if it is missing (default: in the user's state folder).",
)
@click.option(
    "--mcp-tools", metavar="NAMES", help="Toolsets of the MCP server at /mcp, as `coatcheck mcp --tools` takes them."
)
def web_command(
    run: CommandContext,
    *,
    port: int,
    no_open: bool,
    checkout: str | None,
    token_file: str | None,
    mcp_tools: str | None,
) -> None:
    """Serve a page that shows, compares, decides and applies what the store has.

    It listens on loopback only. The link that is printed opens the page in one browser, once; the page itself makes
    further ones. Patches are applied to --checkout and to no other folder. Programs use the JSON API below /api/v1, and
    agents the MCP server at /mcp, with the token of --token-file. Ctrl-C ends it.
    """
    if os.name != "posix":  # it ends by signals that Windows lacks
        raise errors.UnsupportedError("web is not supported on Windows", remedy="run it in WSL")
    from ..._web.rendering import require_extra

    require_extra()
    from starlette.routing import Route

    from ..._app.checkout import find_root
    from ..._runtime.config import state_dir
    from ..._runtime.system_clock import SystemClock
    from ..._web.site import Site
    from ..._web.tokens import read_or_create
    from ..mcp_endpoint import PATH, mcp_endpoint
    from ..mcp_server import server_options

    root = find_root(os.path.abspath(os.path.join(run.process_env.folder, checkout))) if checkout else run.root
    if checkout and root is None:
        raise errors.ConfigurationError(
            f"{checkout} is not in a git checkout", remedy="pass --checkout FOLDER with a clone of the repository"
        )
    options = server_options(run, mcp_tools, is_read_only=False, folders=())
    options = options._replace(folders=(os.path.realpath(root),) if root else ())  # without a checkout none is changed
    path = token_file or os.path.join(state_dir(run.process_env.environ), "web-token")
    path = os.path.join(run.process_env.folder, os.path.expanduser(path))
    token = read_or_create(path)
    clock = run.process_env.clock or SystemClock()
    site = Site(run.workspace, clock=clock, checkout=root, transport=run.process_env.transport, base_url=run.base_url)
    try:
        with mcp_endpoint(run, options) as endpoint:
            extra = [Route(PATH, endpoint=endpoint)]
            serve(run, site, token=token, token_file=path, port=port, opens=not no_open, extra=extra)
    finally:
        site.close()


def serve(
    run: CommandContext,
    site: Site,
    *,
    token: str | None = None,
    token_file: str | None = None,
    port: int = 0,
    opens: bool = True,
    path: str = "/",
    extra: Sequence[BaseRoute] = (),
) -> None:
    """Serve the page of *site* until SIGINT, SIGTERM or SIGHUP; a browser is opened at *path* where one is visible.

    *extra* are further routes behind the same checks.
    """
    from ..._server.http_protocol import limits_here
    from ..._server.listener import serving_app, stop_signal
    from ..._web.app import WebApp

    app = WebApp(site, token=token, extra=extra)
    with (
        stop_signal() as wait,
        app.running(),
        serving_app(app.asgi, limits_here(), port=port, on_stop=app.live.end) as origin,
    ):
        link = site.new_link(origin, path)
        _announce(run, origin, link, token_file=token_file)
        if opens and not run.is_json and can_browse(run.process_env.environ, sys.platform):
            import webbrowser  # it searches for browsers

            webbrowser.open(link)
        wait()


def _announce(run: CommandContext, origin: str, link: str, *, token_file: str | None) -> None:
    """Print the link; it works once."""
    from ..mcp_endpoint import PATH

    if run.is_json:
        from ..json_output import dump_line

        run.console.write_json(dump_line({"url": origin, "link": link, "token_file": token_file}))
        return
    run.console.show(f"Serving {origin}")
    run.console.show(f"Open once: {link}")
    if token_file is not None:
        run.note(f"Programs: {origin}/api/v1, agents: {origin}{PATH} (MCP), with the token in {token_file}")
    run.note("Ctrl-C ends it.")
