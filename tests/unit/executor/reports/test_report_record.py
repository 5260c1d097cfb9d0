"""A report as it is kept and sent to webhooks."""

from __future__ import annotations

import json

import pytest

from common.automation_config.scheduled_report import ReportPeriod
from executor.reports.model.content import Omission, PageFigures, Pair, Report, Subject
from executor.reports.model.record import record, summary
from tests.unit.executor.reports import samples


@pytest.mark.parametrize(
    ("report", "line"),
    [
        (samples.DAILY, "1 ad account: spend 254.78 EUR (±0 %)"),
        (
            samples.WEEKLY,
            "5 ad accounts, 2 pages: spend 2,195.55 EUR (+7 %), 184,230 JPY, 2,346.57 USD (+12 %); "
            "1 could not be read",
        ),
        (samples.PAGES_ONLY, "1 page: 76,661 views"),
        (
            samples.report(pages=[samples.page("A", views=800), samples.page("B", views=800)]),
            "2 pages: 1,600 views (+14 %)",
        ),
        (samples.report(pages=[PageFigures("1", "A", samples.WEEK, {"follows": Pair(1, 1)})]), "1 page"),
    ],
)
def test_the_summary_is_one_line(report: Report, line: str) -> None:
    assert summary(report) == line


def test_the_record_has_every_figure_and_survives_json() -> None:
    kept = json.loads(json.dumps(record(samples.WEEKLY)))
    assert kept["summary"] == summary(samples.WEEKLY)
    assert (kept["since"], kept["until"], kept["days"]) == ("2026-11-14", "2026-11-20", 7)
    assert kept["compared_with"] == {"since": "2026-11-07", "until": "2026-11-13"}
    assert kept["totals"][0] == {
        "currency": "EUR",
        "ad_accounts": 3,
        "spend": "2195.55",
        "previous_spend": "2047.50",
        "spend_change_percent": 7.23,
    }
    first = kept["ad_accounts"][0]
    assert first["timezone"] == "Europe/Berlin"
    assert first["current"] == {
        "spend": "1783.49",
        "impressions": 182_730,
        "clicks": 3_150,
        "reach": 121_820,
        "ctr_percent": "1.723855",
        "cpc": "0.566187",
    }
    assert first["change_percent"]["spend"] == 12.0
    idle = kept["ad_accounts"][4]
    assert idle["current"]["ctr_percent"] is None
    assert idle["change_percent"]["spend"] is None
    assert kept["pages"][1]["until"] == "2026-11-19"
    assert kept["pages"][0]["metrics"]["views"] == {
        "current": 37921,
        "previous": 33180,
        "change_percent": 14.29,
    }
    assert kept["partial"] is True
    assert kept["omitted"] == [
        {
            "subject": "ad_account",
            "id": "act_9",
            "name": "Old shop",
            "reason": "a permission is missing (error 200)",
            "code": "200",
        }
    ]


def test_names_are_kept_as_they_are() -> None:
    kept = record(samples.HOSTILE)
    assert kept["ad_accounts"][0]["name"] == "<script>alert('x')</script> & \"co\""


def test_the_period_of_most_accounts_is_the_reports() -> None:
    odd = samples.account("A", "1", days=samples.YESTERDAY)
    usual = [samples.account(name, "1") for name in "BC"]
    assert samples.report([odd, *usual]).days == samples.WEEK
    assert samples.report([odd], period=ReportPeriod.DAILY).days == samples.YESTERDAY
    assert samples.report(pages=[samples.page("P")]).days == samples.WEEK


def test_a_whole_report_is_not_partial() -> None:
    assert record(samples.DAILY)["partial"] is False
    omission = Omission(Subject.PAGE, "1", "P", "gone")
    assert record(samples.report([samples.account("A", "1")], omissions=[omission]))["partial"] is True


def test_campaigns_profiles_and_videos_are_kept_too() -> None:
    kept = json.loads(json.dumps(record(samples.EVERYTHING)))
    assert kept["summary"] == ("2 ad accounts, 8 campaigns, 1 page, 3 profiles: spend 2,195.55 EUR (+7 %)")
    assert [each["platform"] for each in kept["ad_accounts"]] == ["facebook", "tiktok"]
    assert kept["ad_accounts"][1]["current"]["video_views"] == 28_114
    assert [each["name"] for each in kept["campaigns"]] == [
        "Prospecting – spring",
        "Retargeting",
        "New students",
        "Brand",
        "Test 3",
    ]
    first = kept["campaigns"][0]
    assert (first["current"]["spend"], first["previous"]["spend"]) == ("912.40", "700.00")
    assert (first["current"]["conversions"], first["change_percent"]["spend"]) == (212, 30.34)
    assert kept["profiles"][0] == {
        "id": "creator-Brightpath",
        "name": "Brightpath",
        "day": "2026-11-21",
        "compared_with": "2026-11-14",
        "totals": {
            "followers": {"current": 48_210, "previous": 47_006},
            "likes": {"current": 1_204_511, "previous": 1_190_002},
            "videos": {"current": 312, "previous": 312},
        },
    }
    assert kept["videos"][0]["posted"] == {"current": 3, "previous": 2}
    assert kept["videos"][0]["most_watched"][0]["views"] == 12_345


def test_without_a_comparison_there_is_nothing_before() -> None:
    kept = record(samples.UNCOMPARED)
    assert kept["compared_with"] is None
    assert kept["ad_accounts"] == [], "only their totals were asked for"
    assert (kept["totals"][0]["previous_spend"], kept["totals"][0]["spend_change_percent"]) == (None, None)
    assert kept["campaigns"][0]["previous"] is None


@pytest.mark.parametrize(
    ("report", "line"),
    [
        (samples.report(profiles=[samples.profile()]), "1 profile: 48,210 followers (+3 %)"),
        (samples.report(videos=[samples.videos("A", "one", "two")]), "1 profile: 2 new videos (±0 %)"),
    ],
)
def test_a_creators_summary_is_one_line(report: Report, line: str) -> None:
    assert summary(report) == line
