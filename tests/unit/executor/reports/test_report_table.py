"""The report's file for spreadsheets."""

from __future__ import annotations

import codecs
import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest

from executor.reports.model.content import Report
from executor.reports.render import table as tables
from executor.reports.render.table import COLUMNS, harmless, table
from tests.unit.executor.reports import samples


def rows(report: Report) -> list[dict[str, str]]:
    text = table(report).content.decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_it_is_rfc_4180_that_excel_takes_for_utf_8() -> None:
    made = table(samples.report([samples.account('Shop "Nord", Köln', "7.00")])).content
    assert made.startswith(codecs.BOM_UTF8)
    lines = made.removeprefix(codecs.BOM_UTF8).split(b"\r\n")
    assert lines[0] == ",".join(COLUMNS).encode()
    assert '"Shop ""Nord"", Köln"'.encode() in lines[1]
    assert lines[-1] == b""
    assert b"\n" not in made.replace(b"\r\n", b"")


def test_the_columns_stay_where_they_are() -> None:
    assert COLUMNS[:15] == (
        "date",
        "level",
        "platform",
        "account_id",
        "account_name",
        "item_id",
        "item_name",
        "timezone",
        "currency",
        "spend",
        "impressions",
        "reach",
        "clicks",
        "ctr_percent",
        "cpc",
    )
    assert COLUMNS[15:] == (
        "conversions",
        "video_views",
        "views",
        "engagements",
        "new_follows",
        "follows",
        "likes",
        "comments",
        "shares",
    )


def test_each_day_of_the_period_is_a_row_and_no_day_before_it() -> None:
    account = samples.account("Brightpath", "2800.00", "1400.00", volume=28_000)
    made = rows(samples.report([account]))
    assert [row["date"] for row in made] == [f"2026-11-{day}" for day in range(14, 21)]
    last = made[-1]
    assert (last["level"], last["platform"], last["account_name"]) == ("account", "facebook", "Brightpath")
    assert (last["timezone"], last["currency"]) == ("Europe/Berlin", "EUR")
    assert (last["spend"], last["impressions"]) == ("700.00", "7000")
    assert last["ctr_percent"].startswith("1.72")
    assert last["conversions"] == "", "not known is not zero"


def test_every_kind_has_its_level() -> None:
    made = rows(samples.EVERYTHING)
    by_level = {level: [row for row in made if row["level"] == level] for level in {r["level"] for r in made}}
    assert {level: len(found) for level, found in by_level.items()} == {
        "account": 14,
        "campaign": 56,
        "page": 7,
        "profile": 2,
        "video": 3,
    }
    first = by_level["campaign"][0]
    assert (first["item_name"], first["account_name"]) == ("Prospecting – spring", "Brightpath Courses")
    assert by_level["profile"][0]["follows"] == "48210"
    assert (by_level["video"][0]["item_name"], by_level["video"][0]["views"]) == (
        "How to pass the exam",
        "12345",
    )
    assert by_level["page"][0]["engagements"] == "227"


def test_accounts_with_totals_only_are_left_out() -> None:
    asked = replace(samples.EVERYTHING, tells_accounts=False)
    assert "account" not in {row["level"] for row in rows(asked)}


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ('=HYPERLINK("http://evil")', '\'=HYPERLINK("http://evil")'),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'=1"),
        ("\n=1", "'=1"),
        ("＝1", "'＝1"),
        ("two\nlines", "two lines"),
        ("nul\x00", "nul"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_no_name_is_a_formula(name: str, written: str) -> None:
    assert harmless(name) == written


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize(
    "name", ["A;=1+1", 'A;"=1+1"', "A; @x", "A;\t+1", 'A";""=1+1', "A,=1+1", "A\t=1+1", ";;-1"]
)
def test_no_cell_is_read_as_a_formula_with_any_separator(name: str, separator: str) -> None:
    text = table(samples.report([samples.account(name, "5.00")])).content.decode("utf-8-sig")
    for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
        assert not [cell for cell in row if cell.lstrip(' "').startswith(tuple("=+-@"))]


def test_a_negative_figure_stays_a_number() -> None:
    refunded = samples.account("A", "5.00")
    refunded = replace(refunded, daily={samples.WEEK.since: samples.figures("-3.50")})
    assert rows(samples.report([refunded]))[0]["spend"] == "-3.50"


def test_excess_rows_with_the_least_spend_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "MOST_ROWS", 20)
    campaigns = [samples.campaign("Small", "1.00"), samples.campaign("Large", "9.00")]
    report = samples.report([samples.account("A", "10.00")], campaigns=campaigns)
    made = table(report)
    assert (made.rows, made.all_rows, made.is_whole) == (20, 21, False)
    assert made.cut == "holds 20 of 21 rows; the campaigns that cost least are left out"
    assert [row["item_name"] for row in rows(report)][7:14] == ["Large"] * 7


def test_it_stays_small_enough_to_be_sent() -> None:
    campaigns = [samples.campaign("W" * 400 + str(number), f"{number}.00") for number in range(1, 700)]
    made = table(samples.report([samples.account("A", "10.00")], campaigns=campaigns))
    assert len(made.content) <= tables.MOST_BYTES + 3
    assert 1_000 < made.rows < made.all_rows


def test_every_column_is_described_in_its_order() -> None:
    page = (Path(__file__).parents[4] / "docs" / "reports.md").read_text()
    assert tuple(re.findall(r"^\| `([a-z_]+)` \|", page, re.MULTILINE)) == COLUMNS
    assert f"At most {tables.MOST_ROWS:,} rows" in page
