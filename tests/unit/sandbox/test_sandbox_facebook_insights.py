import json
from datetime import date, timedelta
from typing import Any

import pytest

from sandbox.facebook.date_ranges import PRESETS, months_before, preset_range
from tests.unit.sandbox.conftest import ACCOUNT, SandboxApp

METRICS = "impressions,clicks,spend,reach,frequency,ctr,cpc,cpm,actions,purchase_roas"


def total(rows: list[dict[str, Any]], column: str) -> float:
    return round(sum(float(row[column]) for row in rows), 2)


async def test_every_value_is_text(app: SandboxApp) -> None:
    rows = await app.insights(level="ad", fields=f"ad_id,{METRICS}", date_preset="last_7d")
    assert rows
    for row in rows:
        plain = {name: value for name, value in row.items() if name not in ("actions", "purchase_roas")}
        assert all(isinstance(value, str) for value in plain.values())
        assert all(isinstance(item["value"], str) for item in row.get("actions", []))


async def test_derived_values_follow_from_the_counted_ones(app: SandboxApp) -> None:
    (row,) = await app.insights(level="account", fields=METRICS, date_preset="last_30d")
    impressions, clicks, spend = int(row["impressions"]), int(row["clicks"]), float(row["spend"])
    assert float(row["ctr"]) == pytest.approx(100 * clicks / impressions, abs=1e-5)
    assert float(row["cpc"]) == pytest.approx(spend / clicks, abs=1e-5)
    assert float(row["cpm"]) == pytest.approx(1000 * spend / impressions, abs=1e-4)
    assert float(row["frequency"]) == pytest.approx(impressions / int(row["reach"]), abs=1e-5)


@pytest.mark.parametrize("column", ["impressions", "clicks", "spend"])
async def test_levels_and_days_add_up_to_the_account(app: SandboxApp, column: str) -> None:
    (whole,) = await app.insights(level="account", fields=column, date_preset="last_14d")
    for level in ("campaign", "adset", "ad"):
        rows = await app.insights(level=level, fields=column, date_preset="last_14d")
        assert total(rows, column) == float(whole[column])
    daily = await app.insights(level="account", fields=column, date_preset="last_14d", time_increment="1")
    assert total(daily, column) == float(whole[column])


async def test_what_delivered_nothing_has_no_row(app: SandboxApp) -> None:
    rows = await app.insights(level="campaign", fields="campaign_name,impressions", date_preset="last_7d")
    assert "Brand film" not in {row["campaign_name"] for row in rows}
    assert all(int(row["impressions"]) > 0 for row in rows)


async def test_an_empty_answer_has_no_paging(app: SandboxApp) -> None:
    answer = await app.graph("act_402210009454468/insights", fields="spend")
    assert answer.json() == {"data": []}


async def test_days_to_come_are_empty_and_today_is_the_accounts(app: SandboxApp) -> None:
    days = json.dumps({"since": "2026-11-20", "until": "2026-11-25"})
    rows = await app.insights(fields="spend", time_range=days, time_increment="1")
    assert [row["date_start"] for row in rows] == ["2026-11-20", "2026-11-21"]
    app.clock.advance(11.5 * 3600)
    rows = await app.insights(fields="spend", date_preset="today")
    assert rows[0]["date_start"] == "2026-11-22"


async def test_a_time_range_wins_over_a_preset(app: SandboxApp) -> None:
    days = json.dumps({"since": "2026-11-01", "until": "2026-11-03"})
    (row,) = await app.insights(fields="spend", time_range=days, date_preset="yesterday")
    assert (row["date_start"], row["date_stop"]) == ("2026-11-01", "2026-11-03")


async def test_monthly_rows_are_cut_at_the_calendar(app: SandboxApp) -> None:
    days = json.dumps({"since": "2026-08-15", "until": "2026-10-10"})
    rows = await app.insights(fields="spend", time_range=days, time_increment="monthly")
    assert [(row["date_start"], row["date_stop"]) for row in rows] == [
        ("2026-08-15", "2026-08-31"),
        ("2026-09-01", "2026-09-30"),
        ("2026-10-01", "2026-10-10"),
    ]


