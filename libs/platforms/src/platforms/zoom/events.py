"""Zoom's events about recordings, as they come. Pure.

https://developers.zoom.us/docs/api/meetings/events/
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NoReturn

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from common.errors import Unprocessable

URL_VALIDATION = "endpoint.url_validation"
COMPLETED = "recording.completed"
TRANSCRIPT_COMPLETED = "recording.transcript_completed"
RECOVERED = "recording.recovered"
TRASHED = "recording.trashed"
DELETED = "recording.deleted"
TOKEN_LIFETIME = timedelta(hours=24)
"""How long an event's `download_token` opens the files it tells of."""


def _printable(token: SecretStr) -> SecretStr:
    text = token.get_secret_value()
    if not text.isascii() or not text.isprintable():
        raise ValueError("holds a character no token has")
    return token


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Payload(_Part):
    plain_token: str | None = Field(None, alias="plainToken", pattern=r"^[\x21-\x7e]{1,200}$")
    object: dict[str, Any] = Field(default_factory=dict)


class ZoomEvent(_Part):
    """One event. `event_ts` is in milliseconds since 1970."""

    event: str = Field(max_length=200)
    event_ts: int | None = Field(None, ge=0, lt=2**53)
    download_token: Annotated[SecretStr, AfterValidator(_printable)] | None = Field(None, max_length=8_192)
    payload: _Payload = _Payload()

    @property
    def plain_token(self) -> str | None:
        """What is to be signed for `endpoint.url_validation`."""
        return self.payload.plain_token

    @property
    def meeting(self) -> Mapping[str, Any]:
        """The recorded meeting it is about."""
        return self.payload.object

    @property
    def host_names(self) -> frozenset[str]:
        """What its host is called, in lower case: the id and the e-mail address."""
        names = (self.meeting.get("host_id"), self.meeting.get("host_email"))
        return frozenset(
            name.lower() for name in names if isinstance(name, str) and name.isprintable() and name
        )

    def token_expires_at(self, now: datetime) -> datetime:
        """When the download token ends, counted from when the event happened; it may come hours later."""
        if self.event_ts is None:
            return now + TOKEN_LIFETIME
        try:
            happened = datetime.fromtimestamp(self.event_ts / 1_000, UTC)
        except (ValueError, OverflowError, OSError):
            return now + TOKEN_LIFETIME
        return min(happened, now) + TOKEN_LIFETIME


def read_event(body: bytes) -> ZoomEvent:
    """The event a body tells of; raises Unprocessable without repeating any of it."""
    try:
        return ZoomEvent.model_validate(json.loads(body, parse_constant=_refuse))
    except (ValidationError, ValueError, RecursionError) as error:
        raise Unprocessable("This is not an event of Zoom's.") from error


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
