"""How the documentation is built: Markdown by MyST, the reference from the docstrings, nothing from the network."""

from __future__ import annotations

import importlib.metadata
from typing import Any

from sphinx.application import Sphinx

import coatcheck

project = "coatcheck"
author = "The coatcheck authors"
copyright = author
release = version = importlib.metadata.version("coatcheck")

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_title = f"coatcheck {version}"

default_role = "py:obj"  # docstrings have names in single backticks: links to public names, code elsewhere
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
smartquotes_action = "qe"  # quotes and ellipses; dashes are options
maximum_signature_line_length = 88

# autodoc reads the order of members from the module that defines a class; ours name the public module.
for name, home in coatcheck._HOMES.items():  # noqa: SLF001 - the table of public modules
    if isinstance(value := getattr(coatcheck, name), type):
        value.__module__ = f"coatcheck.{home}"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
autodoc_default_options = {"members": True, "exclude-members": "__init__, __new__"}


def focus_scrollable(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Let the keyboard scroll wide code and tables (axe-core, rule scrollable-region-focusable)."""
    del app, page, template, doctree
    body: str = context.get("body", "")
    body = body.replace("<pre>", '<pre tabindex="0">')
    context["body"] = body.replace('<div class="table-wrapper', '<div tabindex="0" class="table-wrapper')


def setup(app: Sphinx) -> None:
    """Connect what the pages need beyond the theme."""
    app.connect("html-page-context", focus_scrollable)
