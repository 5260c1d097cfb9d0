"""A notifier in this process, with a fake channel whose answers are scripted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from common.database.pool import ConnectionPool
from common.messages import Message
from common.retry import TELEGRAM_SCHEDULE, RetrySchedule
from common.secrets.crypto import KeyRing
from common.work.leases import DELIVERIES, Leases
from common.work.patience import Patience
from common.work.places import Places
from common.work.worker import Worker as Machine
from common.work.writing import GroupWriter
from notifier.channels.base import Channel, Parcel, Receipt, Target
from notifier.deliveries.claims import Claims
from notifier.deliveries.execution import LOOK_INTERVAL, Delivering, InTurn
from notifier.deliveries.outcomes import DeliveryOutcome, Outcomes
from notifier.pacing import Limit, Pacer

Send = Callable[[Parcel], Awaitable[Receipt]]


async def accept(_parcel: Parcel) -> Receipt:
    """The receiver takes it."""
    return Receipt(200, {})


class ScriptedChannel:
    """Answers what the test says, and remembers what it was given."""

    type: ClassVar[str] = "telegram"
    schedule: ClassVar[RetrySchedule] = TELEGRAM_SCHEDULE

    def __init__(self, send: Send, limits: Sequence[Limit] = ()) -> None:
        self._send = send
        self._limits = limits
        self.parcels: list[Parcel] = []

    def pace_key(self, target: Target) -> str:
        """One bucket a chat; a destination without one is the channel's own trouble."""
        return f"scripted:{target.config['chat_id']}"

    def limits(self, target: Target) -> Sequence[Limit]:
        """As the test says."""
        return self._limits

    def messages(self, message: Message) -> int:
        """Always one."""
        return 1

    async def send(self, parcel: Parcel, *, now: datetime) -> Receipt:
        """One attempt."""
        self.parcels.append(parcel)
        return await self._send(parcel)


@dataclass
class Notifier:
    """One notifier without its broker."""

    claims: Claims
    delivering: Machine[InTurn, Places]
    channel: ScriptedChannel
    outcomes: Outcomes


@asynccontextmanager
async def notifying(
    pool: ConnectionPool,
    ring: KeyRing,
    send: Send = accept,
    *,
    name: str = "notifier-1",
    concurrency: int = 50,
    lease_seconds: float = 60.0,
    sweep_after: float = 15.0,
    limits: Sequence[Limit] = (),
    looking: bool = False,
    channels: Mapping[str, Channel] | None = None,
) -> AsyncIterator[Notifier]:
    """A notifier that records its outcomes and, where `looking`, looks for due deliveries.

    `channels` stand in for the scripted one. It ends like a killed process.
    """
    channel = ScriptedChannel(send, limits)
    claims = Claims(pool, ring, worker=name, lease_seconds=lease_seconds)
    written = Outcomes(pool, worker=name)
    outcomes: GroupWriter[DeliveryOutcome] = GroupWriter(written, name="outcomes")
    delivering = Machine(
        Delivering(
            claims, outcomes, channels or {channel.type: channel}, Pacer(), sweep_after=Patience(sweep_after)
        ),
        Leases(pool, DELIVERIES, worker=name, seconds=lease_seconds),
        [Places(concurrency)],
        sweep_interval=lambda: LOOK_INTERVAL,
    )
    background = [
        asyncio.create_task(outcomes.run()),
        asyncio.create_task(delivering.keep_leases()),
    ]
    if looking:
        background.append(asyncio.create_task(delivering.sweep_regularly(claims.seconds_to_next_retry)))
    try:
        yield Notifier(claims, delivering, channel, written)
    finally:
        for task in background:
            task.cancel()
        await asyncio.wait(background)
        await delivering.abandon()
