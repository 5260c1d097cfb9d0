from datetime import UTC, datetime

import pytest

from tests.unit.sandbox.conftest import NOON, SandboxApp
from tests.unit.sandbox.tiktok_calls import (
    ADVERTISER,
    TOKEN,
    TikTok,
    code_of,
    report_params,
)

SECOND = "App reaches the QPS limit."
MINUTE = "App reaches the QPM limit."
DAY = "App reaches the QPD limit."


@pytest.fixture
def tiktok(app: SandboxApp) -> TikTok:
    return TikTok(app)


async def limit(tiktok: TikTok, **limits: float) -> None:
    assert (await tiktok.app.http.put("/_sandbox/limits", json=limits)).status_code == 200


async def said(tiktok: TikTok, advertiser_id: str = ADVERTISER) -> str:
    """The message of a plain call."""
    answer = await tiktok.get("/campaign/get/", advertiser_id=advertiser_id)
    assert "retry-after" not in answer.headers
    return str(answer.json()["message"])


async def test_who_exceeds_the_minute_waits_five(tiktok: TikTok) -> None:
    await limit(tiktok, tiktok_app_per_second=0, tiktok_app_per_minute=3)
    assert [await said(tiktok) for _ in range(4)] == ["OK"] * 3 + [MINUTE]
    tiktok.app.clock.advance(299)
    assert await said(tiktok) == MINUTE
    tiktok.app.clock.advance(1)
    assert await said(tiktok) == "OK"


async def test_the_day_ends_at_midnight_utc(tiktok: TikTok) -> None:
    await limit(tiktok, tiktok_app_per_day=2)
    assert [await said(tiktok) for _ in range(3)] == ["OK", "OK", DAY]
    midnight = datetime(2026, 11, 22, tzinfo=UTC).timestamp() - NOON
    tiktok.app.clock.advance(midnight - 1)
    assert await said(tiktok) == DAY
    tiktok.app.clock.advance(1)
    assert await said(tiktok) == "OK"


async def test_apps_have_limits_of_their_own(tiktok: TikTok) -> None:
    token = (await tiktok.signed_in())["access_token"]
    tiktok.app.clock.advance(1)
    await limit(tiktok, tiktok_app_per_second=1)
    assert await said(tiktok) == "OK"
    assert await said(tiktok) == SECOND
    assert await tiktok.code("/campaign/get/", token, advertiser_id=ADVERTISER) == 0


async def test_starting_reports_is_limited_further(tiktok: TikTok) -> None:
    async def start() -> int:
        return code_of(await tiktok.post("/report/task/create/", TOKEN, **report_params({})))

    assert [await start() for _ in range(3)] == [0, 0, 40100]
    assert await said(tiktok) == "OK"
    tiktok.app.clock.advance(1)
    assert await start() == 0


async def test_a_limit_of_nothing_is_none(tiktok: TikTok) -> None:
    await limit(tiktok, tiktok_app_per_second=0)
    assert {await said(tiktok) for _ in range(60)} == {"OK"}


async def test_the_organic_minute_slides(tiktok: TikTok) -> None:
    await limit(tiktok, tiktok_organic_per_minute=3)
    for _ in range(3):
        assert (await tiktok.user("act.sandbox-1")).status_code == 200
        tiktok.app.clock.advance(10)
    answer = await tiktok.user("act.sandbox-1")
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert "retry-after" not in answer.headers
    assert (await tiktok.videos()).status_code == 200
    tiktok.app.clock.advance(30)
    assert (await tiktok.user("act.sandbox-1")).status_code == 200
    assert (await tiktok.user("act.sandbox-1")).status_code == 429


@pytest.mark.parametrize(("wait", "message"), [(5, SECOND), (300, MINUTE), (3_600, DAY)])
async def test_a_rate_limit_is_worded_by_how_long_it_lasts(tiktok: TikTok, wait: int, message: str) -> None:
    await tiktok.app.fault("rate_limit", retry_after=wait, times=1)
    assert await said(tiktok) == message


async def test_each_platform_gets_its_own_calls(tiktok: TikTok) -> None:
    await tiktok.get("/campaign/get/", advertiser_id=ADVERTISER)
    await tiktok.user("act.sandbox-1")
    await tiktok.app.graph("me")
    platforms = (await tiktok.app.http.get("/_sandbox/stats")).json()["platforms"]
    assert platforms == {
        "facebook": {"/me": {"200": 1}},
        "tiktok_business": {"/open_api/v1.3/campaign/get/": {"200": 1}},
        "tiktok_organic": {"/v2/user/info/": {"200": 1}},
    }
