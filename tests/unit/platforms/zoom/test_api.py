"""Zoom's transport: tokens, limits, errors, and what nobody may see."""

from __future__ import annotations

from collections.abc import Sequence

import httpx
import pytest

from common.errors import Consequence, PlatformError
from platforms.calls.credentials import Credential, FixedCredential
from platforms.calls.pace import TRIES
from platforms.zoom.api import Target
from platforms.zoom.usage import Category
from tests.support.spans import recorded_spans
from tests.unit.platforms.zoom.fake_zoom import TOKEN, FakeZoom, failure

ME = Target("users/me", "users/{userId}", Category.LIGHT)
LIST = Target("users/me/recordings", "users/{userId}/recordings", Category.MEDIUM)
PERSON = httpx.Response(200, json={"id": "u"})
PER_SECOND = "You have reached the maximum per-second rate limit for this API. Try again later."
PER_DAY = "You have reached the maximum daily rate limit for this API. Refer to the response header."


class Renewable:
    """A token that is renewed as often as it is asked to be."""

    def __init__(self) -> None:
        self.seen: list[str] = [TOKEN]
        self.rejected: list[str] = []

    async def current(self) -> str:
        return self.seen[-1]

    async def renewed(self, rejected: str) -> str:
        self.rejected.append(rejected)
        self.seen.append(f"{TOKEN}-{len(self.seen) + 1}")
        return self.seen[-1]


async def refused(zoom: FakeZoom, target: Target = ME, credential: Credential | None = None) -> PlatformError:
    with pytest.raises(PlatformError) as raised:
        await zoom.api(credential).get(target, {})
    return raised.value


async def test_a_token_that_is_refused_again_needs_a_person() -> None:
    zoom, credential = FakeZoom(failure(401, 124)), Renewable()

    error = await refused(zoom, credential=credential)

    assert (error.consequence, error.code) == (Consequence.REAUTH, "124")
    assert len(zoom.requests) == 2


async def test_calls_that_come_too_fast_wait_a_moment_inside_the_call() -> None:
    zoom = FakeZoom(failure(429, 429, PER_SECOND), failure(429, 429, PER_SECOND), PERSON)

    assert await zoom.api().get(ME, {}) == {"id": "u"}

    assert zoom.slept == [1.5, 1.5]


async def test_waiting_for_a_moment_has_an_end() -> None:
    zoom = FakeZoom(failure(429, 429, PER_SECOND))

    error = await refused(zoom)

    assert (error.consequence, error.retry_after) == (Consequence.RATE, 1.0)
    assert len(zoom.requests) == TRIES


@pytest.mark.parametrize(
    ("headers", "message", "wait"),
    [
        ({"Retry-After": "2026-11-05T00:00:00Z"}, PER_DAY, 9_000.0),
        ({"Retry-After": "Thu, 05 Nov 2026 00:00:00 GMT"}, PER_DAY, 9_000.0),
        ({"Retry-After": "120"}, PER_SECOND, 120.0),
        ({"X-RateLimit-Type": "Daily-limit"}, "Too many", 9_000.0),
        ({"Retry-After": "soon"}, PER_DAY, 9_000.0),
        ({}, PER_DAY, 9_000.0),
        ({"X-RateLimit-Type": "QPS", "X-RateLimit-Reset": "1793828460"}, "Too many", 660.0),
    ],
)
async def test_a_days_limit_ends_the_attempt_and_closes_its_bucket(
    headers: dict[str, str], message: str, wait: float
) -> None:
    zoom = FakeZoom(failure(429, 429, message, headers), PERSON)
    api = zoom.api()

    with pytest.raises(PlatformError) as first:
        await api.get(LIST, {})
    with pytest.raises(PlatformError) as second:
        await api.get(LIST, {})

    assert (first.value.consequence, first.value.retry_after) == (Consequence.RATE, wait)
    assert (second.value.consequence, second.value.permanent) == (Consequence.RATE, False)
    assert len(zoom.requests) == 1, "a call was spent on a limit known to be reached"
    assert await api.get(ME, {}) == {"id": "u"}, "the other category has a limit of its own"


@pytest.mark.parametrize(
    ("remaining", "slept"), [("500", []), ("200", [pytest.approx(1.15)]), (None, []), ("many", [])]
)
async def test_a_day_that_is_nearly_used_up_slows_down(remaining: str | None, slept: Sequence[float]) -> None:
    headers = {"X-RateLimit-Type": "Daily-limit", "X-RateLimit-Limit": "1000"}
    if remaining is not None:
        headers["X-RateLimit-Remaining"] = remaining
    zoom = FakeZoom(httpx.Response(200, json={}, headers=headers))
    api = zoom.api()

    await api.get(LIST, {})
    await api.get(LIST, {})

    assert zoom.slept == slept


async def test_a_day_that_is_used_up_but_for_a_little_is_left_alone() -> None:
    headers = {
        "X-RateLimit-Type": "Daily-limit",
        "X-RateLimit-Limit": "1000",
        "X-RateLimit-Remaining": "40",
        "X-RateLimit-Category": "Medium",
    }
    zoom = FakeZoom(httpx.Response(200, json={}, headers=headers))
    api = zoom.api()

    await api.get(LIST, {})
    error = await refused(zoom, LIST)

    assert error.consequence is Consequence.RATE
    assert len(zoom.requests) == 1


async def test_calls_left_in_a_second_say_nothing_of_the_day() -> None:
    headers = {"X-RateLimit-Type": "QPS", "X-RateLimit-Limit": "20", "X-RateLimit-Remaining": "0"}
    zoom = FakeZoom(httpx.Response(200, json={}, headers=headers))
    api = zoom.api()

    await api.get(LIST, {})
    await api.get(LIST, {})

    assert zoom.slept == []


async def test_an_answer_may_say_that_a_call_counts_as_another_category() -> None:
    heavy = {"X-RateLimit-Category": "Heavy", "X-RateLimit-Type": "Daily-limit"}
    zoom = FakeZoom(failure(429, 429, PER_DAY, heavy))
    api = zoom.api()

    with pytest.raises(PlatformError):
        await api.get(LIST, {})
    with pytest.raises(PlatformError):
        await api.get(LIST, {})

    assert len(zoom.requests) == 1
    assert await zoom.limiter.admit("zoom/acme/heavy") > 0
    assert await zoom.limiter.admit("zoom/acme/medium") == 0


async def test_no_error_tells_a_token() -> None:
    zoom = FakeZoom(failure(400, 300, f"bad Bearer {TOKEN} and {TOKEN}, " + "x" * 500))

    error = await refused(zoom, credential=FixedCredential(TOKEN, platform="zoom"))

    assert TOKEN not in error.detail
    assert len(error.detail) < 320
    assert error.platform == "zoom"


async def test_spans_say_what_zoom_calls_the_request_and_hold_no_ids(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tracked = {"x-zm-trackingid": "v=2.0;clid=us02;rid=WEB_0123456789abcdef"}
    zoom = FakeZoom(failure(404, 1001, "User does not exist: u1.", tracked))

    with recorded_spans(monkeypatch) as spans:
        await refused(zoom, LIST)

    [ended] = spans.ended()
    attributes = ended.attributes or {}
    assert ended.name == "GET /users/{userId}/recordings"
    assert attributes["zoom.tracking_id"] == tracked["x-zm-trackingid"]
    assert (attributes["zoom.error_code"], attributes["http.response.status_code"]) == ("1001", 404)
    assert TOKEN not in spans.text()
