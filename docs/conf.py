"""How the documentation is built: Markdown by MyST, the reference from the docstrings, nothing from the network."""

from __future__ import annotations

import importlib.metadata

project = "coatcheck"
author = "The coatcheck authors"
copyright = author
release = version = importlib.metadata.version("coatcheck")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"coatcheck {version}"

default_role = "code"  # docstrings quote names in single backticks, as Markdown does
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
autodoc_default_options = {"members": True, "exclude-members": "__init__, __new__"}
