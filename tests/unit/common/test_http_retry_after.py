"""Reading how long a vendor asks us to wait."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.http import bounded_wait, parse_retry_after
from common.http.retry_after import MAX_SECONDS

NOW = datetime(2026, 11, 4, 23, 59, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("-3", 0.0),
        ("2026-11-05T00:00:00Z", 60.0),
        ("2026-11-05T00:00:30.500+00:00", 90.5),
        ("2026-11-05T01:00:00+01:00", 60.0),
        ("2026-11-05T00:00:00", 60.0),
        ("Thu, 05 Nov 2026 00:01:00 GMT", 120.0),
        ("Thursday, 05-Nov-26 00:01:00 GMT", 120.0),
        ("Wed, 04 Nov 2026 23:00:00 GMT", 0.0),
        ("1" * 400, MAX_SECONDS),
        ("Thu Nov  5 00:01:00 2026", 120.0),
    ],
)
def test_every_vendor_format_of_retry_after_is_parsed(value: str, seconds: float) -> None:
    assert parse_retry_after(value, now=NOW) == seconds


@pytest.mark.parametrize(
    "value",
    [None, "", "  ", "soon", "nan", "inf", "1_000", "0x10", "5 seconds", "Thu, 99 Nov 2026", "1-1-1"],
)
def test_an_unreadable_retry_after_is_ignored(value: str | None) -> None:
    assert parse_retry_after(value, now=NOW) is None


@given(st.text())
def test_no_header_raises_and_every_wait_fits_into_a_date(value: str) -> None:
    seconds = parse_retry_after(value, now=NOW)
    assert seconds is None or timedelta() <= timedelta(seconds=seconds) <= timedelta(days=365)


@given(st.floats())
def test_every_number_becomes_a_wait_or_nothing(value: float) -> None:
    seconds = bounded_wait(value)
    assert seconds is None or 0 <= seconds <= MAX_SECONDS
