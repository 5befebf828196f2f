"""The ChatGPT login of the Codex CLI, which services of OpenAI share: Codex Cloud, and its threads.

Only `codex` and `codex_app_server` import this package.
"""
