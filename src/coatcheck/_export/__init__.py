"""Outcomes in the formats of other programs: mail for ``git am``, Markdown, Chat Completions."""
