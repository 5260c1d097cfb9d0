from typing import Any

import pytest

from tests.unit.sandbox.conftest import SandboxApp
from tests.unit.sandbox.tiktok_calls import (
    ADVERTISER,
    APP,
    BASE,
    DISABLED,
    EURO,
    TOKEN,
    TikTok,
    code_of,
    data_of,
)


@pytest.fixture
def tiktok(app: SandboxApp) -> TikTok:
    return TikTok(app)


async def test_every_answer_has_the_envelope_and_its_log_id(tiktok: TikTok) -> None:
    answer = await tiktok.get("/campaign/get/", advertiser_id=ADVERTISER)
    document = answer.json()
    assert list(document) == ["code", "message", "request_id", "data"]
    assert document["request_id"].startswith("20261121120000")
    assert answer.headers["x-tt-logid"] == document["request_id"]
    assert "retry-after" not in answer.headers
    refused = await tiktok.get("/campaign/get/", advertiser_id="")
    assert (refused.status_code, refused.json()["code"], refused.json()["data"]) == (200, 40002, {})
    assert refused.json()["request_id"] != document["request_id"]


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", f"{BASE}/campaign/get", 404, "404 page not found"),
        ("GET", f"{BASE}/campaign/", 404, "404 page not found"),
        ("GET", f"{BASE}", 404, "404 page not found"),
        ("GET", "/open_api/v1.3extra/campaign/get/", 404, "404 page not found"),
        ("POST", f"{BASE}/campaign/get/", 405, "405 method not allowed"),
        ("GET", f"{BASE}/oauth2/access_token/", 405, "405 method not allowed"),
    ],
)
async def test_paths_that_lead_nowhere(
    app: SandboxApp, method: str, path: str, status: int, text: str
) -> None:
    answer = await app.http.request(method, path, headers={"access-token": TOKEN})
    assert (answer.status_code, answer.text) == (status, text)


async def test_an_old_version_is_refused_by_code(app: SandboxApp) -> None:
    assert code_of(await app.http.get("/open_api/v1.2/campaign/get/")) == 40006


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("", 40104),
        ("nonsense", 40105),
        ("abcd" * 10, 40105),
        ("act.nonsense", 40105),
        ("expired-1", 40102),
        ("revoked-1", 40105),
        ("mismatched-1", 40106),
        ("blocked-1", 40113),
        ("logged-out-1", 40114),
        ("not-allowlisted-1", 40118),
        ("unscoped-1", 40001),
        ("sandbox-tt-creator-1", 40119),
    ],
)
async def test_tokens_that_are_good_for_nothing(tiktok: TikTok, token: str, code: int) -> None:
    answer = await tiktok.get("/campaign/get/", token, advertiser_id=ADVERTISER)
    assert code_of(answer) == code
    assert answer.json()["message"]


async def test_the_token_is_not_taken_from_authorization(app: SandboxApp) -> None:
    headers = {"authorization": f"Bearer {TOKEN}"}
    answer = await app.http.get(
        f"{BASE}/campaign/get/", params={"advertiser_id": ADVERTISER}, headers=headers
    )
    assert answer.json()["message"].startswith("Access token is null, you should set it in http header")


async def test_the_advertisers_of_a_token(tiktok: TikTok) -> None:
    listed = (await tiktok.data("/oauth2/advertiser/get/", **APP))["list"]
    assert len(listed) == 4
    assert listed[0] == {"advertiser_id": ADVERTISER, "advertiser_name": "Kitchen & Co"}
    assert await tiktok.code("/oauth2/advertiser/get/") == 40002


