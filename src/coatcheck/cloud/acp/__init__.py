"""Agents that speak the Agent Client Protocol (https://agentclientprotocol.com), version 1, with the server as their client."""
