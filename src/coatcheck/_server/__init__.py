"""What every HTTP server of this project shares: connections, limits, middleware, event streams, routes."""
