import csv
import io
from dataclasses import replace
from typing import Any

import pytest

from sandbox.settings import Settings
from tests.unit.sandbox.conftest import SandboxApp, sandbox_app
from tests.unit.sandbox.tiktok_calls import (
    ADVERTISER,
    DISABLED,
    EURO,
    TOKEN,
    YEN,
    TikTok,
    code_of,
    data_of,
    report_params,
)

BY_DAY = ["campaign_id", "stat_time_day"]


@pytest.fixture
def tiktok(app: SandboxApp) -> TikTok:
    return TikTok(app)


async def test_metrics_are_text_with_the_documented_decimals(tiktok: TikTok) -> None:
    metrics = ["spend", "impressions", "clicks", "ctr", "cpc", "cpm", "reach", "frequency", "conversion"]
    metrics += ["cost_per_conversion", "result", "campaign_name", "adgroup_name", "currency"]
    row = (await tiktok.report(metrics=metrics, order_field="spend"))["list"][0]
    shown = row["metrics"]
    assert list(shown) == metrics
    assert all(isinstance(value, str) for value in shown.values())
    spend, impressions, clicks = float(shown["spend"]), int(shown["impressions"]), int(shown["clicks"])
    assert shown["spend"] == f"{spend:.3f}"
    assert shown["ctr"] == f"{100 * clicks / impressions:.2f}"
    assert shown["cpc"] == f"{spend / clicks:.3f}"
    assert shown["cpm"] == f"{spend * 1000 / impressions:.3f}"
    assert shown["frequency"] == f"{impressions / int(shown['reach']):.2f}"
    assert shown["currency"] == "USD"
    assert shown["adgroup_name"] == "-"
    assert set(row["dimensions"]) == {"campaign_id"}


async def test_what_never_converted_costs_nothing_per_conversion(tiktok: TikTok) -> None:
    filtering = [{"field_name": "campaign_name", "filter_type": "MATCH", "filter_value": "traffic"}]
    (row,) = (await tiktok.report(metrics=["conversion", "cost_per_conversion"], filtering=filtering))["list"]
    assert row["metrics"] == {"conversion": "0", "cost_per_conversion": "0.000"}


async def test_levels_add_up_to_each_other(tiktok: TikTok) -> None:
    async def spent(level: str, dimension: str) -> float:
        report = await tiktok.report(data_level=level, dimensions=[dimension])
        return sum(float(row["metrics"]["spend"]) for row in report["list"])

    whole = await spent("AUCTION_ADVERTISER", "advertiser_id")
    assert whole > 0
    for level, dimension in (
        ("AUCTION_CAMPAIGN", "campaign_id"),
        ("AUCTION_ADGROUP", "adgroup_id"),
        ("AUCTION_AD", "ad_id"),
    ):
        assert await spent(level, dimension) == pytest.approx(whole)


async def test_days_add_up_to_the_whole(tiktok: TikTok) -> None:
    week = await tiktok.report(enable_total_metrics=True)
    days = await tiktok.report(dimensions=BY_DAY, enable_total_metrics=True)
    assert days["list"][0]["dimensions"]["stat_time_day"] == "2026-11-01 00:00:00"
    assert {len(row["dimensions"]["stat_time_day"]) for row in days["list"]} == {19}
    for name in ("spend", "impressions", "clicks"):
        assert days["total_metrics"][name] == week["total_metrics"][name]


async def test_totals_cover_all_pages_and_only_when_asked_for(tiktok: TikTok) -> None:
    everything = await tiktok.report(dimensions=BY_DAY, metrics=["spend", "campaign_name"])
    assert "total_metrics" not in everything
    page = await tiktok.report(
        dimensions=BY_DAY, metrics=["spend", "campaign_name"], page_size=3, enable_total_metrics=True
    )
    total = sum(float(row["metrics"]["spend"]) for row in everything["list"])
    assert page["total_metrics"] == {"spend": f"{total:.3f}", "campaign_name": "-"}


