"""`FleetReport`: the report of a fleet, and its formats."""

from __future__ import annotations

from .report_values import ReportData


class FleetReport(ReportData, frozen=True, kw_only=True):
    """The report of a fleet: `to_markdown` and `to_html` return it as a page, `to_dict` as plain data."""

    def to_markdown(self) -> str:
        """Return it as Markdown, in which keys, reasons and other text of services have no effect."""
        from .report_markdown import markdown_report

        return markdown_report(self)

    def to_html(self) -> str:
        """Return it as one HTML file with charts: without scripts, and without references to other files."""
        from .report_html import html_report

        return html_report(self)

    def _repr_markdown_(self) -> str:
        """Return it as a notebook shows it."""
        return self.to_markdown()
