"""What was deleted: missing from reports about objects unless asked for, and part of the account's total."""

import json
from typing import Any

import pytest

from tests.unit.sandbox.conftest import ACCOUNT, SandboxApp
from tests.unit.sandbox.tiktok_calls import ADVERTISER, TikTok

DELETED = [{"field": "campaign.effective_status", "operator": "IN", "value": ["ACTIVE", "PAUSED", "DELETED"]}]


async def deleted(app: SandboxApp, object_id: str, *, value: bool = True) -> None:
    answer = await app.http.put(f"/_sandbox/ads/{object_id}", json={"deleted": value})
    assert answer.status_code == 200, answer.text


def total(rows: list[dict[str, Any]]) -> float:
    return round(sum(float(row["spend"]) for row in rows), 2)


async def test_facebook_leaves_a_deleted_campaign_out_unless_its_state_is_asked_for(app: SandboxApp) -> None:
    query = {"level": "campaign", "fields": "campaign_id,spend", "date_preset": "last_7d"}
    before = await app.insights(**query)
    gone = before[0]["campaign_id"]
    await deleted(app, gone)
    assert await app.insights(**query) == before[1:]
    assert await app.insights(**query, filtering=json.dumps(DELETED)) == before
    account = await app.insights(level="account", fields="spend", date_preset="last_7d")
    assert total(account) == total(before)
    listed = (await app.graph(f"{ACCOUNT}/campaigns", fields="id")).json()["data"]
    assert gone not in {campaign["id"] for campaign in listed}
    asked = await app.graph(f"{ACCOUNT}/campaigns", fields="id", effective_status='["DELETED"]')
    assert [campaign["id"] for campaign in asked.json()["data"]] == [gone]
    assert (await app.graph(gone, fields="effective_status")).json()["effective_status"] == "DELETED"


async def test_facebook_leaves_out_what_belongs_to_a_deleted_campaign(app: SandboxApp) -> None:
    query = {"level": "ad", "fields": "campaign_id,spend", "date_preset": "last_7d"}
    before = await app.insights(**query)
    gone = before[0]["campaign_id"]
    await deleted(app, gone)
    assert await app.insights(**query) == [row for row in before if row["campaign_id"] != gone]
    await deleted(app, gone, value=False)
    assert await app.insights(**query) == before


async def test_tiktok_leaves_a_deleted_campaign_out_unless_its_state_is_asked_for(app: SandboxApp) -> None:
    tiktok = TikTok(app)

    async def campaigns(**params: Any) -> dict[str, str]:
        rows = (await tiktok.report(**params))["list"]
        return {row["dimensions"]["campaign_id"]: row["metrics"]["spend"] for row in rows}

    before = await campaigns()
    gone = next(iter(before))
    await deleted(app, gone)
    assert await campaigns() == {one: spend for one, spend in before.items() if one != gone}
    every = [{"field_name": "campaign_status", "filter_type": "IN", "filter_value": '["STATUS_ALL"]'}]
    assert await campaigns(filtering=every) == before
    only = [{"field_name": "campaign_status", "filter_type": "IN", "filter_value": '["STATUS_DELETE"]'}]
    assert list(await campaigns(filtering=only)) == [gone]
    whole = await tiktok.report(data_level="AUCTION_ADVERTISER", dimensions=["advertiser_id"])
    spent = float(whole["list"][0]["metrics"]["spend"])
    assert spent == pytest.approx(sum(map(float, before.values())))
    listed = (await tiktok.data("/campaign/get/", advertiser_id=ADVERTISER))["list"]
    assert gone not in {campaign["campaign_id"] for campaign in listed}


async def test_a_deletion_is_forgotten_by_a_reset_and_must_be_told_plainly(app: SandboxApp) -> None:
    query = {"level": "campaign", "fields": "campaign_id", "date_preset": "last_7d"}
    before = await app.insights(**query)
    await deleted(app, before[0]["campaign_id"])
    await app.http.post("/_sandbox/reset")
    assert await app.insights(**query) == before
    refused = await app.http.put("/_sandbox/ads/1", json={"deleted": "yes"})
    assert (refused.status_code, refused.json()["field"]) == (400, "deleted")
