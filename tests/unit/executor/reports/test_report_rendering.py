"""A report as it is read."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from executor.reports.model.content import Report
from executor.reports.render.text import ReportRenderer
from tests.unit.executor.reports import samples
from tests.unit.executor.reports.telegram_markup import shown

_GOLDEN = Path(__file__).parent / "golden"
_TELEGRAM_MESSAGE = 4096
_ALL = {
    "weekly": samples.WEEKLY,
    "daily": samples.DAILY,
    "pages_only": samples.PAGES_ONLY,
    "everything": samples.EVERYTHING,
    "uncompared": samples.UNCOMPARED,
    "hostile": samples.HOSTILE,
    "large": samples.LARGE,
}


@pytest.fixture(scope="module")
def renderer() -> ReportRenderer:
    return ReportRenderer()


@pytest.mark.parametrize("name", ["weekly", "daily", "pages_only", "everything", "uncompared"])
def test_it_looks_as_it_did(renderer: ReportRenderer, name: str) -> None:
    assert renderer.html(_ALL[name]) + "\n" == (_GOLDEN / f"{name}.html").read_text()
    assert renderer.text(_ALL[name]) + "\n" == (_GOLDEN / f"{name}.txt").read_text()


@pytest.mark.parametrize("report", _ALL.values(), ids=_ALL.keys())
def test_telegram_takes_it_in_one_message(renderer: ReportRenderer, report: Report) -> None:
    said = shown(renderer.html(report))
    assert len(said.encode("utf-16-le")) // 2 <= _TELEGRAM_MESSAGE
    assert len(renderer.text(report).encode("utf-16-le")) // 2 <= _TELEGRAM_MESSAGE
    assert len(renderer.title(report)) < 100


@pytest.mark.parametrize("report", _ALL.values(), ids=_ALL.keys())
def test_the_text_says_the_same_as_the_markup(renderer: ReportRenderer, report: Report) -> None:
    def words(text: str) -> list[str]:
        return [word.rstrip(":") for word in text.split()]

    assert words(renderer.text(report)) == words(shown(renderer.html(report)))


def test_nothing_hostile_gets_through(renderer: ReportRenderer) -> None:
    markup = renderer.html(samples.HOSTILE)
    said = shown(markup)
    assert "<script>alert('x')</script> & \"co\"" in said
    assert "{{ 7 * 7 }}" in said
    assert "N" * 40 not in markup
    assert "\u202e" not in markup
    assert "\u2068متجر النور </pre><b>\u2069" in said


@pytest.mark.parametrize("report", _ALL.values(), ids=_ALL.keys())
def test_figures_are_aligned_and_fit_a_phone(renderer: ReportRenderer, report: Report) -> None:
    for block in re.findall(r"<pre>(.*?)</pre>", renderer.html(report), re.DOTALL):
        lines = [html.unescape(line) for line in block.split("\n")]
        assert max(map(len, lines)) <= 36
        ends = {re.match(r"\S.*?\s{2,}[\d.,]+(?: %)?(?=\s{2}|$)", line) for line in lines}
        assert len({match.end() for match in ends if match}) == 1


def test_omitted_campaigns_are_counted(renderer: ReportRenderer) -> None:
    said = shown(renderer.html(samples.LARGE))
    assert "… and 36 more ad accounts" in said
    assert "(37 more)" in said
    assert "… and 55 more campaigns" in said
    assert "… and 38 more pages" in said
    assert "… and 18 more profiles" in said
    assert "… and 27 more videos" in said
    assert "… and 38 more parts" in said


def test_a_report_of_a_single_metric_type_is_more_detailed(renderer: ReportRenderer) -> None:
    accounts = [samples.account(f"Account {number}", "10.00", "5.00") for number in range(40)]
    assert "… and 32 more ad accounts" in renderer.text(samples.report(accounts))


def test_a_campaign_that_cost_nothing_is_not_counted_among_the_others(renderer: ReportRenderer) -> None:
    campaigns = [samples.campaign("Brand", "5.00"), samples.campaign("Paused", "0", "9.00")]
    shown = renderer.text(
        samples.report([samples.account("A", "5")], campaigns=campaigns, asks_campaigns=True)
    )
    assert "Brand" in shown
    assert "Paused" not in shown
    assert "more campaign" not in shown


def test_a_report_states_that_no_campaign_delivered(renderer: ReportRenderer) -> None:
    quiet = samples.report([samples.account("A", "0")], asks_campaigns=True, tells_accounts=False)
    assert "No campaign delivered." in renderer.text(quiet)


def test_the_largest_spend_of_a_currency_comes_first(renderer: ReportRenderer) -> None:
    text = renderer.text(samples.WEEKLY)
    assert text.index("Brightpath Courses · EUR") < text.index("Brightpath Retargeting · EUR")


def test_a_single_account_needs_no_total(renderer: ReportRenderer) -> None:
    assert "Total" not in renderer.text(samples.DAILY)
    assert "Total 2,195.55 EUR" in renderer.text(samples.WEEKLY)
