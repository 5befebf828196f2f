"""The MCP server of `coatcheck mcp`: tools, resources and prompts over the use cases of `_app`."""
