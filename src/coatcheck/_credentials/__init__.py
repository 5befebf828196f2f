"""Credentials: their sources, their expiry, and the hosts that they may be sent to."""