async def test_advertisers_tell_currency_zone_and_state(tiktok: TikTok) -> None:
    ids = [ADVERTISER, EURO, DISABLED]
    listed = (await tiktok.data("/advertiser/info/", advertiser_ids=ids))["list"]
    assert [(it["currency"], it["timezone"], it["display_timezone"], it["status"]) for it in listed] == [
        ("USD", "Etc/GMT+8", "America/Los_Angeles", "STATUS_ENABLE"),
        ("EUR", "Etc/GMT-1", "Europe/Berlin", "STATUS_ENABLE"),
        ("USD", "Etc/GMT+5", "America/New_York", "STATUS_DISABLE"),
    ]
    assert isinstance(listed[0]["balance"], float)
    assert isinstance(listed[0]["create_time"], int)
    (brief,) = (await tiktok.data("/advertiser/info/", advertiser_ids=[EURO], fields=["name", "currency"]))[
        "list"
    ]
    assert brief == {"name": "Brightpath Courses", "currency": "EUR"}


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, 40002),
        ({"advertiser_ids": "7001"}, 40002),
        ({"advertiser_ids": "[1"}, 40002),
        ({"advertiser_ids": ["x"]}, 40002),
        ({"advertiser_ids": ["700"]}, 40300),
        ({"advertiser_ids": [ADVERTISER] * 101}, 40011),
        ({"advertiser_ids": [ADVERTISER], "fields": ["shoe_size"]}, 40002),
    ],
)
async def test_advertisers_asked_for_wrongly(tiktok: TikTok, params: dict[str, Any], code: int) -> None:
    assert await tiktok.code("/advertiser/info/", **params) == code


async def test_campaigns_come_in_numbered_pages(tiktok: TikTok) -> None:
    first = await tiktok.data("/campaign/get/", advertiser_id=ADVERTISER, page_size=2)
    assert first["page_info"] == {"page": 1, "page_size": 2, "total_number": 5, "total_page": 3}
    pages = [
        (await tiktok.data("/campaign/get/", advertiser_id=ADVERTISER, page_size=2, page=page))["list"]
        for page in (1, 2, 3, 4)
    ]
    assert [len(page) for page in pages] == [2, 2, 1, 0]
    ids = [campaign["campaign_id"] for page in pages for campaign in page]
    assert len(set(ids)) == 5
    campaign = first["list"][1]
    assert (campaign["operation_status"], campaign["objective_type"]) == ("ENABLE", "LEAD_GENERATION")
    assert len(campaign["create_time"]) == 19


@pytest.mark.parametrize(
    ("filtering", "names"),
    [
        ({"primary_status": "STATUS_DISABLE"}, {"Reach | Spring"}),
        ({"objective_type": "TRAFFIC"}, {"Traffic"}),
        ({"campaign_name": "video"}, {"Video views"}),
        ({"secondary_status": "CAMPAIGN_STATUS_DISABLE"}, {"Reach | Spring"}),
        ({"primary_status": "STATUS_DELETE"}, set()),
        ({"creation_filter_start_time": "2023-04-20 00:00:00"}, {"Lead form", "Reach | Spring"}),
        ({"creation_filter_end_time": "2023-01-20 00:00:00"}, {"Traffic"}),
    ],
)
async def test_campaigns_are_filtered(tiktok: TikTok, filtering: dict[str, Any], names: set[str]) -> None:
    listed = await tiktok.data("/campaign/get/", advertiser_id=ADVERTISER, filtering=filtering)
    assert {campaign["campaign_name"] for campaign in listed["list"]} == names


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"advertiser_id": ADVERTISER, "page_size": 1001}, 40002),
        ({"advertiser_id": ADVERTISER, "page": 0}, 40002),
        ({"advertiser_id": ADVERTISER, "page": "two"}, 40002),
        ({"advertiser_id": ADVERTISER, "filtering": "{"}, 40002),
        ({"advertiser_id": ADVERTISER, "filtering": {"mood": "x"}}, 40002),
        ({"advertiser_id": ADVERTISER, "filtering": {"campaign_ids": ["1"] * 101}}, 40011),
        ({"advertiser_id": ADVERTISER, "filtering": {"creation_filter_start_time": "today"}}, 40002),
        ({"advertiser_id": "7999"}, 40300),
    ],
)
async def test_campaigns_asked_for_wrongly(tiktok: TikTok, params: dict[str, Any], code: int) -> None:
    assert await tiktok.code("/campaign/get/", **params) == code


