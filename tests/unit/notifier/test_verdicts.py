"""Decisions before a delivery is sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from common.messages import TEST_MESSAGE, Message
from common.models import DeliveryStatus
from common.retry import TELEGRAM_SCHEDULE
from common.scheduling.quiet_hours import QuietHours
from notifier.channels.base import Parcel, Target
from notifier.deliveries.claims import ClaimedDelivery
from notifier.deliveries.verdicts import before_sending

NOW = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
NIGHT = {"from": "22:00", "to": "07:00"}


def claimed(*, then: str | None = None, kind: str = "report.completed", **changes: object) -> ClaimedDelivery:
    quiet = None if then is None else QuietHours.model_validate({**NIGHT, "then": then})
    parcel = Parcel(
        id=uuid4(),
        target=Target(uuid4(), {"chat_id": 1}, "secret"),
        message=Message(type=kind, title="t", text="t"),
        progress={"sent": [1]},
        traceparent=None,
        created_at=NOW,
    )
    delivery = ClaimedDelivery(
        id=parcel.id,
        tenant_id=uuid4(),
        run_id=uuid4(),
        destination_id=parcel.target.destination_id,
        channel="telegram",
        attempt=1,
        uncounted=0,
        trace_id=None,
        traceparent=None,
        parcel=parcel,
        unsendable=None,
        quiet_hours=quiet,
    )
    return replace(delivery, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "delivery",
    [claimed(), claimed(then="deliver", kind=TEST_MESSAGE), claimed(then="drop", kind=TEST_MESSAGE)],
    ids=["no quiet hours", "a test in hours that hold back", "a test in hours that drop"],
)
def test_a_delivery_is_sent(delivery: ClaimedDelivery) -> None:
    assert before_sending(delivery, TELEGRAM_SCHEDULE, NOW) is None


def test_quiet_hours_delay_a_delivery_without_using_an_attempt() -> None:
    outcome = before_sending(claimed(then="deliver"), TELEGRAM_SCHEDULE, NOW)
    assert outcome is not None
    assert outcome.status is DeliveryStatus.RETRYING
    assert outcome.retry_after == timedelta(hours=7, minutes=30)
    assert not outcome.counted
    assert outcome.progress == {"sent": [1]}
    assert "07:00 UTC" in (outcome.error_message or "")


def test_quiet_hours_that_drop_record_the_reason() -> None:
    outcome = before_sending(claimed(then="drop"), TELEGRAM_SCHEDULE, NOW)
    assert outcome is not None
    assert outcome.status is DeliveryStatus.DROPPED
    assert "quiet hours" in (outcome.error_message or "")


def test_outside_quiet_hours_a_delivery_is_sent() -> None:
    assert before_sending(claimed(then="drop"), TELEGRAM_SCHEDULE, NOW + timedelta(hours=8)) is None


def test_an_impossible_delivery_fails_even_in_quiet_hours() -> None:
    disabled = claimed(then="deliver", unsendable="the destination is disabled: bot was blocked")
    outcome = before_sending(disabled, TELEGRAM_SCHEDULE, NOW)
    assert outcome is not None
    assert outcome.status is DeliveryStatus.FAILED
    assert outcome.error_message == "the destination is disabled: bot was blocked"


def test_lost_attempts_are_limited_too() -> None:
    worn_out = claimed(attempt=TELEGRAM_SCHEDULE.max_attempts + 1)
    outcome = before_sending(worn_out, TELEGRAM_SCHEDULE, NOW)
    assert outcome is not None
    assert outcome.status is DeliveryStatus.FAILED
    assert before_sending(replace(worn_out, uncounted=1), TELEGRAM_SCHEDULE, NOW) is None
