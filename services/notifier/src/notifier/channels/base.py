"""The interface of a channel: one way to deliver messages, one file, one line in the registry."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol
from uuid import UUID

from common.errors import ChannelError
from common.messages import Message
from common.retry import RetrySchedule
from notifier.pacing import Limit


@dataclass(frozen=True, slots=True)
class Target:
    """A destination with its secret in clear; must stay in this process."""

    destination_id: UUID
    config: Mapping[str, Any]
    secret: str | None = field(repr=False)

    @property
    def secrets(self) -> list[str]:
        """The secrets in it: several while one replaces another."""
        return (self.secret or "").split()


Note = Callable[[Mapping[str, Any]], Awaitable[None]]
"""Stores the progress of a running attempt, because its process may end before it reports an outcome."""


async def _nowhere(_progress: Mapping[str, Any]) -> None:
    """Keep nothing."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One delivery. `id` is the receiver's idempotency key and the same at every attempt.

    `progress` has the parts the receiver accepted in earlier attempts. `note` is called after each further
    part, so that a crash between two parts does not repeat the first.
    """

    id: UUID
    target: Target
    message: Message
    progress: Mapping[str, Any]
    traceparent: str | None
    created_at: datetime
    run_id: UUID | None = None
    note: Note = _nowhere


@dataclass(frozen=True, slots=True)
class Receipt:
    """The receiver's acceptance. `config` replaces the destination's when the receiver moved."""

    status_code: int
    progress: Mapping[str, Any]
    config: Mapping[str, Any] | None = None


class OutcomeUnknown(ChannelError):
    """The connection ended after the delivery was sent and before it was answered.

    The receiver may have it. It is sent again, because a duplicate is better than a loss; this attempt's
    outcome is recorded as unknown.
    """


class Interrupted(Exception):
    """Some parts were accepted before `error`: carries the progress to keep for the next attempt.

    Raised from the ChannelError that ended the attempt. `config` as in Receipt.
    """

    def __init__(
        self, error: Exception, progress: Mapping[str, Any], config: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.progress = progress
        self.config = config


class Channel(Protocol):
    """One way to deliver. `send` raises ChannelError, or Interrupted around one.

    `pace_key` names what shares a rate limit at the receiver; after a rate limit on one delivery, the
    notifier delays every delivery with the same key.
    """

    type: ClassVar[str]
    schedule: ClassVar[RetrySchedule]

    def pace_key(self, target: Target) -> str:
        """The bucket this target's rate limit belongs to."""
        ...

    def limits(self, target: Target) -> Sequence[Limit]:
        """The rate limits the receiver is known to have; `pacing.Pacer` keeps to them."""
        ...

    def messages(self, message: Message) -> int:
        """How many messages the receiver will count `message` as."""
        ...

    async def send(self, parcel: Parcel, *, now: datetime) -> Receipt:
        """Deliver, or raise what the retry decision needs."""
        ...
