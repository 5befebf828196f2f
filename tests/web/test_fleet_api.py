"""The JSON API of fleets, webhooks and the audit log; each answer is compared with the OpenAPI description."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.web.described_api import DescribedApi
from tests.web.test_fleets import FleetPages, fleet
from tests.web.test_hooks import hook_of, hooked, latest
from tests.web.web_support import Pages

__all__ = ["fleet", "hooked"]
TYPING = "/fleets/typing"


@pytest.fixture
def api(fleet: FleetPages) -> DescribedApi:
    """A program beside a fleet of which every item waits for a decision."""
    return DescribedApi(fleet)


def everything(api: DescribedApi, path: str, name: str, limit: int) -> Iterator[Any]:
    """Return what the pages of a list have, one page after the other."""
    sign, cursor = "&" if "?" in path else "?", ""
    while cursor is not None:
        page = api.get(f"{path}{sign}limit={limit}" + (f"&cursor={cursor}" if cursor else ""))
        yield from page[name]
        cursor = page["cursor"]


def test_a_program_reads_a_fleet(api: DescribedApi) -> None:
    """The list, a fleet, its items by pages, an item, the events and the merge order are as described."""
    (listed,) = everything(api, "/fleets", "fleets", 1)
    shown, order = api.get(TYPING), api.get(f"{TYPING}/merge-order")
    items = [each["key"] for each in everything(api, f"{TYPING}/items", "items", 2)]
    found = api.get(f"{TYPING}/items?q=P1&state=waiting")
    item = api.get(f"{TYPING}/items/{found['items'][0]['id']}")
    events = api.get(f"{TYPING}/events")["events"]
    later = api.get(f"{TYPING}/events?after={events[0]['id']}")["events"]

    assert (shown["status"], ["p0", "p1", "p2"], 1) == (listed, items, found["count"])
    assert ("p1", "Add types to p1.", 1) == (item["item"]["key"], item["prompt"], len(item["candidates"]))
    assert (events[1:], {"p0", "p1", "p2"}) == (later, {each["key"] for each in order["items"]})


def test_a_program_decides_items(api: DescribedApi, fleet: FleetPages) -> None:
    """One item is decided with the digest that was read, others by their keys, the rest at once; the log has why."""
    path = f"{TYPING}/items/{api.get(f'{TYPING}/items')['items'][0]['id']}"
    digest = api.get(path)["digest"]
    one = api.post(f"{path}/approve", {"digest": digest, "why": "read it"})["keys"]
    again = api.call("POST", f"{path}/reject", {"digest": digest})
    keys = api.post(f"{TYPING}/reject", {"keys": ["p1"]})["keys"]
    rest = api.post(f"{TYPING}/approve", {"is_all": True, "why": "the rest"})["keys"]
    back = api.post(f"{TYPING}/retry", {"keys": ["p1"]})["keys"]
    reasons = [each["event"].get("why") for each in api.get("/audit-log")["entries"]]

    assert (["p0"], 409, ["p1"], ["p2"], ["p1"]) == (one, again.status, keys, rest, back)
    assert (["approved", "open", "approved"], True) == (fleet.states(), {"read it", "the rest"} <= {*reasons})


def test_a_program_pauses_resumes_and_cancels(api: DescribedApi, fleet: FleetPages) -> None:
    """Each answer says whether something has changed; repeating it changes nothing."""
    calls = [("pause", {"why": "look"}), ("pause", {}), ("resume", None), ("resume", None)]
    changed = [api.post(f"{TYPING}/{word}", body)["is_changed"] for word, body in calls]
    running = api.post(f"{TYPING}/cancel", {"why": "no need"})["running"]

    assert ([True, False, True, False], [], "stopping") == (changed, running, fleet.fleet.control.get("typing").state)


def test_a_program_delivers_and_reads_how_it_ended(api: DescribedApi, fleet: FleetPages) -> None:
    """A delivery is started, its end is read, and it is recorded as a program's."""
    before = api.get(f"{TYPING}/delivery")["delivery"]
    api.post(f"{TYPING}/approve", {"keys": ["p0"]})
    api.call("POST", f"{TYPING}/delivery")
    job = fleet.site.delivery_jobs.get("typing")
    assert job is not None
    assert job.thread is not None
    job.thread.join()
    after = api.get(f"{TYPING}/delivery")["delivery"]
    ways = [getattr(each.event, "via", "") for each in fleet.site.events.last(9, family="action.")]

    assert (None, False, ["api", "api"]) == (before, after["is_running"], ways)


