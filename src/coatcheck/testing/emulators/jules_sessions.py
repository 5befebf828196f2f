"""One session of the emulated Jules: its request, its activities, and the steps that follow."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from ..._values.rfc3339 import format_time
from .jules_scripts import COMPLETED, Act, Json, approved, progress, user_message

# Activities with the same millisecond are delivered twice by the official client
# (docs/reference/protocols/jules.md, "3.4 @google/jules-sdk facts"); two, since the clock's float is rounded to
# microseconds.
APART = 0.002
# Input-only fields, which do not come back (docs/reference/protocols/jules.md, "2.2 Session").
INPUT_ONLY = frozenset({"requirePlanApproval", "automationMode"})
ENDED = frozenset({"COMPLETED", "FAILED"})
WORKS = frozenset({"QUEUED", "PLANNING", "IN_PROGRESS"})


class Session:
    """A session and the steps that follow."""

    def __init__(self, id: str, arguments: Mapping[str, object], life: Iterable[Act], *, now: float) -> None:
        self.id, self.created, self.updated = id, now, now
        self.state, self.archived = "QUEUED", False
        self.activities: list[dict[str, object]] = []
        self._arguments = {name: value for name, value in arguments.items() if name not in INPUT_ONLY}
        self._outputs: list[Json] = []
        self._acts = deque(life)
        self._waits_for = ""
        self._last = self._last_step = now

    @property
    def has_plan(self) -> bool:
        """Whether there is a plan that has not been approved."""
        kinds = [kind for activity in self.activities for kind in ("planGenerated", "planApproved") if kind in activity]
        return bool(kinds) and kinds[-1] == "planGenerated"

    @property
    def has_ended(self) -> bool:
        """Whether the state is an end; a message may still restart the session."""
        return self.state in ENDED

    def document(self) -> dict[str, object]:
        """Return the document of the session; false and empty values are left out.

        See docs/reference/protocols/jules.md, "1.1 Base, auth, versions".
        """
        shown = {
            "name": f"sessions/{self.id}",
            "id": self.id,
            **self._arguments,
            "title": self._arguments.get("title") or self._arguments["prompt"],
            "state": self.state,
            "url": f"https://jules.google.com/session/{self.id}",
            "createTime": moment(self.created, digits=9),
            "updateTime": moment(self.updated, digits=9),
            "outputs": self._outputs,
            "archived": self.archived,
        }
        return {name: value for name, value in shown.items() if value not in (None, False, "", [])}

    def advance(self, now: float) -> None:
        """Take the next step, unless the session waits for an approval or a message."""
        if self._waits_for or self.archived or not self._acts:
            return
        act = self._acts.popleft()
        if act.activity is not None:
            self._happens(act.activity, now)
        self._outputs += act.outputs
        self._waits_for = act.waits_for
        self._becomes(act.state, now)

    def advance_until(self, now: float, step_seconds: float) -> None:
        """Take the steps that are due by *now*: one every *step_seconds* since the session began or continued."""
        while self._acts and not self._waits_for and self._last_step + step_seconds <= now:
            self._last_step += step_seconds
            self.advance(self._last_step)

    def approve(self, *, now: float) -> None:
        """Continue a session that waits for an approval; a completed session stays as it is.

        See docs/reference/protocols/jules.md, "2.3 SessionState" and "1 Transport".
        """
        if self._waits_for != "approval":
            return
        self._waits_for, self._last_step = "", now
        self._happens(approved(), now)
        self._becomes("IN_PROGRESS", now)

    def receive_message(self, text: str, *, now: float) -> None:
        """Receive a message: the answer that the session waits for, or one that restarts a completed session."""
        self._happens(user_message(text), now)
        if self.state == "COMPLETED":
            self._acts.extend((Act(activity=progress("Went on")), Act(state="COMPLETED", activity=COMPLETED)))
        if self._waits_for == "message" or self.state == "COMPLETED":
            self._waits_for, self._last_step = "", now
            self._becomes("IN_PROGRESS", now)

    def mark(self, *, archived: bool, now: float) -> None:
        """Archive or unarchive; archiving pauses a running session.

        See docs/reference/protocols/jules.md, "2.3 SessionState" and "3 Detecting things; polling; what the official
        SDK does".
        """
        self.archived = archived
        if archived and self.state in WORKS:
            self._becomes("PAUSED", now)

    def _becomes(self, state: str | None, now: float) -> None:
        if state is not None and state != self.state:
            self.state, self.updated = state, now

    def _happens(self, activity: Json, now: float) -> None:
        self._last = max(now, self._last + APART)
        id = f"{len(self.activities) + 1:032x}"
        common = {"name": f"sessions/{self.id}/activities/{id}", "id": id, "createTime": moment(self._last)}
        self.activities.append({**common, **activity})


def moment(seconds: float, *, digits: int = 6) -> str:
    """Return a time as the service writes it: six digits in activities, up to nine in sessions.

    See docs/reference/protocols/jules.md, "1.1 Base, auth, versions".
    """
    return f"{format_time(seconds, timespec='microseconds').removesuffix('Z')}{'0' * (digits - 6)}Z"
