"""What services share that run an agent in a session with an event log, and return no diff.

Only `claude_agents` and `openai_agents` import this package.
"""
