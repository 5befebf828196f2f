"""Whether an intent may still be being submitted."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from coatcheck._files.processes import boot_id, host_id, start_time
from coatcheck._protocol.intents import Intent
from coatcheck._store.processes import QUIET_SECONDS, is_submitting

NOW = 1000.0


def intent(**fields: Any) -> Intent:
    """Return an intent."""
    return Intent(id="i", provider="toy", digest="d", at=NOW, summary="s", **fields)


def test_a_process_submits_until_it_ends() -> None:
    """Process 1 may be submitting, a child that has ended is not, and this process is not waiting for itself."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()

    assert (True, False, False) == tuple(is_submitting(intent(pid=pid), now=NOW) for pid in (1, child.pid, os.getpid()))


@pytest.mark.skipif(start_time(1) is None, reason="the system does not report start times")
def test_a_later_process_with_the_same_number_does_not_submit() -> None:
    """The start time and the boot belong to the identity of a process."""
    identity = {"pid": 1, "host": host_id(), "boot": boot_id(), "started": start_time(1)}
    changes = ({}, {"started": "0"}, {"boot": "another"})

    assert [True, False, False] == [is_submitting(intent(**identity | change), now=NOW) for change in changes]


@pytest.mark.parametrize("pid", [1, os.getpid(), 2**22 + 1], ids=["init", "own", "none"])
def test_an_intent_of_another_host_is_judged_by_its_age_alone(pid: int) -> None:
    """For any process of that number here, it counts as being submitted for the quiet time and not longer."""
    elsewhere = intent(pid=pid, host="another host", boot=boot_id(), started="0")

    assert (True, True, False) == tuple(
        is_submitting(elsewhere, now=NOW + seconds) for seconds in (0.0, QUIET_SECONDS - 1, QUIET_SECONDS)
    )
