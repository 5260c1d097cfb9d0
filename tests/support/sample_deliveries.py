"""Sample deliveries for channel tests."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from common.ids import new_id
from common.messages import Attachment, Message
from notifier.channels.base import Note, Parcel, Target

TOKEN = "700700700:" + "t" * 35
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
CREATED = datetime(2026, 11, 5, 10, 0, 0, 123_456, tzinfo=UTC)


PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)
"""A picture of one pixel."""


async def _forgotten(_progress: Mapping[str, Any]) -> None:
    """Keep nothing."""


def chart(data: bytes = PNG) -> Attachment:
    """A picture."""
    return Attachment.of("chart-2026-11-05.png", "image/png", data)


def table(
    filename: str = "report-2026-11-05.csv", data: bytes = b"date,spend\r\n2026-11-05,12.50\r\n"
) -> Attachment:
    """A file the owner asked for."""
    return Attachment.of(filename, "text/csv", data)


def message(
    text: str = "Spend & reach", html: str | None = "<b>Spend</b> &amp; reach", **enclosed: Any
) -> Message:
    """A report; `enclosed` are its `chart` and `files`."""
    return Message(
        type="report.completed",
        title="Daily report",
        text=text,
        html=html,
        data={"spend": 12.5, "rows": [1, 2]},
        **enclosed,
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
