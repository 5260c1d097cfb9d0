"""Numbers and dates as a report writes them."""

from __future__ import annotations

import locale
from datetime import date
from decimal import Decimal

import pytest

from executor.wording import numbers
from platforms.calls.periods import Days


@pytest.mark.parametrize(
    ("value", "currency", "written"),
    [
        ("1234.5", "EUR", "1,234.50 EUR"),
        ("0", "EUR", "0.00 EUR"),
        ("0.005", "USD", "0.01 USD"),
        ("1234567.891", "USD", "1,234,567.89 USD"),
        ("1234", "JPY", "1,234 JPY"),
        ("1234.5", "JPY", "1,235 JPY"),
        ("12.3456", "KWD", "12.346 KWD"),
        ("-3.2", "PLN", "-3.20 PLN"),
        ("5", "", "5.00"),
    ],
)
def test_money_has_the_digits_of_its_currency(value: str, currency: str, written: str) -> None:
    assert numbers.money(Decimal(value), currency) == written


def test_percent_has_two_digits() -> None:
    assert numbers.percent(Decimal("1.70743")) == "1.71 %"
    assert numbers.whole(1234567) == "1,234,567"


@pytest.mark.parametrize(
    ("current", "previous", "arrow", "signed"),
    [
        (112, 100, "▲ 12 %", "+12 %"),
        (97, 100, "▼ 3 %", "−3 %"),
        (100, 100, "= 0 %", "±0 %"),
        (1001, 1000, "▲ <1 %", "+<1 %"),
        (999, 1000, "▼ <1 %", "−<1 %"),
        (0, 100, "▼ 100 %", "−100 %"),
        (1099, 100, "▲ 999 %", "+999 %"),
        (5000, 100, "▲ >999 %", "+>999 %"),
        (7, 0, "new", ""),
        (0, 0, "", ""),
        (7, None, "", ""),
        (Decimal("112.49"), Decimal(100), "▲ 12 %", "+12 %"),
        (Decimal("112.50"), Decimal(100), "▲ 13 %", "+13 %"),
    ],
)
def test_a_change_never_misleads(
    current: Decimal | int, previous: Decimal | int | None, arrow: str, signed: str
) -> None:
    assert numbers.arrow(current, previous) == arrow
    assert numbers.signed(current, previous) == signed


@pytest.mark.parametrize(
    ("since", "until", "words"),
    [
        ("2026-11-20", "2026-11-20", "Fri 20 Nov 2026"),
        ("2026-11-14", "2026-11-20", "14–20 Nov 2026"),
        ("2026-10-28", "2026-11-03", "28 Oct – 3 Nov 2026"),
        ("2026-12-28", "2027-01-03", "28 Dec 2026 – 3 Jan 2027"),
        ("2026-02-01", "2026-02-28", "1–28 Feb 2026"),
    ],
)
def test_a_period_in_words(since: str, until: str, words: str) -> None:
    assert numbers.stretch(Days(date.fromisoformat(since), date.fromisoformat(until))) == words


def test_the_machines_locale_changes_nothing() -> None:
    before = locale.setlocale(locale.LC_ALL)
    try:
        locale.setlocale(locale.LC_ALL, "C")
        plain = (
            numbers.money(Decimal("1234.5"), "EUR"),
            numbers.stretch(Days(date(2026, 5, 1), date(2026, 5, 1))),
        )
    finally:
        locale.setlocale(locale.LC_ALL, before)
    assert plain == ("1,234.50 EUR", "Fri 1 May 2026")


def test_a_change_too_large_to_print_is_abbreviated() -> None:
    assert numbers.arrow(Decimal(10) ** 20, Decimal("0.0000000001")) == "▲ >999 %"
    assert numbers.signed(1, Decimal(10) ** 30) == "−100 %"
