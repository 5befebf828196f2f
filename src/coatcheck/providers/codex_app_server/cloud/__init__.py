"""Threads of the new Codex Cloud: the app-server protocol as OpenAI's private service speaks it.

All that is known of the service was observed by third parties; OpenAI publishes nothing. It is used only where the setting
``backend = "cloud"`` asks for it. See docs/reference/protocols/codex-app-server.md, "9 Codex Cloud threads".
"""
