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