async def test_pages_cover_every_row_once(tiktok: TikTok) -> None:
    whole = await tiktok.report(dimensions=BY_DAY)
    number = whole["page_info"]["total_number"]
    assert number == len(whole["list"]) > 20
    rows: list[dict[str, Any]] = []
    page = 1
    while len(rows) < number:
        answer = await tiktok.report(dimensions=BY_DAY, page=page, page_size=10)
        assert answer["page_info"] == {
            "page": page,
            "page_size": 10,
            "total_number": number,
            "total_page": -(-number // 10),
        }
        rows += answer["list"]
        page += 1
    assert rows == whole["list"]
    assert (await tiktok.report(dimensions=BY_DAY, page=page))["list"] == []
    assert len((await tiktok.report(dimensions=BY_DAY, page_size=""))["list"]) == 10


async def test_rows_are_sorted_by_a_metric(tiktok: TikTok) -> None:
    async def spends(**order: str) -> list[float]:
        report = await tiktok.report(dimensions=BY_DAY, order_field="spend", **order)
        return [float(row["metrics"]["spend"]) for row in report["list"]]

    assert await spends() == sorted(await spends(), reverse=True)
    assert await spends(order_type="ASC") == sorted(await spends())


async def test_rows_and_ads_are_filtered(tiktok: TikTok) -> None:
    whole = (await tiktok.report())["list"]
    wanted = [row["dimensions"]["campaign_id"] for row in whole[:2]]

    async def ids(*conditions: tuple[str, str, str]) -> list[str]:
        filtering = [
            {"field_name": name, "filter_type": kind, "filter_value": value}
            for name, kind, value in conditions
        ]
        rows = (await tiktok.report(filtering=filtering))["list"]
        return [row["dimensions"]["campaign_id"] for row in rows]

    quoted = ",".join(f'"{one}"' for one in wanted)
    assert await ids(("campaign_ids", "IN", f"[{quoted}]")) == wanted
    assert not set(await ids(("campaign_ids", "NOT_IN", f"[{quoted}]"))) & set(wanted)
    spends = {row["dimensions"]["campaign_id"]: float(row["metrics"]["spend"]) for row in whole}
    middle = sorted(spends.values())[1]
    assert set(await ids(("spend", "GREATER_THAN", str(middle)))) == {
        one for one, spend in spends.items() if spend > middle
    }
    assert await ids(("spend", "BETWEEN", f'["{middle}", "{middle}"]')) == [
        one for one, spend in spends.items() if spend == middle
    ]
    assert await ids(("campaign_status", "IN", '["STATUS_DELETE"]')) == []
    assert await ids(("campaign_status", "IN", '["STATUS_ALL"]')) == list(spends)


async def test_the_days_are_those_of_the_advertisers_zone(tiktok: TikTok) -> None:
    """At 12:00 UTC of the 21st it is still the 21st in Los Angeles, and after 15:00 UTC the 22nd in Tokyo."""
    query = {
        "data_level": "AUCTION_ADVERTISER",
        "dimensions": ["stat_time_day"],
        "start_date": "2026-11-20",
        "end_date": "2026-11-25",
    }
    tiktok.app.clock.advance(4 * 3_600)
    tokyo = await tiktok.report(advertiser_id=YEN, **query)
    california = await tiktok.report(**query)
    assert [row["dimensions"]["stat_time_day"][8:10] for row in tokyo["list"]] == ["20", "21", "22"]
    assert [row["dimensions"]["stat_time_day"][8:10] for row in california["list"]] == ["20", "21"]


async def test_an_object_that_did_not_deliver_has_no_row(tiktok: TikTok) -> None:
    report = await tiktok.report(advertiser_id=DISABLED, enable_total_metrics=True)
    assert report["list"] == []
    assert report["page_info"]["total_number"] == 0
    assert report["total_metrics"] == {"spend": "0.000", "impressions": "0", "clicks": "0"}
    reserved = await tiktok.report(data_level="RESERVATION_CAMPAIGN")
    assert reserved["list"] == []


async def test_several_advertisers_at_once(tiktok: TikTok) -> None:
    query = {"data_level": "AUCTION_ADVERTISER", "advertiser_ids": [ADVERTISER, EURO, YEN]}
    report = await tiktok.report(**query, dimensions=["advertiser_id"], enable_total_metrics=True)
    shown = {row["dimensions"]["advertiser_id"]: row["metrics"] for row in report["list"]}
    assert [shown[one]["currency"] for one in (ADVERTISER, EURO, YEN)] == ["USD", "EUR", "JPY"]
    assert "." not in shown[YEN]["spend"]
    totals = report["total_metrics"]
    assert (totals["currency"], totals["spend"]) == ("-", "-")
    assert int(totals["impressions"]) == sum(int(metrics["impressions"]) for metrics in shown.values())
    (together,) = (await tiktok.report(**query, dimensions=["stat_time_day"], end_date="2026-11-01"))["list"]
    assert (together["metrics"]["spend"], together["metrics"]["advertiser_id"]) == ("-", "-")


async def test_results_are_missing_where_goals_differ(tiktok: TikTok) -> None:
    query: dict[str, Any] = {"metrics": ["result", "cost_per_result"]}
    (whole,) = (await tiktok.report(data_level="AUCTION_ADVERTISER", dimensions=["advertiser_id"], **query))[
        "list"
    ]
    assert whole["metrics"] == {"result": "-", "cost_per_result": "-"}
    assert "-" not in {row["metrics"]["result"] for row in (await tiktok.report(**query))["list"]}


@pytest.mark.parametrize(("since", "dimensions"), [("2026-10-09", BY_DAY), ("2025-11-08", ["campaign_id"])])
async def test_the_longest_ranges_are_taken(tiktok: TikTok, since: str, dimensions: list[str]) -> None:
    assert (await tiktok.report(start_date=since, dimensions=dimensions))["list"]


@pytest.fixture
def slow_reports() -> Settings:
    return replace(Settings(), tiktok_report_seconds=100.0, tiktok_report_tasks_per_second=0)


@pytest.fixture
async def patient(slow_reports: Settings) -> TikTok:
    return TikTok(sandbox_app(slow_reports))


async def start(tiktok: TikTok, **params: Any) -> str:
    answer = await tiktok.post("/report/task/create/", TOKEN, **report_params(params))
    return str(data_of(answer)["task_id"])


async def status(tiktok: TikTok, task: str) -> str:
    checked = await tiktok.data("/report/task/check/", advertiser_id=ADVERTISER, task_id=task)
    return str(checked["status"])


async def test_columns_of_a_download_have_titles_for_people_unless_that_is_switched_off(
    patient: TikTok,
) -> None:
    task = await start(patient, dimensions=BY_DAY)
    patient.app.clock.advance(100)
    answer = await patient.get("/report/task/download/", advertiser_id=ADVERTISER, task_id=task)
    titles = answer.text.partition("\n")[0]
    assert titles == "Campaign ID,By Day,Cost,Impressions,Clicks (destination)"


async def test_payments_have_a_value_and_a_return(tiktok: TikTok) -> None:
    names = ["complete_payment", "complete_payment_roas", "total_complete_payment_rate", "spend"]
    names += [
        "value_per_complete_payment",
        "cost_per_complete_payment",
        "secondary_goal_result",
        "engaged_view",
    ]
    rows = (await tiktok.report(metrics=names))["list"]
    sold = [row["metrics"] for row in rows if row["metrics"]["complete_payment"] != "0"]
    assert sold
    for it in sold:
        value, spend = float(it["total_complete_payment_rate"]), float(it["spend"])
        assert float(it["complete_payment_roas"]) == pytest.approx(value / spend, abs=0.006)
        each = float(it["value_per_complete_payment"])
        assert each * int(it["complete_payment"]) == pytest.approx(
            value, abs=0.01 * int(it["complete_payment"])
        )
        assert it["secondary_goal_result"] == "-"


async def test_a_task_goes_through_its_states_and_is_downloaded(patient: TikTok) -> None:
    task = await start(patient, dimensions=BY_DAY, enable_report_title_translation=False)
    about = {"advertiser_id": ADVERTISER, "task_id": task}
    seen = []
    for _ in range(5):
        seen.append(await status(patient, task))
        if seen[-1] != "SUCCESS":
            assert await patient.code("/report/task/download/", **about) == 40201
        patient.app.clock.advance(30)
    assert seen == ["QUEUING", "PROCESSING", "PROCESSING", "PROCESSING", "SUCCESS"]
    answer = await patient.get("/report/task/download/", **about)
    assert answer.headers["content-type"].startswith("text/csv")
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    rows = (await patient.report(dimensions=BY_DAY))["list"]
    assert lines == [{**row["dimensions"], **row["metrics"]} for row in rows]


@pytest.mark.parametrize(("kind", "outcome"), [("report_failed", "FAILED"), ("report_skipped", "CANCELED")])
async def test_a_task_that_comes_to_nothing(patient: TikTok, kind: str, outcome: str) -> None:
    await patient.app.fault(kind, times=1)
    task = await start(patient)
    other = await start(patient)
    patient.app.clock.advance(70)
    assert await status(patient, task) == outcome
    assert await patient.code("/report/task/download/", advertiser_id=ADVERTISER, task_id=task) == 40200
    patient.app.clock.advance(70)
    assert await status(patient, other) == "SUCCESS"


async def test_tasks_asked_for_wrongly(patient: TikTok) -> None:
    task = await start(patient)
    assert await patient.code("/report/task/check/", advertiser_id=ADVERTISER, task_id="1") == 40200
    assert await patient.code("/report/task/check/", advertiser_id=EURO, task_id=task) == 40302
    assert await patient.code("/report/task/check/", task_id=task) == 40002
    for params in ({"output_format": "PDF"}, {"metrics": ["joy"]}):
        answer = await patient.post("/report/task/create/", TOKEN, **report_params(params))
        assert code_of(answer) == 40002
    answer = await patient.post("/report/task/create/", TOKEN, **report_params({"start_date": "2025-01-01"}))
    assert code_of(answer) == 40002


async def test_bodies_have_to_be_json(tiktok: TikTok) -> None:
    headers = {"access-token": TOKEN}
    path = "/open_api/v1.3/report/task/create/"
    as_form = await tiktok.app.http.post(path, data={"report_type": "BASIC"}, headers=headers)
    broken = await tiktok.app.http.post(
        path, content=b'{"a":', headers={**headers, "content-type": "application/json"}
    )
    assert (code_of(as_form), code_of(broken)) == (40000, 40000)
