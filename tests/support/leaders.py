"""A leader in this process, for tests of what it writes."""

from __future__ import annotations

from common.database.pool import ConnectionPool
from scheduler.admission import Admission
from scheduler.lease import Lease, Term
from scheduler.rescue import Rescue


async def lead(pool: ConnectionPool, holder: str = "leader") -> tuple[Lease, Term]:
    """The lease of a leader that reigns for longer than any test lasts."""
    lease = Lease(pool, holder=holder, seconds=600)
    term = await lease.acquire()
    assert term is not None, "somebody else leads"
    return lease, term


async def depose(pool: ConnectionPool) -> None:
    """Let the present lease run out and another one lead."""
    await pool.execute("UPDATE leadership SET expires_at = clock_timestamp() - interval '1 ms'")
    await lead(pool, "successor")


async def rescued(pool: ConnectionPool) -> int:
    """What a leader does for the work of dead workers, once; answers how many items there were."""
    await pool.execute("UPDATE leadership SET expires_at = clock_timestamp() - interval '1 ms'")
    lease, term = await lead(pool, "rescuer")
    return await Rescue(pool, lease).rescue_batch(term)


async def admitted(pool: ConnectionPool) -> int:
    """What a leader does for runs that wait, once; answers how many changed."""
    await pool.execute("UPDATE leadership SET expires_at = clock_timestamp() - interval '1 ms'")
    lease, term = await lead(pool, "admitter")
    return await Admission(pool, lease, tenant_window=1_000).admit_batch(term)