async def test_the_default_page_has_25_rows(app: SandboxApp) -> None:
    answer = await app.graph(f"{ACCOUNT}/insights", level="ad", time_increment="1")
    assert len(answer.json()["data"]) == 25
    assert answer.json()["paging"]["cursors"] == {"before": "MAZDZD", "after": "MjQZD"}


async def test_filtering_by_name_and_by_metric(app: SandboxApp) -> None:
    by_name = [{"field": "campaign.name", "operator": "CONTAIN", "value": "webinar"}]
    rows = await app.insights(
        level="ad", fields="campaign_name,impressions", filtering=json.dumps(by_name), date_preset="last_7d"
    )
    assert {row["campaign_name"] for row in rows} == {"Webinar sign-ups"}
    by_metric = [{"field": "ad.impressions", "operator": "GREATER_THAN", "value": 10_000}]
    everything = await app.insights(level="ad", fields="impressions", date_preset="last_7d")
    large = await app.insights(
        level="ad", fields="impressions", filtering=json.dumps(by_metric), date_preset="last_7d"
    )
    assert large == [row for row in everything if int(row["impressions"]) > 10_000]
    assert 0 < len(large) < len(everything)


async def test_attribution_windows_accompany_the_value(app: SandboxApp) -> None:
    (row,) = await app.insights(fields="actions", action_attribution_windows='["1d_click","7d_click"]')
    clicks = next(item for item in row["actions"] if item["action_type"] == "link_click")
    assert 0 < int(clicks["1d_click"]) < int(clicks["7d_click"]) <= int(clicks["value"])


async def test_results_are_what_a_campaigns_goal_counts(app: SandboxApp) -> None:
    rows = await app.insights(level="campaign", fields="campaign_name,results,actions", date_preset="last_7d")
    leads = next(row for row in rows if row["campaign_name"] == "Webinar sign-ups")
    (result,) = leads["results"]
    assert result["indicator"] == "actions:lead"
    counted = {action["action_type"]: action["value"] for action in leads["actions"]}
    assert result["values"] == [{"value": counted["lead"]}]
    (campaign, *_) = (await app.graph(f"{ACCOUNT}/campaigns", fields="daily_budget")).json()["data"]
    assert int(campaign["daily_budget"]) > 0


async def test_a_campaigns_own_insights(app: SandboxApp) -> None:
    (campaign, *_) = (await app.graph(f"{ACCOUNT}/campaigns")).json()["data"]
    own = (await app.graph(f"{campaign['id']}/insights", fields="campaign_id,spend")).json()["data"]
    among = await app.insights(level="campaign", fields="campaign_id,spend")
    assert own == [row for row in among if row["campaign_id"] == campaign["id"]]


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_a_range_that_does_not_reach_past_today(preset: str) -> None:
    for today in (date(2026, 1, 1), date(2024, 2, 29), date(2026, 11, 22)):
        whole = preset_range(preset, today)
        assert whole.since <= whole.until <= today


def test_weeks_begin_where_their_name_says() -> None:
    sunday = date(2026, 11, 22)
    assert preset_range("last_week_mon_sun", sunday).since == date(2026, 11, 9)
    assert preset_range("last_week_sun_sat", sunday).since == date(2026, 11, 15)
    assert preset_range("this_week_sun_today", sunday).since == sunday
    assert preset_range("last_7d", sunday).since == date(2026, 11, 15)
    assert preset_range("last_quarter", sunday).since == date(2026, 7, 1)


def test_months_before_ends_with_the_month() -> None:
    assert months_before(date(2026, 3, 31), 1) == date(2026, 2, 28)
    assert months_before(date(2026, 1, 15), 13) == date(2024, 12, 15)
    day = date(2026, 12, 31)
    assert months_before(day, -1) - day == timedelta(days=31)
