"""Numbers and dates as a report writes them: the same on every machine, whatever its locale."""

from __future__ import annotations

from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from platforms.calls.periods import Days

_MINOR_DIGITS = {  # ISO 4217, where they are not two
    **dict.fromkeys(
        (
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_ONE = Decimal(1)
_MOST_PERCENT = 999


def whole(value: int) -> str:
    """`1,234`."""
    return f"{value:,}"


def amount(value: Decimal, currency: str) -> str:
    """`1,234.50`, with as many digits as the currency has minor ones: none for JPY, three for KWD."""
    return f"{_rounded(value, _MINOR_DIGITS.get(currency, 2)):,}"


def money(value: Decimal, currency: str) -> str:
    """`1,234.50 EUR`."""
    return f"{amount(value, currency)} {currency}".rstrip()


def percent(value: Decimal) -> str:
    """`1.71 %`."""
    return f"{_rounded(value, 2):,} %"


def change(current: Decimal | int, previous: Decimal | int | None) -> Decimal | None:
    """The change in percent of the previous value; None where a percentage would mislead: from nothing, or
    from a value not known."""
    if not previous:
        return None
    return (Decimal(current) - previous) * 100 / previous


def arrow(current: Decimal | int, previous: Decimal | int | None) -> str:
    """`▲ 12 %`, `▼ 3 %`, `= 0 %`; `new` after nothing; empty where nothing can be said."""
    difference = change(current, previous)
    if difference is None:
        return "new" if previous is not None and current else ""
    if not difference:
        return "= 0 %"
    return f"{'▲' if difference > 0 else '▼'} {_size(difference)}"


def signed(current: Decimal | int, previous: Decimal | int | None) -> str:
    """`+12 %` or `−3 %`, for a line of prose; empty where nothing can be said."""
    difference = change(current, previous)
    if difference is None:
        return ""
    if not difference:
        return "±0 %"
    return f"{'+' if difference > 0 else '−'}{_size(difference)}"


def difference(current: int, previous: int | None) -> str:
    """`+1,204`, `−3`, `±0`: the change of a total; empty where nothing can be said."""
    if previous is None:
        return ""
    change = current - previous
    return f"{'+' if change > 0 else '−' if change else '±'}{abs(change):,}"


def stretch(days: Days) -> str:
    """`Thu 20 Nov 2026`, `14–20 Nov 2026`, `28 Oct – 3 Nov 2026`, `28 Dec 2026 – 3 Jan 2027`."""
    since, until = days.since, days.until
    end = f"{until.day} {_MONTHS[until.month - 1]} {until.year}"
    if since == until:
        return f"{_WEEKDAYS[until.weekday()]} {end}"
    if since.year != until.year:
        return f"{since.day} {_MONTHS[since.month - 1]} {since.year} – {end}"
    if since.month != until.month:
        return f"{since.day} {_MONTHS[since.month - 1]} – {end}"
    return f"{since.day}–{end}"


def short_stretch(days: Days) -> str:
    """`20 Nov`, `14–20 Nov`, `28 Oct – 3 Nov`: where the year is known."""
    since, until = days.since, days.until
    if since == until:
        return day_and_month(until)
    if (since.year, since.month) == (until.year, until.month):
        return f"{since.day}–{day_and_month(until)}"
    return f"{day_and_month(since)} – {day_and_month(until)}"


def day_and_month(day: date) -> str:
    """`20 Nov`."""
    return f"{day.day} {_MONTHS[day.month - 1]}"


def weekday(day: date) -> str:
    """`Fri`."""
    return _WEEKDAYS[day.weekday()]


def _size(difference: Decimal) -> str:
    if abs(difference) > _MOST_PERCENT + 1:  # before it is rounded: it may have more digits than can be
        return f">{_MOST_PERCENT} %"
    size = _rounded(abs(difference), 0)
    if size < 1:
        return "<1 %"
    return f">{_MOST_PERCENT} %" if size > _MOST_PERCENT else f"{size} %"


def _rounded(value: Decimal, digits: int) -> Decimal:
    return value.quantize(_ONE.scaleb(-digits), rounding=ROUND_HALF_UP)
