"""What GitHub's services have in common: where they are, how people log in, and how they refuse."""
