from datetime import UTC, datetime

import httpx
import pytest

from sandbox.tiktok_business.errors import MESSAGES
from tests.unit.sandbox.conftest import NOON, SandboxApp
from tests.unit.sandbox.tiktok_calls import (
    ADVERTISER,
    APP,
    CREATOR_APP,
    EURO,
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


async def test_so_many_calls_a_second_and_no_more(tiktok: TikTok) -> None:
    await limit(tiktok, tiktok_app_per_second=3)
    assert [await said(tiktok) for _ in range(5)] == ["OK"] * 3 + [SECOND] * 2
    assert await tiktok.code("/campaign/get/", advertiser_id=ADVERTISER) == 40100
    tiktok.app.clock.advance(1)
    assert await said(tiktok) == "OK"


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


async def test_an_advertiser_is_limited_by_path(tiktok: TikTok) -> None:
    await limit(tiktok, tiktok_advertiser_per_second=2)
    assert [await said(tiktok) for _ in range(2)] == ["OK", "OK"]
    answer = await tiktok.get("/campaign/get/", advertiser_id=ADVERTISER)
    assert answer.json()["code"] == 40133
    assert answer.json()["message"] == (
        f"Advertiser ({ADVERTISER})'s QPS (3) reaches QPS limit 2 for current path, "
        "request is temporarily restricted."
    )
    assert await said(tiktok, EURO) == "OK"
    assert (await tiktok.report())["list"]


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


async def test_six_hundred_a_minute_as_it_comes(tiktok: TikTok) -> None:
    for _ in range(600):
        assert (await tiktok.user("act.sandbox-1", "open_id")).status_code == 200
    assert (await tiktok.user("act.sandbox-1", "open_id")).status_code == 429


@pytest.mark.parametrize("code", sorted(MESSAGES))
async def test_every_code_can_be_had(tiktok: TikTok, code: int) -> None:
    await tiktok.app.fault("code", code=code, match={"platform": "tiktok_business"}, times=1)
    answer = await tiktok.get("/campaign/get/", advertiser_id=ADVERTISER)
    document = answer.json()
    assert (answer.status_code, document["code"], document["data"]) == (200, code, {})
    assert document["message"] == MESSAGES[code]
    assert await said(tiktok) == "OK"


async def test_a_code_with_other_words_and_status(tiktok: TikTok) -> None:
    await tiktok.app.fault("code", code=51001, message="backend down", status=503, times=1)
    answer = await tiktok.get("/campaign/get/", advertiser_id=ADVERTISER)
    assert (answer.status_code, answer.json()["code"], answer.json()["message"]) == (
        503,
        51001,
        "backend down",
    )


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("access_token_invalid", 401),
        ("scope_not_authorized", 401),
        ("scope_permission_missed", 400),
        ("invalid_params", 400),
        ("invalid_file_upload", 400),
        ("rate_limit_exceeded", 429),
        ("internal_error", 500),
    ],
)
async def test_every_organic_code_can_be_had(tiktok: TikTok, code: str, status: int) -> None:
    await tiktok.app.fault("code", code=code, match={"platform": "tiktok_organic"}, times=1)
    answer = await tiktok.user("act.sandbox-1")
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    "error",
    [
        "access_denied",
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "unauthorized_client",
        "unsupported_grant_type",
    ],
)
async def test_every_oauth_error_can_be_had(tiktok: TikTok, error: str) -> None:
    await tiktok.app.fault("code", code=error, status=401, times=1)
    answer = await tiktok.refresh("rft.sandbox-1")
    assert (answer.status_code, answer.json()["error"]) == (401, error)
    assert (await tiktok.refresh("rft.sandbox-1")).status_code == 200


@pytest.mark.parametrize(("wait", "message"), [(5, SECOND), (300, MINUTE), (3_600, DAY)])
async def test_a_rate_limit_is_worded_by_how_long_it_lasts(tiktok: TikTok, wait: int, message: str) -> None:
    await tiktok.app.fault("rate_limit", retry_after=wait, times=1)
    assert await said(tiktok) == message


async def test_trouble_is_worded_by_both_apis(tiktok: TikTok) -> None:
    async def business() -> tuple[int, int]:
        answer = await tiktok.get("/campaign/get/", advertiser_id=ADVERTISER)
        return answer.status_code, answer.json()["code"]

    async def organic() -> tuple[int, str]:
        answer = await tiktok.user("act.sandbox-1")
        return answer.status_code, answer.json()["error"]["code"]

    async def token() -> tuple[int, str]:
        answer = await tiktok.refresh("rft.sandbox-1")
        return answer.status_code, answer.json()["error"]

    async def refresh() -> httpx.Response:
        body = {**CREATOR_APP, "grant_type": "refresh_token", "refresh_token": "x"}
        return await tiktok.post("/tt_user/oauth2/refresh_token/", **body)

    await tiktok.app.fault("expired_token", times=5)
    assert (await business(), await organic(), await token()) == (
        (200, 40102),
        (401, "access_token_invalid"),
        (400, "invalid_grant"),
    )
    assert code_of(await refresh()) == 40103
    assert code_of(await tiktok.post("/oauth2/access_token/", **APP, auth_code="x")) == 40110
    await tiktok.app.fault("server_error", times=3)
    assert (await business(), await organic(), await token()) == (
        (200, 50000),
        (500, "internal_error"),
        (500, "server_error"),
    )
    await tiktok.app.fault("rate_limit", times=3)
    assert (await business(), await organic(), await token()) == (
        (200, 40100),
        (429, "rate_limit_exceeded"),
        (429, "rate_limit_exceeded"),
    )


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
