"""Sending claimed deliveries, and deciding what follows from each answer.

Sending is at least once: a crash between the receiver's answer and our record sends again, with the same
idempotency key, and the attempt in between says `unknown`.
"""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from opentelemetry.trace import SpanKind

from common import telemetry
from common.database.pool import TRANSIENT_DATABASE_ERRORS
from common.errors import CarillonError
from common.models import Lane
from common.secrets.redaction import hide_secrets
from common.work.places import Capacity
from common.work.writing import GroupWriter
from notifier.channels.base import Channel, Interrupted
from notifier.deliveries import verdicts
from notifier.deliveries.claims import ClaimedDelivery, Claims, by_destination
from notifier.deliveries.outcomes import DeliveryOutcome, without_answer
from notifier.pacing import PATIENCE, Pacer

log = structlog.get_logger()

TOPIC = "notification.requested"
LOOK_INTERVAL = 1.0
"""Seconds between looks at PostgreSQL for due retries."""
STOP_GRACE = 1.0


@dataclass(eq=False, slots=True)
class _Turn:
    """Deliveries to one destination: what goes to one chat goes one after the other."""

    deliveries: Sequence[ClaimedDelivery]
    is_sending: bool = False
    """A channel is at work, and may be interrupted."""


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
        lease_seconds: float,
    ) -> None:
        self._claims = claims
        self._outcomes = outcomes
        self._channels = channels
        self._pacer = pacer
        self._capacity = capacity
        self._sweep_after = sweep_after
        self._lease_seconds = lease_seconds
        self._turns: dict[asyncio.Task[None], _Turn] = {}
        self._claiming: set[asyncio.Task[None]] = set()
        self._stopping = False

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
                seconds = None
                places = self._capacity.take(Lane.NORMAL, self._capacity.free(Lane.NORMAL))
                if places:
                    claim = self._claims.claim_due(limit=places, waited_seconds=self._sweep_after)
                    await self._claim_and_send(places, claim)
                    seconds = await self._claims.seconds_to_next_retry()
            except TRANSIENT_DATABASE_ERRORS as error:
                log.warning("looking for due deliveries failed", error=type(error).__name__)
                seconds = None
            await asyncio.sleep(LOOK_INTERVAL if seconds is None else min(LOOK_INTERVAL, max(0.02, seconds)))

    async def _claim_and_send(
        self, places: int, claim: Coroutine[Any, Any, Sequence[ClaimedDelivery]]
    ) -> None:
        # Shielded: what a claim that was on its way has taken must be handed back, or it waits for its lease.
        task = asyncio.create_task(self._claim_places(places, claim))
        self._claiming.add(task)
        task.add_done_callback(self._claiming.discard)
        await asyncio.shield(task)

    async def _claim_places(self, places: int, claim: Coroutine[Any, Any, Sequence[ClaimedDelivery]]) -> None:
        deliveries: Sequence[ClaimedDelivery] = ()
        try:
            deliveries = await claim
        finally:
            self._capacity.release(Lane.NORMAL, places - len(deliveries))
        for group in by_destination(deliveries):
            turn = _Turn(group)
            task = asyncio.create_task(self._send_in_turn(turn))
            self._turns[task] = turn
            task.add_done_callback(self._turns.pop)

    async def _send_in_turn(self, turn: _Turn) -> None:
        for delivery in turn.deliveries:
            try:
                await self._record(
                    verdicts.handed_back(delivery) if self._stopping else await self._deliver(turn, delivery)
                )
            except Exception as error:
                # Its lease runs out and it is tried again; the others to this destination go on.
                log.error("delivery without a record", delivery_id=str(delivery.id), exc_info=error)
            finally:
                self._capacity.release(Lane.NORMAL)

    async def _record(self, outcome: DeliveryOutcome) -> bool:
        try:
            return await self._outcomes.record(outcome)
        except Exception as error:
            # What the receiver said cannot be stored; that it was asked, and what follows, can.
            log.error(
                "answer cannot be stored", delivery_id=str(outcome.delivery.id), error=type(error).__name__
            )
            return await self._outcomes.record(without_answer(outcome))

    async def _deliver(self, turn: _Turn, delivery: ClaimedDelivery) -> DeliveryOutcome:
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
            outcome = await self._attempt(turn, replace(delivery, parcel=parcel))
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

    async def _attempt(self, turn: _Turn, delivery: ClaimedDelivery) -> DeliveryOutcome:
        channel = self._channels.get(delivery.channel)
        now = datetime.now(UTC)
        if channel is None:
            return verdicts.no_channel(delivery)
        if (refused := verdicts.before_sending(delivery, channel.schedule, now)) is not None:
            return refused
        progress = _Progress(delivery, self._claims, delivery.parcel.progress)
        parcel = replace(delivery.parcel, note=progress.note)
        began = False
        try:
            wait = self._pacer.reserve(
                channel.pace_key(parcel.target),
                channel.limits(parcel.target),
                time.monotonic(),
                messages=channel.messages(parcel.message),
            )
            if wait > PATIENCE:
                return verdicts.put_off(delivery, wait)
            turn.is_sending = True
            await asyncio.sleep(wait)
            began = True
            receipt = await channel.send(parcel, now=now + timedelta(seconds=wait))
        except asyncio.CancelledError:
            return verdicts.unknown(delivery, progress.kept) if began else verdicts.handed_back(delivery)
        except Interrupted as interrupted:
            return self._failed(
                delivery, channel, interrupted.error, interrupted.progress, interrupted.config
            )
        except Exception as error:  # whatever a channel raises is that delivery's failure only
            return self._failed(delivery, channel, error, progress.kept, None)
        finally:
            turn.is_sending = False
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

    async def keep_leases(self) -> None:
        """Extend the leases of what is being sent or waits for its turn, for as long as the process lives.

        A delivery whose lease was lost all the same is sent by somebody else too; its record here is refused.
        """
        while True:
            await asyncio.sleep(self._lease_seconds / 4)
            try:
                await self._claims.extend([one for turn in self._turns.values() for one in turn.deliveries])
            except TRANSIENT_DATABASE_ERRORS as error:
                log.warning("leases not extended", error=type(error).__name__)

    async def drain(self, seconds: float) -> None:
        """Let what is being sent finish for a while, then record it as unknown; hand back all that waits."""
        self._stopping = True
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds - STOP_GRACE)):
                while busy := {*self._claiming, *self._turns}:
                    await asyncio.wait(busy)
        for task, turn in self._turns.items():
            if turn.is_sending:
                task.cancel()
        if self._turns:
            await asyncio.wait(self._turns.keys(), timeout=STOP_GRACE)
