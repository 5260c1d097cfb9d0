"""A message from a run to its destination, rendered by each channel in its own way."""

from __future__ import annotations

import base64
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

TEST_MESSAGE = "destination.test"
"""Type of the message a person sends to try a destination."""


MAX_ATTACHMENT_BYTES = 2 * 1024 * 1024
"""Largest attachment; it is kept with its delivery until that is cleaned up."""
MAX_FILES = 5
"""Files one message may bring."""


class Enclosure(BaseModel):
    """What may be known of a file that comes with a message, without its content. `size` is in bytes."""

    model_config = ConfigDict(frozen=True)

    filename: str = Field(min_length=1, max_length=200, pattern=r"^[^/\\\x00]+$")
    media_type: str = Field(pattern=r"^[a-z]+/[a-z0-9.+-]+$", examples=["text/csv", "image/png"])
    size: int = Field(ge=0, le=MAX_ATTACHMENT_BYTES)


class Attachment(Enclosure):
    """A file that comes with a message. `content` is its bytes in base64."""

    content: str = Field(max_length=4 * (MAX_ATTACHMENT_BYTES // 3 + 1), repr=False)

    @classmethod
    def of(cls, filename: str, media_type: str, data: bytes) -> Self:
        """Wrap the bytes; raises ValidationError when they are too many."""
        content = base64.b64encode(data).decode()
        return cls(filename=filename, media_type=media_type, size=len(data), content=content)

    @property
    def data(self) -> bytes:
        """The bytes."""
        return base64.b64decode(self.content)


class Message(BaseModel):
    """A message for any channel.

    `html` uses the tags Telegram accepts (b, i, u, s, a, code, pre, blockquote) and nothing else; `text` is
    the same for channels and receivers without markup. `type` and `data` are what a webhook receives.
    `chart` is a picture for channels that can show one; `files` are what the owner asked to be sent along.
    """

    model_config = ConfigDict(frozen=True)

    type: str = Field(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$", examples=["report.completed"])
    title: str
    text: str
    html: str | None = None
    data: dict[str, Any] = Field(default_factory=dict)
    chart: Attachment | None = None
    files: tuple[Attachment, ...] = Field((), max_length=MAX_FILES)
