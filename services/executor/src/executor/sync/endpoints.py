"""Where the rows of a webhook sync go, and by which secret they are signed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from common.database.pool import ConnectionPool
from common.errors import ChannelError, Consequence
from common.http.standard_webhooks import signing_keys
from common.secrets.crypto import KeyRing, Undecryptable

_BY_ID = """
SELECT id, status, status_reason, config, secret_sealed FROM destination
 WHERE tenant_id = $1 AND type = 'webhook' AND id = $2
"""
_BY_URL = """
SELECT id, status, status_reason, config, secret_sealed FROM destination
 WHERE tenant_id = $1 AND type = 'webhook' AND config ->> 'url' = $2
 ORDER BY status, created_at LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """An address and the keys that sign what is sent there. `secrets` are the keys as they are written."""

    url: httpx.URL = field(repr=False)
    keys: list[bytes] = field(repr=False)
    secrets: Sequence[str] = field(default=(), repr=False)


async def find_endpoint(
    pool: ConnectionPool, ring: KeyRing, tenant_id: UUID, *, url: str | None, destination_id: UUID | None
) -> WebhookEndpoint:
    """The endpoint a configuration names.

    The secret is that of the destination named, or of the one with this very address: rows are never sent
    unsigned.

    Raises:
        ChannelError: INVALID when there is no such destination, or none that can be used; GONE when it is
            disabled.
    """
    row = await (
        pool.fetchrow(_BY_URL, tenant_id, url)
        if destination_id is None
        else pool.fetchrow(_BY_ID, tenant_id, destination_id)
    )
    if row is None:
        raise _unusable(
            "webhook_url: rows are sent signed, and no webhook destination has this address: create one, or "
            "name another in destination_id"
            if destination_id is None
            else "destination_id: no webhook destination of yours has this id",
            "no_destination",
        )
    if row["status"] != "active":
        raise ChannelError(
            f"destination_id: the destination is disabled: {row['status_reason'] or 'by a person'}",
            Consequence.GONE,
            code="disabled",
        )
    keys, secrets = _signing(row, ring, tenant_id)
    return WebhookEndpoint(_url(url or row["config"].get("url")), keys, secrets)


def _signing(row: asyncpg.Record, ring: KeyRing, tenant_id: UUID) -> tuple[list[bytes], Sequence[str]]:
    try:
        secret = ring.open(
            row["secret_sealed"] or b"", tenant_id=tenant_id, row_id=row["id"], column="secret"
        )
        return signing_keys(secret), secret.split()
    except (Undecryptable, ValueError):
        raise _unusable(
            "destination_id: the destination has no signing secret that can be used: give it a new one",
            "bad_secret",
        ) from None


def _url(text: Any) -> httpx.URL:
    try:
        return httpx.URL(text)
    except (TypeError, httpx.InvalidURL):
        raise _unusable("webhook_url: there is no valid address", "no_url") from None


def _unusable(detail: str, code: str) -> ChannelError:
    return ChannelError(detail, Consequence.INVALID, code=code)
