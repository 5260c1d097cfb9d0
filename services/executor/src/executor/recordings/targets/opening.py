"""Making a target ready: its address and its secrets, which are read only now and only the team's own."""

from __future__ import annotations

import json
from uuid import UUID

import asyncpg
import httpx

from common.database.pool import ConnectionPool
from common.errors import Consequence
from common.recordings.settings import S3Target, StoreTarget, UploadTarget, WebhookTarget
from common.recordings.store import RecordingStore
from common.secrets.crypto import KeyRing, Undecryptable
from executor.recordings.targets.base import Target, UploadFailed
from executor.recordings.targets.bucket import Bucket, BucketAccess
from executor.recordings.targets.own_store import OwnStore
from executor.recordings.targets.webhook import Receiver, Webhook

_CONNECTION = """
SELECT id, tenant_id, settings, credentials_sealed AS sealed FROM connection
 WHERE id = $1 AND tenant_id = $2 AND platform = 's3' AND status = 'active'
"""
_DESTINATION = """
SELECT id, tenant_id, config, secret_sealed AS sealed, status, status_reason FROM destination
 WHERE id = $1 AND tenant_id = $2 AND type = 'webhook'
"""


class Targets:
    """Opens the targets of any team."""

    def __init__(
        self, pool: ConnectionPool, ring: KeyRing, store: RecordingStore, http: httpx.AsyncClient
    ) -> None:
        self._pool = pool
        self._ring = ring
        self._store = store
        self._http = http

    async def open(self, tenant_id: UUID, target: UploadTarget) -> Target:
        """The target, if it is this team's; raises UploadFailed."""
        match target:
            case StoreTarget():
                return OwnStore(self._store, target)
            case S3Target():
                return await self._bucket(tenant_id, target)
            case WebhookTarget():
                return await self._webhook(tenant_id, target)

    async def _bucket(self, tenant_id: UUID, target: S3Target) -> Target:
        row = await self._pool.fetchrow(_CONNECTION, target.connection_id, tenant_id)
        if row is None:
            raise _unusable("there is no connected bucket of the id the settings name")
        try:
            credentials = json.loads(self._secret(row, "credentials"))
        except ValueError as error:
            raise _unusable("the bucket's credentials cannot be read: enter them again") from error
        settings = row["settings"] if isinstance(row["settings"], dict) else {}
        access = BucketAccess.read(settings, credentials if isinstance(credentials, dict) else {})
        return Bucket(self._http, self._store, access, target)

    async def _webhook(self, tenant_id: UUID, target: WebhookTarget) -> Target:
        row = await self._pool.fetchrow(_DESTINATION, target.destination_id, tenant_id)
        if row is None:
            raise _unusable("there is no webhook of the id the settings name")
        if row["status"] != "active":
            raise _unusable(f"the webhook is switched off: {row['status_reason'] or 'by a person'}")
        receiver = Receiver.read(row["config"].get("url"), self._secret(row, "secret"))
        return Webhook(self._http, self._store, receiver)

    def _secret(self, row: asyncpg.Record, column: str) -> str:
        if row["sealed"] is None:
            raise _unusable(f"it has no {column}")
        try:
            return self._ring.open(row["sealed"], tenant_id=row["tenant_id"], row_id=row["id"], column=column)
        except Undecryptable as error:
            raise _unusable(f"its {column} cannot be opened: enter it again") from error


def _unusable(detail: str) -> UploadFailed:
    return UploadFailed(detail, Consequence.INVALID, code="unusable")
