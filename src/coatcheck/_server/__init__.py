"""What every HTTP server of this project shares: connections, limits, requests of ASGI, socket owners."""
