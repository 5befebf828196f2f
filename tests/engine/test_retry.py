"""Which requests are retried."""

from __future__ import annotations

import msgspec
import pytest
from tests.clients import VARIANTS, Both
from tests.toy import ToyProvider, ToyService, ToyTask, reply

from coatcheck import Task, TaskSpec, TaskState, errors
from coatcheck._engine.backoff import RetryPolicy
from coatcheck._protocol.decode import decode
from coatcheck._protocol.effects import Exchange, Request, Response

LOST = errors.TransportError("the connection was reset")
REFUSED = errors.TransportError("refused", request_sent=False)


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    """The kind of client."""
    return request.param


def service_with_task(**options: object) -> ToyService:
    """Return a service with one task."""
    service = ToyService(**options)  # type: ignore[arg-type]
    service.create({"prompt": "p", "attempts": 1})
    return service


@pytest.mark.parametrize("trouble", [reply({}, 500), reply({}, 429), reply({}, 503), LOST, REFUSED])
def test_a_get_is_retried_after_transient_errors(variant: str, trouble: object) -> None:
    """A GET is repeated after throttling, server errors and lost connections, with jittered exponential pauses."""
    service = service_with_task()
    service.script = [trouble, trouble]
    both = Both(variant, ToyProvider(), service)

    assert TaskState.QUEUED is both.get_task("t1").state
    assert [0.5, 1.0] == both.clock.sleeps


def test_a_403_rate_limit_is_retried(variant: str) -> None:
    """Even a POST is sent again after it, since a limited request was not performed."""
    service = ToyService(None, reply({}, 403, retry_after="7"))
    both = Both(variant, ToyProvider(), service)
    both.create_task("p")

    assert (2, [pytest.approx(7.35)]) == (service.count("POST", "/tasks"), both.clock.sleeps)


def test_a_limit_that_is_too_long_is_an_error_with_its_time(variant: str) -> None:
    """A wait for a task waits it out; any other call raises."""
    service = service_with_task()
    service.script = [reply({}, 403, retry_after="3600")]
    both = Both(variant, ToyProvider(), service)
    with pytest.raises(errors.RateLimitError) as caught:
        both.get_task("t1")

    assert (3600.0, []) == (caught.value.retry_after, both.clock.sleeps)


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"date": "Fri, 20 Nov 2026 10:00:00 GMT", "retry-after": "Fri, 20 Nov 2026 10:00:09 GMT"}, 9.0),
        (
            {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1795000004", "date": "Wed, 18 Nov 2026 11:06:40 GMT"},
            4.0,
        ),
    ],
)
def test_retry_after_is_never_shortened(variant: str, headers: dict[str, str], pause: float) -> None:
    """Every form of Retry-After is obeyed, lengthened at random by at most a tenth."""
    service = service_with_task()
    service.script = [Response(429, headers)]
    both = Both(variant, ToyProvider(), service)
    both.get_task("t1")

    assert [pytest.approx(pause * 1.05)] == both.clock.sleeps


def test_a_pause_over_the_limit_is_raised(variant: str) -> None:
    """A Retry-After of an hour is not slept: the error carries the hour."""
    service = service_with_task()
    service.script = [Response(429, {"retry-after": "3600"})]
    both = Both(variant, ToyProvider(), service)

    with pytest.raises(errors.RateLimitError) as caught:
        both.get_task("t1")

    assert 3600.0 == caught.value.retry_after
    assert [] == both.clock.sleeps


def test_the_last_answer_is_the_error(variant: str) -> None:
    """After the last try the service's own answer is raised."""
    service = service_with_task()
    service.script = [reply({"detail": "down"}, 502)] * 3
    both = Both(variant, ToyProvider(), service, retry=RetryPolicy(attempts=3))

    with pytest.raises(errors.ProviderUnavailableError, match=r"HTTP 502.*: down"):
        both.get_task("t1")

    assert 3 == len(service.requests)


@pytest.mark.parametrize("trouble", [reply({}, 500), reply({}, 502), LOST])
def test_a_post_that_may_have_been_performed_is_not_repeated(variant: str, trouble: object) -> None:
    """Messages, cancellations and submissions are posted once where the outcome is unknown."""
    service = service_with_task()
    service.script = [trouble]
    both = Both(variant, ToyProvider(), service)

    with pytest.raises((errors.ProviderUnavailableError, errors.TransportError)):
        both.cancel_task("t1")

    assert 1 == service.count("POST", "/tasks/t1/cancel")


@pytest.mark.parametrize("trouble", [reply({}, 429), REFUSED])
def test_a_post_that_was_certainly_not_taken_is_sent_again(variant: str, trouble: object) -> None:
    """Throttled, or never connected: the POST is repeated."""
    service = service_with_task()
    service.script = [trouble]
    both = Both(variant, ToyProvider(), service)
    both.cancel_task("t1")

    assert 2 == service.count("POST", "/tasks/t1/cancel")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_a_refusal_is_final(variant: str, status: int) -> None:
    """A refused request is not repeated."""
    service = service_with_task()
    service.script = [reply({"detail": "no"}, status)]
    both = Both(variant, ToyProvider(), service)

    with pytest.raises(errors.ProviderError) as caught:
        both.get_task("t1")

    assert (status, "no", 1) == (caught.value.status, caught.value.detail, len(service.requests))


class KeyedProvider(ToyProvider):
    """The toy as a service that finds submissions by a key."""

    def create_task(self, spec: TaskSpec) -> Exchange[Task]:
        body = msgspec.json.encode({"prompt": spec.prompt, "attempts": 1})
        response = yield Request("POST", "/tasks", body=body, idempotent=True)
        return self._task(decode(response, ToyTask))


@pytest.mark.parametrize("trouble", [reply({}, 500), reply({}, 429), reply({}, 503), LOST, REFUSED])
def test_a_submission_with_a_key_is_retried(variant: str, trouble: object) -> None:
    """A request that a provider calls idempotent is repeated like a GET, and performed once."""
    service = ToyService(None, trouble, trouble)
    both = Both(variant, KeyedProvider(), service)

    assert "t1" == both.create_task("p").ref.id
    assert [0.5, 1.0] == both.clock.sleeps


def test_a_key_does_not_outlast_the_policy(variant: str) -> None:
    """A service that stays unavailable leaves the outcome unknown, with and without a key."""
    service = ToyService(None, *[LOST] * 50)
    both = Both(variant, KeyedProvider(), service, retry=RetryPolicy(attempts=2))

    with pytest.raises(errors.SubmissionUncertainError):
        both.create_task("p")
