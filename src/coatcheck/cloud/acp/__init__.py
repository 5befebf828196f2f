"""Agents that support the Agent Client Protocol (https://agentclientprotocol.com), version 1, with the server as their client."""