async def test_an_advertiser_that_was_kept_from_the_app(tiktok: TikTok) -> None:
    token = (await tiktok.signed_in(declined=EURO))["access_token"]
    listed = (await tiktok.data("/oauth2/advertiser/get/", token, **APP))["list"]
    assert EURO not in {it["advertiser_id"] for it in listed}
    assert await tiktok.code("/campaign/get/", token, advertiser_id=EURO) == 40001
    assert await tiktok.code("/campaign/get/", token, advertiser_id=ADVERTISER) == 0


async def test_a_creators_account_and_videos(tiktok: TikTok) -> None:
    token = "sandbox-tt-creator-miraifitness-1"
    assert await tiktok.code("/business/get/", token, business_id="someone-else") == 40001
    assert await tiktok.code("/business/get/", TOKEN, business_id="x") == 40119
    pair = await creator_pair(tiktok, sandbox_creator="miraifitness")
    account = await tiktok.data(
        "/business/get/",
        pair["access_token"],
        business_id=pair["open_id"],
        fields=["username", "followers_count", "video_views"],
    )
    assert account["username"] == "miraifitness"
    assert account["followers_count"] > 0
    assert [day["date"] for day in account["metrics"]] == [f"2026-11-{day}" for day in range(14, 21)]
    query = {"business_id": pair["open_id"], "fields": ["item_id", "create_time"], "max_count": 20}
    page = await tiktok.data("/business/video/list/", pair["access_token"], **query)
    following = await tiktok.data(
        "/business/video/list/", pair["access_token"], **query, cursor=page["cursor"]
    )
    ids = [video["item_id"] for video in page["videos"] + following["videos"]]
    assert page["has_more"]
    assert len(set(ids)) == 40
    assert await tiktok.code("/business/video/list/", pair["access_token"], **{**query, "max_count": 21}) == (
        40002
    )


async def creator_pair(tiktok: TikTok, **changes: str) -> dict[str, str]:
    scopes = "user.info.basic,user.insights,video.list"
    query = await tiktok.consent(client_key="7100", scope=scopes, **changes)
    answer = await tiktok.post(
        "/tt_user/oauth2/token/",
        client_id="7100",
        client_secret="hush",
        grant_type="authorization_code",
        auth_code=query["code"][0],
        redirect_uri="https://app.test/callback?from=tt",
    )
    pair: dict[str, str] = data_of(answer)
    return pair


async def test_the_same_seed_makes_the_same_world_whatever_is_asked_first(tiktok: TikTok) -> None:
    ahead = await tiktok.report(start_date="2026-11-05", end_date="2026-11-05")
    whole = await tiktok.report(dimensions=["campaign_id", "stat_time_day"])
    days = [row for row in whole["list"] if row["dimensions"]["stat_time_day"].startswith("2026-11-05")]
    assert [row["metrics"]["spend"] for row in days] == [row["metrics"]["spend"] for row in ahead["list"]]


async def test_calls_are_on_record_without_secrets(tiktok: TikTok) -> None:
    await tiktok.get("/oauth2/advertiser/get/", **APP)
    await tiktok.get("/campaign/get/", advertiser_id=ADVERTISER)
    first, second = await tiktok.app.received(kind="tiktok_business")
    assert (first["path"], first["params"]) == (f"{BASE}/oauth2/advertiser/get/", {"app_id": "7100"})
    assert second["params"] == {"advertiser_id": ADVERTISER}
    stats = (await tiktok.app.http.get("/_sandbox/stats")).json()["platforms"]["tiktok_business"]
    assert stats[f"{BASE}/campaign/get/"] == {"200": 1}
