"""Whether what a configuration names belongs to the team that writes it, checked when it is saved: the first
run would fail otherwise."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.recordings.templates.references import check_processing
from api.rows import find_owned
from common.automation_config.data_sync import DataSyncConfig
from common.automation_config.recording_sync import RecordingSyncConfig
from common.database.pool import driver_connection
from common.errors import FieldError
from common.models import POSTGRESQL, Connection, Destination, DestinationType
from common.recordings import catalog
from common.recordings.settings import ProcessingSettings

_FIELD = "/automation_config"


async def check_references(
    session: AsyncSession, tenant_id: UUID, config: BaseModel | None
) -> list[FieldError]:
    """The ids in a configuration that name nothing of the team's; another team's are as good as missing."""
    match config:
        case DataSyncConfig():
            return await _of_sync(session, tenant_id, config)
        case RecordingSyncConfig():
            return await _of_job(session, tenant_id, config)
        case _:
            return []


async def _of_sync(session: AsyncSession, tenant_id: UUID, config: DataSyncConfig) -> list[FieldError]:
    faults = []
    if config.destination_id is not None:
        is_webhook = col(Destination.type) == DestinationType.WEBHOOK
        if await find_owned(session, Destination, tenant_id, config.destination_id, is_webhook) is None:
            faults.append(FieldError(f"{_FIELD}/destination_id", "no webhook of yours has this id"))
    if config.connection_id is not None:
        is_database = col(Connection.platform) == POSTGRESQL
        if await find_owned(session, Connection, tenant_id, config.connection_id, is_database) is None:
            detail = "no PostgreSQL connection of yours has this id"
            faults.append(FieldError(f"{_FIELD}/connection_id", detail))
    return faults


async def _of_job(session: AsyncSession, tenant_id: UUID, config: RecordingSyncConfig) -> list[FieldError]:
    db = await driver_connection(session)
    named = await catalog.templates(db, tenant_id, config.template_ids)
    faults = [
        FieldError(f"{_FIELD}/template_ids/{index}", named.unusable[str(reference)])
        for index, reference in enumerate(config.template_ids)
        if str(reference) in named.unusable
    ]
    settings = ProcessingSettings.model_validate(config.processing_config)
    return faults + await check_processing(session, tenant_id, settings, at=f"{_FIELD}/processing_config")
