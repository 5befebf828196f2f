"""Whether the process that wrote an intent may still be submitting."""

from __future__ import annotations

import os

from .._files.processes import boot_id, host_id, is_running
from .._protocol.intents import Intent

# Nothing is known of a process on another host, so its intent counts as being submitted for this long (seconds): longer
# than a request takes with its retries before it is sent, and than a clock differs.
QUIET_SECONDS = 300.0


def is_submitting(intent: Intent, *, now: float) -> bool:
    """Whether another process may still be submitting *intent* at the time *now* (seconds since the epoch)."""
    if intent.host is not None and intent.host != host_id():
        return now - intent.at < QUIET_SECONDS
    if intent.boot is not None and intent.boot != boot_id():
        return False
    # An open intent of this process itself is what an earlier call left: a call that is under way does not check.
    return intent.pid != os.getpid() and is_running(intent.pid, started=intent.started)
