"""Deliveries for the tests of channels."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from common.ids import new_id
from common.messages import Message
from notifier.channels.base import Note, Parcel, Target

TOKEN = "700700700:" + "t" * 35
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
CREATED = datetime(2026, 11, 5, 10, 0, 0, 123_456, tzinfo=UTC)


async def _forgotten(_progress: Mapping[str, Any]) -> None:
    """Keep nothing."""


def message(text: str = "Spend & reach", html: str | None = "<b>Spend</b> &amp; reach") -> Message:
    """A report."""
    return Message(
        type="report.completed",
        title="Daily report",
        text=text,
        html=html,
        data={"spend": 12.5, "rows": [1, 2]},
    )


def parcel(
    config: Mapping[str, Any],
    *,
    secret: str | None,
    content: Message | None = None,
    progress: Mapping[str, Any] | None = None,
    identifier: UUID | None = None,
    run_id: UUID | None = None,
    note: Note = _forgotten,
) -> Parcel:
    """A delivery of `content` to a destination of its own."""
    return Parcel(
        id=identifier or new_id(),
        target=Target(new_id(), config, secret),
        message=content or message(),
        progress=progress or {},
        traceparent=TRACEPARENT,
        created_at=CREATED,
        run_id=run_id,
        note=note,
    )