def test_a_delivery_that_runs_is_not_started_again(api: DescribedApi, fleet: FleetPages) -> None:
    """A second delivery is a conflict, and the first one is shown as running."""
    import threading

    end = threading.Event()
    fleet.site.delivery_jobs.start("typing", lambda _: end.wait() and fleet.fleet.control.status("typing"))  # type: ignore[arg-type,return-value]
    answer, shown = api.call("POST", f"{TYPING}/delivery"), api.get(f"{TYPING}/delivery")["delivery"]
    end.set()

    assert (409, True) == (answer.status, shown["is_running"])


@pytest.mark.parametrize(
    ("call", "status", "words"),
    [
        (("GET", "/fleets/none", None), 404, "there is no fleet"),
        (("GET", f"{TYPING}/items/999", None), 404, "has no item 999"),
        (("GET", f"{TYPING}/items?state=lost", None), 422, "$.state"),
        (("GET", f"{TYPING}/items?cursor=x", None), 422, "$.cursor"),
        (("POST", f"{TYPING}/approve", {}), 422, "either keys or is_all"),
        (("POST", f"{TYPING}/approve", {"keys": []}), 422, "either keys or is_all"),
        (("POST", f"{TYPING}/reject", {"keys": ["p0"], "is_all": True}), 422, "either keys or is_all"),
        (("POST", f"{TYPING}/approve", {"keys": ["none"]}), 400, "has no item 'none'"),
        (("POST", f"{TYPING}/pause", None), 422, "the body is of no type"),
        (("GET", "/hooks/none", None), 404, "there is no hook"),
        (("GET", "/deliveries?hook=none", None), 400, "there is no hook"),
        (("GET", "/deliveries?cursor=a/b", None), 400, "is not the cursor of a page"),
        (("GET", "/audit-log?cursor=-1", None), 422, "$.cursor"),
    ],
)
def test_what_is_wrong_changes_nothing(
    api: DescribedApi, fleet: FleetPages, call: Any, status: int, words: str
) -> None:
    """Each error has its documented status and names what is wrong; no item is decided by it."""
    answer = api.call(*call)

    assert (status, True, ["waiting"] * 3) == (answer.status, words in answer.json["detail"], fleet.states())


def test_a_program_switches_a_hook_and_replays_a_delivery(hooked: Pages) -> None:
    """A hook is switched off and on, a delivery that was given up is due again, and each change is recorded as api."""
    api, id = DescribedApi(hooked), hook_of(hooked)
    hooked.submit()
    store, delivery = hooked.site.hooks.hooks, latest(hooked)
    store.record_attempt(delivery, state="failed", due_at=None, status=500, detail="no")
    states = [api.post(f"/hooks/{id}/switch", {"state": state})["state"] for state in ("off", "on")]
    (listed,), shown = api.get("/hooks")["hooks"], api.get(f"/hooks/{id}")
    replayed = api.post(f"/hooks/{id}/deliveries/{delivery.id}/replay")
    unknown = api.call("POST", f"/hooks/{id}/deliveries/none/replay")
    ways = [(each.event.action, each.event.via) for each in hooked.site.events.last(9, family="action.")]  # type: ignore[union-attr]
    deliveries = [each["id"] for each in everything(api, f"/deliveries?hook={id}", "deliveries", 1)]

    assert (["off", "on"], shown, "due", 404) == (states, {**shown, **listed}, replayed["state"], unknown.status)
    assert [("submit", "web"), ("switch", "api"), ("switch", "api"), ("replay", "api")] == ways
    assert ([each.id for each in store.list_deliveries(hook=id)], True) == (deliveries, len(deliveries) > 1)


def test_the_audit_log_has_each_entry_once(pages: Pages) -> None:
    """The pages of the log have the entries of the page, the newest first; events of services are not among them."""
    api = DescribedApi(pages)
    for _ in range(2):
        pages.submit()
    numbers = [each["id"] for each in everything(api, "/audit-log", "entries", 1)]
    every = [each for each in pages.site.events.last(100) if each.event.type[:5] in ("actio", "gate.")]

    assert ([each.id for each in every][::-1], True) == (numbers, len(numbers) > 1)


def test_a_test_of_a_hook_goes_to_public_addresses_alone(tmp_path: Path) -> None:
    """A program cannot make the server send to an address of the machine: the error names the option of the command."""
    pages = Pages(tmp_path)
    pages.site.hooks.add("http://127.0.0.1:9/x", (), allowed=("http://127.0.0.1:*",))
    answer = DescribedApi(pages).call("POST", f"/hooks/{hook_of(pages)}/test")
    pages.site.close()

    assert (400, True) == (answer.status, "--allow-hook" in answer.json["remedy"])
