"""The store: submissions, tasks, events, texts and webhooks that outlive a process, in SQLite or PostgreSQL."""
