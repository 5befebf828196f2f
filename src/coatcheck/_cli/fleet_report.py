"""`fleet report`: the report of a fleet, printed or written to a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .. import errors
from .json_output import dump, to_object

if TYPE_CHECKING:
    from .._fleet.control import FleetControl
    from .._fleet.report import FleetReport
    from .context import CommandContext

# Format -> the report as bytes.
FORMATS: Mapping[str, Callable[[FleetReport], bytes]] = {
    "markdown": lambda report: report.to_markdown().encode("utf-8", "backslashreplace"),
    "html": lambda report: report.to_html().encode("utf-8", "backslashreplace"),
    "json": lambda report: dump(to_object(report)),
}
# Ending of a file's name -> the format that it gets without --format.
ENDINGS = {".html": "html", ".htm": "html", ".json": "json"}


def show_report(
    run: CommandContext, control: FleetControl, name: str, *, format: str | None, output: str | None
) -> None:
    """Print the report of a fleet, or write it to a file."""
    from .._fleet.report_building import fleet_report

    report = fleet_report(control, name)
    if output is None or output == "-":
        _print(run, report, format)
        return
    chosen = format or ENDINGS.get(Path(output).suffix.lower(), "markdown")
    path = Path(run.workspace.folder, output)
    write(path, FORMATS[chosen](report))
    run.answer(lambda: {"path": str(path), "format": chosen}, lambda: [f"wrote {output}"])


def _print(run: CommandContext, report: FleetReport, chosen: str | None) -> None:
    if run.is_json and chosen not in (None, "json"):
        raise errors.ConfigurationError(f"--json and --format {chosen} exclude each other", remedy="pass one of them")
    if run.is_json or chosen == "json":
        run.print_document(to_object(report))
    else:
        run.console.write(FORMATS[chosen or "markdown"](report))


def write(path: Path, content: bytes) -> None:
    """Replace a file by *content*, wholly or not at all. Raises `ConfigurationError` that names it."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise errors.ConfigurationError(
            f"{path} cannot be written: {error.strerror}", remedy="name a file in a folder of yours with --output"
        ) from None
