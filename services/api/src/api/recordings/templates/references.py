"""Whether what rules and settings name belongs to the team that writes them."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from common.database.pool import driver_connection
from common.errors import FieldError
from common.models import S3, Connection, Destination, DestinationType
from common.recordings import catalog
from common.recordings.rules import MatchingRules
from common.recordings.settings import ProcessingSettings, S3Target, WebhookTarget


async def check_rules(
    session: AsyncSession, tenant_id: UUID, rules: MatchingRules, *, at: str = "/matching_rules"
) -> list[FieldError]:
    """The sources that are not there. `at` is where the rules are in the request."""
    if not rules.source_ids:
        return []
    connection = await driver_connection(session)
    _found, missing = await catalog.sources(connection, tenant_id, rules.source_ids)
    return [
        FieldError(f"{at}/source_ids/{index}", "no source of yours has this number or id")
        for index, reference in enumerate(rules.source_ids)
        if str(reference) in missing
    ]


async def check_processing(
    session: AsyncSession, tenant_id: UUID, settings: ProcessingSettings, *, at: str = "/processing"
) -> list[FieldError]:
    """The buckets and webhooks that are not the team's. `at` is where the settings are in the request."""
    buckets = await _buckets(
        session, tenant_id, [each.connection_id for each in settings.upload if isinstance(each, S3Target)]
    )
    webhooks = await _webhooks(
        session,
        tenant_id,
        [each.destination_id for each in settings.upload if isinstance(each, WebhookTarget)],
    )
    faults: list[FieldError] = []
    for index, target in enumerate(settings.upload):
        if isinstance(target, S3Target) and target.connection_id not in buckets:
            detail = "no connected bucket of yours has this id"
            faults.append(FieldError(f"{at}/upload/{index}/connection_id", detail))
        elif isinstance(target, WebhookTarget) and target.destination_id not in webhooks:
            detail = "no webhook of yours has this id"
            faults.append(FieldError(f"{at}/upload/{index}/destination_id", detail))
    return faults


async def _buckets(session: AsyncSession, tenant_id: UUID, ids: Sequence[UUID]) -> set[UUID]:
    if not ids:
        return set()
    found = await session.execute(
        select(col(Connection.id)).where(
            col(Connection.tenant_id) == tenant_id,
            col(Connection.platform) == S3,
            col(Connection.id).in_(ids),
        )
    )
    return set(found.scalars())


async def _webhooks(session: AsyncSession, tenant_id: UUID, ids: Sequence[UUID]) -> set[UUID]:
    if not ids:
        return set()
    found = await session.execute(
        select(col(Destination.id)).where(
            col(Destination.tenant_id) == tenant_id,
            col(Destination.type) == DestinationType.WEBHOOK,
            col(Destination.id).in_(ids),
        )
    )
    return set(found.scalars())
