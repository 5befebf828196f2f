"""The MCP server: tasks as tools, resources and prompts for other agents (docs/guides/mcp.md).

Only `server`, `task_extension`, `elicitation`, `stdio` and `http` import the ``mcp`` package, the extra ``coatcheck[mcp]``.
"""
