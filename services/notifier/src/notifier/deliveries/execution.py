"""Sending claimed deliveries: what the machine of `common.work.worker` must know of them.

Sending is at least once: a crash between the receiver's answer and our record sends again, with the same
idempotency key, and the attempt in between says `unknown`.
"""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID
from weakref import WeakValueDictionary

import structlog
from opentelemetry.trace import SpanKind

from common import telemetry
from common.clock import utc_now
from common.database.pool import TRANSIENT_DATABASE_ERRORS
from common.errors import CarillonError
from common.secrets.redaction import hide_secrets
from common.work.leases import Attempt
from common.work.patience import Patience
from common.work.places import Flows, Places
from common.work.waiting import Waiting
from common.work.worker import Held
from common.work.writing import GroupWriter
from notifier.channels.base import Channel, Interrupted
from notifier.deliveries import verdicts
from notifier.deliveries.claims import ClaimedDelivery, Claims
from notifier.deliveries.outcomes import DeliveryOutcome, without_answer
from notifier.pacing import PATIENCE, Pacer

log = structlog.get_logger()

TOPIC = "notification.requested"
LOOK_INTERVAL = 1.0
"""Seconds between looks at PostgreSQL for due retries."""


@dataclass(frozen=True, slots=True)
class InTurn:
    """A delivery and its turn: what is claimed together for one receiver goes there one after the other.

    For receivers with known limits all that this process holds does, so that a chat is read in order.
    """

    delivery: ClaimedDelivery
    turn: asyncio.Lock

    @property
    def id(self) -> UUID:
        """The delivery's."""
        return self.delivery.id

    @property
    def attempt(self) -> int:
        """The delivery's."""
        return self.delivery.attempt

    @property
    def flows(self) -> Flows:
        """The delivery's."""
        return self.delivery.flows


@dataclass(slots=True)
class _Progress:
    """How far an attempt has come, kept as it goes: a crash must not repeat the parts already accepted."""

    delivery: ClaimedDelivery
    claims: Claims
    kept: Mapping[str, Any]

    async def note(self, progress: Mapping[str, Any]) -> None:
        """Keep `progress`. A fault of the database does not end the attempt: its outcome keeps it as well."""
        self.kept = progress
        try:
            await self.claims.note(self.delivery, progress)
        except TRANSIENT_DATABASE_ERRORS as error:
            log.warning("progress not noted", delivery_id=str(self.delivery.id), error=type(error).__name__)


