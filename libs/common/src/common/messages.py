"""What a run says to its destination: one message, rendered by each channel in its own way."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

TEST_MESSAGE = "destination.test"
"""Type of the message a person sends to try a destination."""


class Message(BaseModel):
    """A message for any channel.

    `html` uses the tags Telegram accepts (b, i, u, s, a, code, pre, blockquote) and nothing else; `text` is
    the same for channels and receivers without markup. `type` and `data` are what a webhook receives.
    """

    model_config = ConfigDict(frozen=True)

    type: str = Field(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$", examples=["report.completed"])
    title: str
    text: str
    html: str | None = None
    data: dict[str, Any] = Field(default_factory=dict)
