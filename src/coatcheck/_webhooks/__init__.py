"""Webhooks: verify deliveries that arrive, sign deliveries that are sent."""
