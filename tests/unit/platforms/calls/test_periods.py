"""Cutting and joining stretches of days loses and repeats none."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from platforms.calls.periods import Days, joined, pieces, single_days

_FIRST = date(2026, 1, 1)
_DAYS = st.builds(
    lambda offset, count: Days.ending(_FIRST + timedelta(days=offset), count),
    st.integers(0, 400),
    st.integers(1, 120),
)


def _each(days: Days) -> list[date]:
    return [days.since + timedelta(days=offset) for offset in range(days.count)]


@given(_DAYS, st.integers(1, 60))
def test_pieces_are_the_whole(days: Days, most: int) -> None:
    found = pieces(days, most)
    assert [day for piece in found for day in _each(piece)] == _each(days)
    assert max(piece.count for piece in found) <= most
    assert len(found) == -(-days.count // most)


@given(st.lists(_DAYS, max_size=6))
def test_joined_periods_hold_every_day_once(periods: list[Days]) -> None:
    found = joined(periods)
    days = [day for period in found for day in _each(period)]
    assert days == sorted({day for period in periods for day in _each(period)})
    assert all(later.since > earlier.until + timedelta(days=1) for earlier, later in pairwise(found))
    assert [day.since for day in single_days(periods)] == days
