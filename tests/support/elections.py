"""A scheduler's election and duties in this process, with collaborators of a test's choice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from common.database.pool import ConnectionPool, create_pool
from scheduler.admission import Admission
from scheduler.cleanup import Cleanup, Retention
from scheduler.dispatch import Dispatcher
from scheduler.duties import Duties
from scheduler.election import Elector
from scheduler.lease import Lease
from scheduler.main import COMMAND_LIMIT, IDLE_IN_TRANSACTION_SECONDS, LEASE_POOL_SIZE
from scheduler.relay import Relay
from scheduler.repeated_failures import RepeatedFailures
from scheduler.rescue import Rescue
from scheduler.token_refresh import TokenRefresh
from scheduler.wakeups import Wakeups
from scheduler.zone_rules import ZoneRules
from tests.support.tcp_proxy import TcpProxy

KEEP = Retention(*[timedelta(days=90)] * 4)


def elector(
    pool: ConnectionPool,
    lease_pool: ConnectionPool,
    database_url: str,
    producer: Any,
    *,
    holder: str = "first",
    seconds: float = 4.0,
    check_interval: float = 3_600,
) -> Elector:
    """One scheduler. It looks for what is due once an hour: what happens sooner was caused by a wake-up."""
    lease = Lease(lease_pool, holder=holder, seconds=seconds)
    duties = Duties(
        pool,
        Wakeups(database_url),
        Dispatcher(pool, lease, batch_size=500),
        Relay(pool, producer, topic_prefix="", batch_size=500),
        Rescue(pool, lease),
        Admission(pool, lease, tenant_window=100),
        RepeatedFailures(pool, lease, public_url="http://localhost:8000"),
        ZoneRules(pool, lease),
        TokenRefresh(pool, lease, interval=3_600),
        Cleanup(pool, lease, retention=KEEP, interval=86_400),
        check_interval=check_interval,
    )
    return Elector(lease, duties)


@asynccontextmanager
async def behind(
    proxy: TcpProxy,
    database_url: str,
    producer: Any,
    *,
    lease_proxy: TcpProxy | None = None,
    seconds: float = 2.0,
    check_interval: float = 3_600,
) -> AsyncIterator[Elector]:
    """A scheduler whose connections pass through `proxy`, and those of its lease through `lease_proxy`.

    It runs for the length of the block and is ended after it, whatever the proxy do.
    """
    url, lease_url = through(proxy, database_url), through(lease_proxy or proxy, database_url)
    pool = await create_pool(
        url,
        application_name="first",
        idle_in_transaction_seconds=IDLE_IN_TRANSACTION_SECONDS,
        command_timeout=COMMAND_LIMIT,
    )
    lease_pool = await create_pool(
        lease_url, application_name="first lease", size=LEASE_POOL_SIZE, command_timeout=seconds / 2
    )
    running = elector(pool, lease_pool, url, producer, seconds=seconds, check_interval=check_interval)
    task = asyncio.create_task(running.run())
    try:
        yield running
    finally:
        task.cancel()
        _, going_on = await asyncio.wait([task], timeout=15)
        pool.terminate()
        lease_pool.terminate()
        assert not going_on, "a scheduler that was told to stop goes on"


def through(proxy: TcpProxy, url: str) -> str:
    """`url` by way of the proxy, which must lead to its server."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.port}", f":{proxy.port}")))