class Delivering:
    """Deliveries as a kind of claimed work. `sweep_after`: how long a delivery may wait for its event."""

    name = "delivery"

    def __init__(
        self,
        claims: Claims,
        outcomes: GroupWriter[DeliveryOutcome],
        channels: Mapping[str, Channel],
        pacer: Pacer,
        *,
        sweep_after: Patience,
    ) -> None:
        self._claims = claims
        self._outcomes = outcomes
        self._channels = channels
        self._pacer = pacer
        self._sweep_after = sweep_after
        self._turns: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()
        """By destination, as long as something is held for it."""

    async def claim(self, wanted: Mapping[UUID, str | None]) -> Sequence[InTurn]:
        """Those of the deliveries that are still queued."""
        return self._in_turn(await self._claims.claim(wanted))

    async def waiting(
        self, places: Places, *, at_once: bool, without: Sequence[UUID], limit: int
    ) -> Sequence[Waiting]:
        """Retries that are due, and what lost its event."""
        waited = 0.0 if at_once else self._sweep_after.seconds
        return await self._claims.waiting(waited_seconds=waited, without=without, limit=limit)

    async def read_back(self, known: Sequence[Attempt]) -> Sequence[InTurn]:
        """Deliveries claimed without an answer."""
        return self._in_turn(await self._claims.read_back(known))

    def _in_turn(self, deliveries: Sequence[ClaimedDelivery]) -> list[InTurn]:
        claimed_together: dict[UUID, asyncio.Lock] = defaultdict(asyncio.Lock)
        return [
            InTurn(
                delivery,
                self._turns.setdefault(delivery.destination_id, asyncio.Lock())
                if self._has_limits(delivery)
                else claimed_together[delivery.destination_id],
            )
            for delivery in deliveries
        ]

    def _has_limits(self, delivery: ClaimedDelivery) -> bool:
        channel = self._channels.get(delivery.channel)
        return channel is not None and bool(channel.limits(delivery.parcel.target))

    async def work(self, held: Held[InTurn]) -> None:
        """Send the delivery when its turn has come, and record what became of it."""
        try:
            await held.item.turn.acquire()
        except asyncio.CancelledError:
            if held.is_superseded:
                raise
            held.settle()
            await self._record(verdicts.handed_back(held.item.delivery))
            return
        try:
            outcome = await self._deliver(held)
            held.settle()
            if not await self._record(outcome):
                log.warning("late result rejected", delivery_id=str(held.item.id), attempt=held.item.attempt)
        finally:
            held.item.turn.release()

    async def _record(self, outcome: DeliveryOutcome) -> bool:
        try:
            return await self._outcomes.record(outcome)
        except Exception as error:
            # What the receiver said cannot be stored; that it was asked, and what follows, can.
            log.error(
                "answer cannot be stored", delivery_id=str(outcome.delivery.id), error=type(error).__name__
            )
            return await self._outcomes.record(without_answer(outcome))

    async def _deliver(self, held: Held[InTurn]) -> DeliveryOutcome:
        """Try once. Raises CancelledError, and nothing else, when another worker has the delivery."""
        delivery = held.item.delivery
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
            outcome = await self._attempt(held, replace(delivery, parcel=parcel))
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

    async def _attempt(self, held: Held[InTurn], delivery: ClaimedDelivery) -> DeliveryOutcome:
        channel = self._channels.get(delivery.channel)
        now = utc_now()
        if channel is None:
            return verdicts.no_channel(delivery)
        if (refused := verdicts.before_sending(delivery, channel.schedule, now)) is not None:
            return refused
        progress = _Progress(delivery, self._claims, delivery.parcel.progress)
        parcel = replace(delivery.parcel, note=progress.note)
        try:
            wait = self._pacer.reserve(
                channel.pace_key(parcel.target),
                channel.limits(parcel.target),
                time.monotonic(),
                messages=channel.messages(parcel.message),
            )
            if wait > PATIENCE:
                return verdicts.put_off(delivery, wait)
            await asyncio.sleep(wait)
            held.begin()
            receipt = await channel.send(parcel, now=now + timedelta(seconds=wait))
        except asyncio.CancelledError:
            if held.is_superseded:
                raise
            if held.has_begun:
                return verdicts.unknown(delivery, progress.kept)
            return verdicts.handed_back(delivery)
        except Interrupted as interrupted:
            return self._failed(
                delivery, channel, interrupted.error, interrupted.progress, interrupted.config
            )
        except Exception as error:  # whatever a channel raises is that delivery's failure only
            return self._failed(delivery, channel, error, progress.kept, None)
        return verdicts.delivered(delivery, receipt)

    def _failed(
        self,
        delivery: ClaimedDelivery,
        channel: Channel,
        error: Exception,
        progress: Mapping[str, Any],
        config: Mapping[str, Any] | None,
    ) -> DeliveryOutcome:
        if not isinstance(error, CarillonError):
            text = "".join(traceback.format_exception(error))
            log.error(
                "channel raised an unexpected error",
                delivery_id=str(delivery.id),
                exception=hide_secrets(text, delivery.secrets),
            )
        outcome = verdicts.failed(
            delivery,
            channel.schedule,
            error,
            progress,
            config,
            random=random.random(),  # noqa: S311
        )
        if not outcome.counted:
            target = delivery.parcel.target
            seconds = outcome.retry_after.total_seconds()
            self._pacer.hold(channel.pace_key(target), channel.limits(target), seconds, time.monotonic())
        return outcome
