"""Sending claimed deliveries, and deciding what follows from each answer.

Sending is at least once: a crash between the receiver's answer and our record sends again, with the same
idempotency key, and the attempt in between says `unknown`.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from opentelemetry.trace import SpanKind

from common import telemetry
from common.capacity import Capacity
from common.database import TRANSIENT_DATABASE_ERRORS
from common.errors import CarillonError, ChannelError, Consequence
from common.grouping import GroupWriter
from common.models import DeliveryStatus, Lane
from common.retry import next_attempt
from common.telemetry import hide_secrets
from notifier.channels.base import Channel, Interrupted
from notifier.claims import ClaimedDelivery, Claims, by_destination
from notifier.outcomes import DeliveryOutcome
from notifier.pacing import PATIENCE, Pacer

log = structlog.get_logger()

TOPIC = "notification.requested"
LOOK_INTERVAL = 1.0
"""Seconds between looks at PostgreSQL for due retries."""
MAX_UNCOUNTED = 200
"""Attempts that a receiver may put off before they count as failures after all."""
STOP_GRACE = 1.0


class Delivering:
    """The deliveries this process is working on."""

    def __init__(
        self,
        claims: Claims,
        outcomes: GroupWriter[DeliveryOutcome],
        channels: Mapping[str, Channel],
        pacer: Pacer,
        capacity: Capacity,
        *,
        sweep_after: float,
    ) -> None:
        self._claims = claims
        self._outcomes = outcomes
        self._channels = channels
        self._pacer = pacer
        self._capacity = capacity
        self._sweep_after = sweep_after
        self._tasks: set[asyncio.Task[None]] = set()

    async def take(self, traceparents: Mapping[UUID, str | None]) -> None:
        """Claim and send the deliveries of one batch, as places become free; returns when all are claimed.

        Raises Stopping when the notifier is told to stop meanwhile.
        """
        waiting = list(traceparents.items())
        while waiting:
            places = await self._capacity.wait_and_take(Lane.NORMAL, len(waiting))
            part, waiting = waiting[:places], waiting[places:]
            await self._claim_and_send(places, self._claims.claim(dict(part)))

    async def look_for_due(self) -> None:
        """Send retries when they are due, and what lost its event, for as long as the process lives."""
        while True:
            try:
                released = await self._claims.release_silent()
                if released:
                    log.warning("deliveries of a silent notifier released", count=released)
                places = self._capacity.take(Lane.NORMAL, self._capacity.free(Lane.NORMAL))
                if places:
                    claim = self._claims.claim_due(limit=places, waited_seconds=self._sweep_after)
                    await self._claim_and_send(places, claim)
                seconds = await self._claims.seconds_to_next_retry()
            except TRANSIENT_DATABASE_ERRORS as error:
                log.warning("looking for due deliveries failed", error=type(error).__name__)
                seconds = None
            await asyncio.sleep(LOOK_INTERVAL if seconds is None else min(LOOK_INTERVAL, max(0.02, seconds)))

    async def _claim_and_send(self, places: int, claim: Any) -> None:
        deliveries: Sequence[ClaimedDelivery] = ()
        try:
            deliveries = await claim
        finally:
            self._capacity.release(Lane.NORMAL, places - len(deliveries))
        for group in by_destination(deliveries):
            task = asyncio.create_task(self._send_in_turn(group))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send_in_turn(self, deliveries: Sequence[ClaimedDelivery]) -> None:
        for delivery in deliveries:
            try:
                await self._outcomes.record(await self._deliver(delivery))
            finally:
                self._capacity.release(Lane.NORMAL)

    async def _deliver(self, delivery: ClaimedDelivery) -> DeliveryOutcome:
        """Try once. Never raises."""
        started = time.monotonic()
        with telemetry.tracer().start_as_current_span(
            f"process {TOPIC}",
            context=telemetry.context_of(delivery.traceparent),
            kind=SpanKind.CONSUMER,
            attributes={
                **telemetry.messaging_attributes(TOPIC, "process"),
                "carillon.delivery.id": str(delivery.id),
                "carillon.destination.id": str(delivery.destination_id),
                "carillon.tenant.id": str(delivery.tenant_id),
            },
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            parcel = replace(delivery.parcel, traceparent=telemetry.traceparent_of(span))
            outcome = await self._attempt(replace(delivery, parcel=parcel))
        telemetry.DELIVERIES.labels(delivery.channel, outcome.outcome).inc()
        telemetry.DELIVERY_DURATION.labels(delivery.channel).observe(time.monotonic() - started)
        log.info(
            "delivery attempted",
            delivery_id=str(delivery.id),
            run_id=delivery.run_id and str(delivery.run_id),
            tenant_id=str(delivery.tenant_id),
            destination_id=str(delivery.destination_id),
            trace_id=delivery.trace_id,
            channel=delivery.channel,
            attempt=delivery.attempt,
            outcome=outcome.outcome,
            error=outcome.error_message,
        )
        return outcome

    async def _attempt(self, delivery: ClaimedDelivery) -> DeliveryOutcome:
        parcel = delivery.parcel
        channel = self._channels.get(delivery.channel)
        if delivery.unsendable or channel is None:
            reason = delivery.unsendable or f"this notifier has no channel {delivery.channel!r}"
            return DeliveryOutcome(
                delivery, DeliveryStatus.FAILED, "failed", parcel.progress, error_message=reason
            )
        wait = self._pacer.reserve(
            channel.pace_key(parcel.target),
            channel.limits(parcel.target),
            time.monotonic(),
            messages=channel.messages(parcel.message),
        )
        if wait > PATIENCE:
            return self._put_off(delivery, wait)
        try:
            await asyncio.sleep(wait)
            receipt = await channel.send(parcel, now=datetime.now(UTC))
        except asyncio.CancelledError:
            return DeliveryOutcome(
                delivery,
                DeliveryStatus.RETRYING,
                "unknown",
                parcel.progress,
                error_message="the notifier stopped while sending; the message may have been delivered",
            )
        except Interrupted as interrupted:
            return self._failed(delivery, interrupted.error, interrupted.progress, interrupted.config)
        except Exception as error:  # whatever a channel raises is that delivery's failure only
            return self._failed(delivery, error, parcel.progress, None)
        return DeliveryOutcome(
            delivery,
            DeliveryStatus.DELIVERED,
            "delivered",
            receipt.progress,
            status_code=receipt.status_code,
            config=receipt.config,
        )

    def _put_off(self, delivery: ClaimedDelivery, wait: float) -> DeliveryOutcome:
        return DeliveryOutcome(
            delivery,
            DeliveryStatus.RETRYING,
            "retry",
            delivery.parcel.progress,
            error_message=f"put off {wait:.1f} s to keep to the receiver's rate limit",
            retry_after=timedelta(seconds=wait),
            counted=False,
        )

    def _failed(
        self,
        delivery: ClaimedDelivery,
        error: Exception,
        progress: Mapping[str, Any],
        config: Mapping[str, Any] | None,
    ) -> DeliveryOutcome:
        channel = self._channels[delivery.channel]
        known = isinstance(error, CarillonError)
        if not known:
            log.error("channel raised an unexpected error", delivery_id=str(delivery.id), exc_info=error)
        detail = hide_secrets(str(error)) if known else f"{type(error).__name__} in the channel"
        consequence = error.consequence if isinstance(error, ChannelError) else None
        put_off = consequence is Consequence.RATE and delivery.uncounted < MAX_UNCOUNTED
        counted_attempts = max(1, delivery.attempt - delivery.uncounted - int(put_off))
        delay = next_attempt(
            channel.schedule,
            attempt=counted_attempts,
            error=error,
            random=random.random(),  # noqa: S311
        )
        if consequence is Consequence.RATE and delay is not None:
            target = delivery.parcel.target
            self._pacer.hold(
                channel.pace_key(target), channel.limits(target), delay.total_seconds(), time.monotonic()
            )
        return DeliveryOutcome(
            delivery,
            DeliveryStatus.FAILED if delay is None else DeliveryStatus.RETRYING,
            "failed" if delay is None else "retry",
            progress,
            status_code=error.http_status if isinstance(error, ChannelError) else None,
            error_message=detail,
            retry_after=delay or timedelta(),
            counted=not put_off,
            disable=detail if consequence in (Consequence.GONE, Consequence.REAUTH) else None,
            config=config,
        )

    async def drain(self, seconds: float) -> None:
        """Let what is being sent finish for a while, then record the rest as unknown."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=max(0.0, seconds - STOP_GRACE))
        left = [task for task in self._tasks if not task.done()]
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=STOP_GRACE)
