"""Which days a data sync reads, and what it remembers."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.automation_config.data_sync import MAX_BACKFILL_DAYS, DataSyncConfig
from executor.sync.windows import Watermarks, fingerprint, window
from platforms.calls.periods import Days
from tests.support.fake_ads import ad_account

SLOT = datetime(2026, 11, 21, 9, tzinfo=UTC)
YESTERDAY = date(2026, 11, 20)
DAY = timedelta(days=1)


def _config(**given_: Any) -> DataSyncConfig:
    return DataSyncConfig.model_validate(
        {"sync_type": "webhook", "webhook_url": "https://example.com/rows", **given_}
    )


@pytest.mark.parametrize(
    ("config", "watermark", "since"),
    [
        ({}, None, date(2026, 11, 18)),
        ({"days": 1}, None, YESTERDAY),
        ({}, YESTERDAY, date(2026, 11, 18)),
        ({}, date(2026, 11, 10), date(2026, 11, 11)),
        ({}, YESTERDAY + 5 * DAY, date(2026, 11, 18)),
        ({"start_date": "2026-11-01"}, None, date(2026, 11, 1)),
        ({"start_date": "2026-11-01"}, YESTERDAY, date(2026, 11, 18)),
        ({"start_date": "2026-11-19"}, None, date(2026, 11, 19)),
        ({"start_date": "2026-11-19"}, YESTERDAY, date(2026, 11, 19)),
        ({"start_date": "2019-01-01"}, None, YESTERDAY - (MAX_BACKFILL_DAYS - 1) * DAY),
        ({}, date(2019, 1, 1), YESTERDAY - (MAX_BACKFILL_DAYS - 1) * DAY),
    ],
)
def test_new_days_and_days_that_may_be_restated_are_read(
    config: dict[str, Any], watermark: date | None, since: date
) -> None:
    assert window(ad_account(), _config(**config), SLOT, watermark) == Days(since, YESTERDAY)


def test_before_the_start_there_is_nothing_to_read() -> None:
    assert window(ad_account(), _config(start_date="2026-11-21"), SLOT, None) is None


def test_a_day_must_be_over_where_the_account_is_and_in_the_zone_asked_for() -> None:
    slot = datetime(2026, 11, 21, 4, tzinfo=UTC)
    pacific = ad_account(zone="America/Los_Angeles")
    for account, config in (
        (pacific, {}),
        (pacific, {"timezone": "Pacific/Kiritimati"}),
        (ad_account(zone="Asia/Tokyo"), {"timezone": "America/Los_Angeles"}),
    ):
        days = window(account, _config(**config), slot, None)
        assert days is not None
        assert days.until == date(2026, 11, 19)


@given(
    days=st.integers(1, 28),
    gaps=st.lists(st.integers(0, 40), min_size=1, max_size=10),
    start=st.none() | st.integers(0, 30),
)
def test_no_day_is_left_out_between_two_runs(days: int, gaps: list[int], start: int | None) -> None:
    config = _config(days=days, **({} if start is None else {"start_date": str(YESTERDAY - start * DAY)}))
    slot, known = SLOT, Watermarks.read({}, config)
    covered: set[date] = set()
    for gap in gaps:
        slot += gap * DAY
        read = window(ad_account(), config, slot, known.days.get("facebook/act_1"))
        assert read is not None
        covered |= {read.since + n * DAY for n in range(read.count)}
        known = known.advanced({"facebook/act_1": read.until})
    first, last = min(covered), max(covered)
    assert len(covered) == (last - first).days + 1
    assert last == slot.date() - DAY
    if start is not None:
        assert first == YESTERDAY - start * DAY


class TestWatermarks:
    def test_they_survive_being_kept(self) -> None:
        config = _config()
        kept = Watermarks.read({}, config).advanced({"facebook/act_1": YESTERDAY, "tiktok/7": YESTERDAY})
        assert Watermarks.read(kept.as_state(), config) == kept

    def test_an_earlier_slot_takes_nothing_back(self) -> None:
        kept = Watermarks("t", {"facebook/act_1": YESTERDAY})
        assert kept.advanced({"facebook/act_1": YESTERDAY - 9 * DAY}) == kept

    def test_the_watermark_of_a_removed_account_is_dropped(self) -> None:
        kept = Watermarks("t", {"facebook/act_1": YESTERDAY, "facebook/act_2": YESTERDAY})
        assert kept.only({"facebook/act_2"}).days == {"facebook/act_2": YESTERDAY}

    @pytest.mark.parametrize(
        "change",
        [
            {"webhook_url": "https://example.com/other"},
            {"level": "campaign"},
            {"metrics": ["spend"]},
            {"start_date": "2026-01-01"},
        ],
    )
    def test_another_target_has_had_nothing_yet(self, change: dict[str, Any]) -> None:
        kept = Watermarks.read({}, _config()).advanced({"facebook/act_1": YESTERDAY})
        assert Watermarks.read(kept.as_state(), _config(**change)).days == {}

    @pytest.mark.parametrize("change", [{"days": 7}, {"accounts": ["act_1"]}, {"timezone": "Europe/Berlin"}])
    def test_a_change_that_keeps_the_target_keeps_the_watermarks(self, change: dict[str, Any]) -> None:
        kept = Watermarks.read({}, _config()).advanced({"facebook/act_1": YESTERDAY})
        assert Watermarks.read(kept.as_state(), _config(**change)) == kept
        assert fingerprint(_config(), target_only=False) != fingerprint(_config(**change), target_only=False)

    @pytest.mark.parametrize(
        "state",
        [
            {"version": 9},
            {"version": 1, "target": "t", "watermarks": {"facebook/act_1": "2026-11-20"}},
            {"version": 1, "watermarks": []},
        ],
    )
    def test_an_unreadable_state_is_rebuilt(self, state: dict[str, Any]) -> None:
        assert Watermarks.read(state, _config()).days == {}
