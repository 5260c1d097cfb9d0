"""Destinations: create, find, change, test. Secrets are sealed before they reach a row."""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import Any
from uuid import UUID

from pydantic import BaseModel, SecretStr
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.context import Collaborators
from api.deliveries.schemas import DeliveryOut
from api.deliveries.service import queue
from api.destinations.schemas import (
    DestinationOut,
    DestinationPatch,
    TelegramConfig,
    TelegramCreate,
    WebhookConfig,
    WebhookCreate,
)
from api.problems import unacceptable
from api.quotas.service import require_room_for
from api.rows import Lock, owned
from api.security import Principal
from common.errors import BlockedAddress, Conflict, FieldError
from common.http import check_url
from common.messages import TEST_MESSAGE, Message
from common.models import Automation, Destination, DestinationStatus, DestinationType
from common.scheduling.quiet_hours import QuietHours
from common.secrets.crypto import KeyRing, new_webhook_secret

COLUMN = "secret"
_NAMED = 5


def check_address(url: str, wired: Collaborators) -> None:
    """Raise Unprocessable for an address that webhooks may not go to."""
    try:
        check_url(url, allowed_hosts=wired.settings.receiver_allowed_hosts)
    except BlockedAddress as error:
        raise unacceptable([FieldError("/config/url", error.detail)]) from error


def stored_quiet_hours(quiet: QuietHours | None) -> dict[str, Any] | None:
    """Quiet hours as rows keep them."""
    return None if quiet is None else quiet.model_dump(mode="json", by_alias=True)


def seal(keys: KeyRing, destination: Destination, secret: str) -> None:
    """Keep a secret in the destination's row."""
    destination.secret_sealed = keys.seal(
        secret, tenant_id=destination.tenant_id, row_id=destination.id, column=COLUMN
    )


async def create(
    session: AsyncSession,
    wired: Collaborators,
    principal: Principal,
    wanted: TelegramCreate | WebhookCreate,
    *,
    now: datetime,
) -> tuple[Destination, str | None]:
    """Store a destination; answers with it and the signing secret if one was made.

    Raises QuotaExceeded or Unprocessable.
    """
    made: str | None = None
    if isinstance(wanted, TelegramCreate):
        secret = wanted.bot_token.get_secret_value()
    else:
        check_address(wanted.config.url, wired)
        if wanted.signing_secret is not None:
            secret = wanted.signing_secret.get_secret_value()
        else:
            secret = made = new_webhook_secret()
    await require_room_for(session, principal.tenant_id, Destination)
    destination = Destination(
        tenant_id=principal.tenant_id,
        name=wanted.name,
        type=wanted.type,
        config=wanted.config.model_dump(exclude_none=True),
        quiet_hours=stored_quiet_hours(wanted.quiet_hours),
        created_at=now,
        updated_at=now,
    )
    seal(wired.keys, destination, secret)
    session.add(destination)
    await session.flush()
    return destination, made


async def change(
    session: AsyncSession,
    wired: Collaborators,
    principal: Principal,
    destination_id: UUID,
    patch: DestinationPatch,
    *,
    now: datetime,
) -> Destination:
    """Replace the fields given. Raises NotFound or Unprocessable."""
    destination = await owned(session, Destination, principal.tenant_id, destination_id, lock=Lock.WHOLE)
    given = patch.given()
    telegram = destination.type == DestinationType.TELEGRAM
    foreign = "signing_secret" if telegram else "bot_token"
    if foreign in given:
        raise unacceptable([FieldError(f"/{foreign}", f"a {destination.type} destination has none")])
    if "config" in given:
        config: BaseModel = given["config"]
        if not isinstance(config, TelegramConfig if telegram else WebhookConfig):
            detail = f"not the configuration of a {destination.type} destination"
            raise unacceptable([FieldError("/config", detail)])
        if isinstance(config, WebhookConfig):
            check_address(config.url, wired)
        destination.config = config.model_dump(exclude_none=True)
    secret: SecretStr | None = given.get("bot_token") or given.get("signing_secret")
    if secret is not None:
        seal(wired.keys, destination, secret.get_secret_value())
    if "name" in given:
        destination.name = given["name"]
    if "quiet_hours" in given:
        destination.quiet_hours = stored_quiet_hours(given["quiet_hours"])
    if "status" in given and given["status"] != destination.status:
        destination.status = given["status"]
        active = destination.status == DestinationStatus.ACTIVE
        destination.status_reason = None if active else "disabled by a member of the team"
    destination.updated_at = now
    await session.flush()
    return destination


async def rotate_secret(
    session: AsyncSession, wired: Collaborators, principal: Principal, destination_id: UUID, *, now: datetime
) -> tuple[Destination, str]:
    """Give a webhook a new signing secret. Raises NotFound or Conflict."""
    destination = await owned(session, Destination, principal.tenant_id, destination_id, lock=Lock.WHOLE)
    if destination.type != DestinationType.WEBHOOK:
        raise Conflict("Only a webhook has a signing secret; change a bot's token with PATCH.")
    secret = new_webhook_secret()
    seal(wired.keys, destination, secret)
    destination.updated_at = now
    await session.flush()
    return destination, secret


async def remove(session: AsyncSession, principal: Principal, destination_id: UUID) -> None:
    """Delete it with its deliveries; raises NotFound, or Conflict while automations use it."""
    await owned(session, Destination, principal.tenant_id, destination_id, lock=Lock.WHOLE)
    used_by = (
        await session.execute(
            select(col(Automation.id), col(Automation.name))
            .where(col(Automation.destination_id) == destination_id)
            .order_by(col(Automation.created_at))
            .limit(_NAMED + 1)
        )
    ).all()
    if used_by:
        named = ", ".join(f"“{row.name}” ({row.id})" for row in used_by[:_NAMED])
        more = " and others" if len(used_by) > _NAMED else ""
        raise Conflict(f"Automations deliver there: {named}{more}. Give them another destination first.")
    await session.execute(delete(Destination).where(col(Destination.id) == destination_id))


async def send_test(
    session: AsyncSession, principal: Principal, destination_id: UUID, *, now: datetime
) -> DeliveryOut:
    """Queue a test message. Raises NotFound, or Conflict when the destination is disabled."""
    destination = await owned(session, Destination, principal.tenant_id, destination_id)
    if destination.status != DestinationStatus.ACTIVE:
        raise Conflict(
            f"The destination is disabled ({destination.status_reason}); set its status to active first."
        )
    text = f"This is a test from Carillon. {destination.name} is set up: results will arrive here."
    message = Message(
        type=TEST_MESSAGE,
        title="Carillon test message",
        text=text,
        html=f"<b>Carillon test message</b>\n{escape(text)}",
        data={"destination_id": str(destination.id), "sent_by": principal.email},
    )
    return await queue(session, destination, message, now=now)


def shown(destination: Destination) -> DestinationOut:
    """A destination as clients see it."""
    values: dict[str, Any] = destination.model_dump(exclude={"secret_sealed"})
    return DestinationOut(**values, has_secret=destination.secret_sealed is not None)
