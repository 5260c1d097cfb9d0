"""What became of one attempt, for every way it can end. Pure: time and randomness are passed in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from common.errors import CarillonError, ChannelError, Consequence
from common.models import DeliveryStatus
from common.retry import RetrySchedule, next_attempt
from common.secrets.redaction import hide_secrets
from common.work.leases import MAX_UNCOUNTED
from notifier.channels.base import OutcomeUnknown, Receipt
from notifier.deliveries.claims import ClaimedDelivery
from notifier.deliveries.outcomes import DeliveryOutcome


def before_sending(
    delivery: ClaimedDelivery, schedule: RetrySchedule, now: datetime
) -> DeliveryOutcome | None:
    """Why a delivery is not even tried; None when it is."""
    if delivery.unsendable:
        return _without_trying(delivery, delivery.unsendable)
    if delivery.attempt - delivery.uncounted > schedule.max_attempts:
        return _without_trying(delivery, "every attempt ended without an outcome")
    # A test message is sent at once, because a user waits for it.
    if delivery.quiet_hours is None or delivery.is_test:
        return None
    until = delivery.quiet_hours.until(now)
    if until is None:
        return None
    if delivery.quiet_hours.then == "drop":
        return DeliveryOutcome(
            delivery,
            DeliveryStatus.DROPPED,
            "dropped",
            delivery.parcel.progress,
            error_message="dropped: it came in the destination's quiet hours",
        )
    return DeliveryOutcome(
        delivery,
        DeliveryStatus.RETRYING,
        "retry",
        delivery.parcel.progress,
        error_message=f"held back until the quiet hours end at {until:%Y-%m-%d %H:%M} UTC",
        retry_after=until - now,
        counted=False,
    )


def no_channel(delivery: ClaimedDelivery) -> DeliveryOutcome:
    """The destination is of a type this notifier does not know."""
    return _without_trying(delivery, f"this notifier has no channel {delivery.channel!r}")


def _without_trying(delivery: ClaimedDelivery, reason: str) -> DeliveryOutcome:
    return DeliveryOutcome(
        delivery, DeliveryStatus.FAILED, "failed", delivery.parcel.progress, error_message=reason
    )


def delivered(delivery: ClaimedDelivery, receipt: Receipt) -> DeliveryOutcome:
    """The receiver accepted it."""
    return DeliveryOutcome(
        delivery,
        DeliveryStatus.DELIVERED,
        "delivered",
        receipt.progress,
        status_code=receipt.status_code,
        config=receipt.config,
    )


def put_off(delivery: ClaimedDelivery, wait: float) -> DeliveryOutcome:
    """It would exceed the receiver's rate limit now."""
    return DeliveryOutcome(
        delivery,
        DeliveryStatus.RETRYING,
        "retry",
        delivery.parcel.progress,
        error_message=f"put off {wait:.1f} s to keep to the receiver's rate limit",
        retry_after=timedelta(seconds=wait),
        counted=False,
    )


def failed(
    delivery: ClaimedDelivery,
    schedule: RetrySchedule,
    error: Exception,
    progress: Mapping[str, Any],
    config: Mapping[str, Any] | None,
    *,
    random: float,
) -> DeliveryOutcome:
    """The channel raised `error`. An answer that only asks to wait does not use up the schedule."""
    known = isinstance(error, CarillonError)
    detail = hide_secrets(str(error), delivery.secrets) if known else f"{type(error).__name__} in the channel"
    consequence = error.consequence if isinstance(error, ChannelError) else None
    waits = consequence is Consequence.RATE and delivery.uncounted < MAX_UNCOUNTED
    delay = next_attempt(
        schedule,
        attempt=max(1, delivery.attempt - delivery.uncounted - int(waits)),
        error=error,
        random=random,
    )
    return DeliveryOutcome(
        delivery,
        DeliveryStatus.FAILED if delay is None else DeliveryStatus.RETRYING,
        "unknown" if isinstance(error, OutcomeUnknown) else "failed" if delay is None else "retry",
        progress,
        status_code=error.http_status if isinstance(error, ChannelError) else None,
        error_message=detail,
        retry_after=delay or timedelta(),
        counted=not (waits and delay is not None),
        disable=detail if consequence in (Consequence.GONE, Consequence.REAUTH) else None,
        config=config,
    )


def handed_back(delivery: ClaimedDelivery) -> DeliveryOutcome:
    """The notifier stops before it has sent it."""
    return DeliveryOutcome(
        delivery,
        DeliveryStatus.RETRYING,
        "retry",
        delivery.parcel.progress,
        error_message="handed back unsent: the notifier is stopping",
        counted=False,
    )


def unknown(delivery: ClaimedDelivery, progress: Mapping[str, Any]) -> DeliveryOutcome:
    """The notifier stops while sending."""
    return DeliveryOutcome(
        delivery,
        DeliveryStatus.RETRYING,
        "unknown",
        progress,
        error_message="the notifier stopped while sending; the message may have been delivered",
    )
