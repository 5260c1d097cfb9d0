"""What of a report becomes a chart."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from executor.reports.model.content import CONTEXT_DAYS, AccountFigures, Figures
from executor.reports.render.plots import plot
from platforms.calls.periods import Days
from tests.unit.executor.reports import samples

DAY = timedelta(days=1)


def spending(account: AccountFigures, *days: str, until: date | None = None) -> AccountFigures:
    """The account with these days' spend, the last of them on its last day."""
    last = until or account.days.until
    return replace(
        account,
        daily={
            last - DAY * (len(days) - 1 - n): Figures({"spend": Decimal(day)}) for n, day in enumerate(days)
        },
    )


def test_spend_by_day_adds_up_to_the_total_and_to_that_before() -> None:
    report = samples.report(
        [samples.account("A", "700.00", "560.00"), samples.account("B", "70.00", "56.00")]
    )
    chart = plot(report)
    assert chart is not None
    assert (chart.days, len(chart.values)) == (samples.WEEK, 7)
    assert sum(value for value in chart.values if value) == report.totals[0].current
    assert sum(value for value in chart.previous or () if value) == report.totals[0].previous
    assert (chart.figure, chart.aside, chart.note) == ("770.00 EUR", "+25 % vs 7–13 Nov", "EUR")


def test_the_chart_shows_and_names_the_most_common_currency() -> None:
    accounts = [
        samples.account("A", "700.00"),
        samples.account("B", "70.00"),
        samples.account("C", "9000.00", currency="USD"),
    ]
    chart = plot(samples.report(accounts))
    assert chart is not None
    assert (chart.figure, chart.note) == ("770.00 EUR", "EUR · 2 of 3 ad accounts")


def test_an_account_whose_last_day_is_another_counts_from_its_own() -> None:
    own = Days.ending(samples.WEEK.until - DAY, 7)
    accounts = [
        spending(samples.account("A", "1"), *"1234567"),
        spending(samples.account("B", "1"), *"1234567"),
        spending(samples.account("C", "1", days=own), *"1234567"),
    ]
    chart = plot(samples.report(accounts))
    assert chart is not None
    assert chart.days == samples.WEEK
    assert chart.values == [Decimal(3 * day) for day in range(1, 8)]


def test_a_day_missing_from_one_account_is_a_gap() -> None:
    account = samples.account("A", "7.00")
    daily = dict(account.daily)
    del daily[samples.WEEK.since]
    chart = plot(samples.report([replace(account, daily=daily), samples.account("B", "7.00")]))
    assert chart is not None
    assert chart.values[0] is None
    assert None not in chart.values[1:]


def test_an_account_without_days_costs_the_chart_because_it_would_mislead() -> None:
    accounts = [samples.account("A", "7.00"), replace(samples.account("B", "7.00"), daily={})]
    assert plot(samples.report(accounts)) is None


def test_one_day_is_shown_among_the_days_before_it() -> None:
    account = spending(
        samples.account("A", "14.00", "13.00", days=samples.YESTERDAY), *map(str, range(1, CONTEXT_DAYS + 1))
    )
    chart = plot(samples.report([account]))
    assert chart is not None
    assert (chart.spotlight, chart.previous, len(chart.values)) == (True, None, CONTEXT_DAYS)
    assert (chart.figure, chart.aside) == ("14.00 EUR", "+8 % vs 19 Nov")


def test_without_a_comparison_there_is_none_in_the_chart() -> None:
    account = replace(samples.account("A", "7.00"), previous=None)
    chart = plot(samples.report([account], compares=False))
    assert chart is not None
    assert (chart.previous, chart.aside) == (None, "")


def test_where_nothing_was_spent_nothing_is_drawn() -> None:
    assert plot(samples.report([samples.account("A", "0")])) is None


def test_pages_alone_are_drawn_by_their_views() -> None:
    chart = plot(samples.report(pages=[samples.page("A", views=700), samples.page("B", views=70)]))
    assert chart is not None
    assert (chart.title, chart.note, chart.figure) == ("Views per day", "2 pages", "770")
    assert chart.values == [Decimal(110)] * 7


def test_metrics_without_daily_values_are_not_drawn() -> None:
    assert plot(samples.report(profiles=[samples.profile()])) is None
    assert plot(samples.PAGES_ONLY) is None
