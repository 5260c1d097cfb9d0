"""What clients send and receive about destinations."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StrictInt, StringConstraints
from pydantic_core import PydanticCustomError

from api.fields import UNSET, Input, Name, Patch
from common.models import DestinationStatus, DestinationType
from common.scheduling.quiet_hours import QuietHours

_BOT_TOKEN = re.compile(r"[0-9]{5,20}:[A-Za-z0-9_-]{30,60}", re.ASCII)
_MAX_CHAT_ID = 2**52  # Telegram: "at most 52 significant bits"


def _is_bot_token(token: SecretStr) -> SecretStr:
    if _BOT_TOKEN.fullmatch(token.get_secret_value()) is None:
        raise PydanticCustomError("bot_token", "not a bot token; BotFather gives one like 123456789:AAE…")
    return token


def _is_signing_secret(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise PydanticCustomError(
            "signing_secret", "write whsec_ and 24 to 64 random bytes in base64, or leave it out"
        )
    return secret


QUIET = "Hours in which nothing is delivered"

BotToken = Annotated[SecretStr, AfterValidator(_is_bot_token)]
SigningSecret = Annotated[SecretStr, AfterValidator(_is_signing_secret)]
ChatId = (
    Annotated[StrictInt, Field(ge=-_MAX_CHAT_ID, le=_MAX_CHAT_ID)]
    | Annotated[str, StringConstraints(pattern=r"^@[A-Za-z][A-Za-z0-9_]{3,31}$")]
)


class TelegramConfig(Input):
    """Which chat, and which of its topics."""

    chat_id: ChatId = Field(
        description="A chat's number, or a public channel's @name", examples=[-1001234567890]
    )
    message_thread_id: Annotated[int, Field(strict=True, ge=1, le=2**31 - 1)] | None = Field(
        default=None, description="A forum's topic; without it, the chat itself"
    )


class WebhookConfig(Input):
    """Where to post."""

    url: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)] = Field(
        description="https address that takes Standard Webhooks",
        examples=["https://hooks.example.com/carillon"],
    )


class TelegramCreate(Input):
    """A new Telegram destination."""

    type: Literal[DestinationType.TELEGRAM]
    name: Name
    config: TelegramConfig
    bot_token: BotToken = Field(description="The bot that writes there; never shown again")
    quiet_hours: QuietHours | None = Field(default=None, description=QUIET)


class WebhookCreate(Input):
    """A new webhook destination."""

    type: Literal[DestinationType.WEBHOOK]
    name: Name
    config: WebhookConfig
    signing_secret: SigningSecret | None = Field(
        default=None, description="Signs what is posted (Standard Webhooks); without it, one is made"
    )
    quiet_hours: QuietHours | None = Field(default=None, description=QUIET)


DestinationCreate = Annotated[TelegramCreate | WebhookCreate, Field(discriminator="type")]

EXAMPLES: dict[str, Any] = {
    "telegram": {
        "summary": "A Telegram chat",
        "value": {
            "type": "telegram",
            "name": "Marketing",
            "config": {"chat_id": -1001234567890},
            "bot_token": "123456789:AAExampleExampleExampleExampleExample",
        },
    },
    "webhook": {
        "summary": "A webhook",
        "value": {
            "type": "webhook",
            "name": "Data warehouse",
            "config": {"url": "https://hooks.example.com/carillon"},
        },
    },
}


class DestinationPatch(Patch):
    """Changes to a destination. Its type stays; `config` is replaced as a whole."""

    name: Name = UNSET
    config: TelegramConfig | WebhookConfig = UNSET
    bot_token: BotToken = Field(default=UNSET, description="Telegram only")
    signing_secret: SigningSecret = Field(default=UNSET, description="Webhooks only")
    quiet_hours: QuietHours | None = Field(default=UNSET, description=QUIET + "; null for none")
    status: DestinationStatus = Field(default=UNSET, description="`active` clears what had disabled it")


class DestinationOut(BaseModel):
    """A destination. Its secret is never among what is shown."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    tenant_id: UUID
    name: str
    type: DestinationType
    status: DestinationStatus = Field(
        description="`disabled`: nothing is sent there, `status_reason` says why"
    )
    status_reason: str | None
    config: dict[str, Any]
    quiet_hours: dict[str, Any] | None
    has_secret: bool = Field(description="Whether a bot token or signing secret is kept")
    created_at: datetime
    updated_at: datetime


class DestinationWithSecret(DestinationOut):
    """A new destination, or one with a new secret."""

    signing_secret: str | None = Field(
        default=None, description="The secret that was made for a webhook. It is shown this once"
    )
