"""What GitHub's providers share: base URLs, login, and explanations of errors."""
