"""What every service has in common: retrying, authenticating, redirecting, polling, submitting. Pure."""
