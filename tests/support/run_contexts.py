"""Run contexts for handler tests, made without an executor."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast
from uuid import uuid4

import httpx
import structlog

from common.database.pool import ConnectionPool
from common.models import ConnectionKind, platform_of
from executor.handlers.base import Account, RunContext, RunLog
from platforms.calls.credentials import Credential, FixedCredential
from platforms.calls.usage import UsageLimiter


def account(
    kind: ConnectionKind,
    token: str,
    *,
    name: str = "Main",
    credential: Credential | None = None,
    **fields: Any,
) -> Account:
    """A connected account of this kind."""
    connection_id = fields.pop("connection_id", None) or uuid4()
    platform = platform_of(kind)
    own = FixedCredential(token, platform=platform, connection_id=str(connection_id))
    return Account(
        connection_id=connection_id,
        platform=platform,
        kind=kind,
        name=name,
        settings=fields.pop("settings", {}),
        credential=credential or own,
        **fields,
    )


def run_context(
    http: httpx.AsyncClient,
    *accounts: Account,
    slot: datetime,
    pool: ConnectionPool | None = None,
    limiter: UsageLimiter | None = None,
    platforms: Sequence[str] | None = None,
    **fields: Any,
) -> RunContext:
    """The first attempt of a run, unless `fields` say otherwise. Without `pool` there is no database."""
    given: dict[str, Any] = {
        "run_id": uuid4(),
        "automation_id": uuid4(),
        "automation_name": "Morning numbers",
        "tenant_id": uuid4(),
        "attempt": 1,
        "timezone": "UTC",
        **fields,
    }
    secrets = [secret for each in accounts for secret in each.credential.seen]
    return RunContext(
        slot=slot,
        platforms=platforms or tuple(dict.fromkeys(each.platform for each in accounts)),
        accounts=accounts,
        http=http,
        log=RunLog(structlog.get_logger(), secrets=secrets),
        limiter=limiter or UsageLimiter(),
        pool=cast("ConnectionPool", pool),
        **given,
    )
