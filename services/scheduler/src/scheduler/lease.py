"""The lease that makes one scheduler the leader.

One row, the database's clock, and a term that grows with every change of leader:

    acquire   UPDATE … SET term = term + 1 WHERE expired OR holder = me
    renew     UPDATE … WHERE holder = me AND term = mine AND not expired
    fence     SELECT … WHERE term = mine FOR SHARE, inside each of the leader's transactions

The fence is what makes the rest safe. A successor's `acquire` must update the row that the fence has
locked, so it waits for the fenced transaction; and a fence after that update finds another term and rolls
back. A paused, partitioned or slow leader can therefore think what it likes: it writes nothing.

The leader itself trusts its lease from the moment it *asked* for it, by its own monotonic clock, because
the answer may have been long on its way.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from common.database.pool import ConnectionPool, DbSession
from common.errors import CarillonError

# A lease of this same process is one whose answer was lost, or that it gave up before it expired: the next
# term is its own at once. The record of the reign remembers since when no process led, which answers "why did
# it not run?" later.
_ACQUIRE = """
WITH before AS (SELECT expires_at FROM leadership WHERE role = $1),
taken AS (
    INSERT INTO leadership AS l (role, term, holder, acquired_at, expires_at)
    VALUES ($1, 1, $2, clock_timestamp(), clock_timestamp() + make_interval(secs => $3))
    ON CONFLICT (role) DO UPDATE
       SET term = l.term + 1, holder = $2, acquired_at = clock_timestamp(),
           expires_at = clock_timestamp() + make_interval(secs => $3)
     WHERE l.expires_at < clock_timestamp() OR l.holder = $2
    RETURNING term, acquired_at
)
INSERT INTO reign (term, holder, vacant_since, acquired_at)
SELECT term, $2, (SELECT least(expires_at, clock_timestamp()) FROM before), acquired_at FROM taken
ON CONFLICT (term) DO UPDATE
   SET holder = excluded.holder, vacant_since = excluded.vacant_since, acquired_at = excluded.acquired_at
RETURNING term
"""
_RENEW = """
UPDATE leadership SET expires_at = clock_timestamp() + make_interval(secs => $4)
 WHERE role = $1 AND holder = $2 AND term = $3 AND expires_at > clock_timestamp()
RETURNING term
"""
_FENCE = """
SELECT term FROM leadership
 WHERE role = $1 AND holder = $2 AND term = $3 AND expires_at > clock_timestamp()
   FOR SHARE
"""
_RESIGN = "UPDATE leadership SET expires_at = clock_timestamp() WHERE role = $1 AND holder = $2 AND term = $3"
_REMAINING = (
    "SELECT extract(epoch FROM expires_at - clock_timestamp())::float8 FROM leadership WHERE role = $1"
)

ROLE = "scheduler"


class StaleTerm(CarillonError):
    """Another leader's term has begun; whatever this one was about to write is rolled back."""


@dataclass(frozen=True, slots=True)
class Term:
    """The time one process leads, by its number. `trusted_until` is on this process's monotonic clock."""

    number: int
    trusted_until: float


class Lease:
    """One process's claim to lead."""

    def __init__(self, pool: ConnectionPool, *, holder: str, seconds: float) -> None:
        """`pool` is used for the lease alone where the duties may use up their own."""
        self._pool = pool
        self.holder = holder
        self.seconds = seconds

    async def acquire(self) -> Term | None:
        """Become the leader, or None while another one's lease lasts."""
        asked = time.monotonic()
        number = await self._pool.fetchval(_ACQUIRE, ROLE, self.holder, self.seconds)
        # None: the row exists and has not expired, so another process leads.
        return None if number is None else Term(number, asked + self.seconds)

    async def renew(self, term: Term) -> Term | None:
        """Extend the lease; None when the term is over."""
        asked = time.monotonic()
        number = await self._pool.fetchval(_RENEW, ROLE, self.holder, term.number, self.seconds)
        return None if number is None else Term(number, asked + self.seconds)

    async def resign(self, term: Term) -> None:
        """End the term now, so that a successor need not wait for the lease to expire."""
        await self._pool.execute(_RESIGN, ROLE, self.holder, term.number)

    async def forget_sessions(self) -> None:
        """Use no session again that is open now: the network may have forgotten them."""
        await self._pool.expire_connections()

    async def remaining(self) -> float:
        """Seconds until the present leader's lease expires; 0 when none does."""
        seconds: float | None = await self._pool.fetchval(_REMAINING, ROLE)
        return max(0.0, seconds or 0.0)

    async def fence(self, db: DbSession, term: Term) -> None:
        """Make the caller's transaction valid only within this term; raises StaleTerm.

        Call it last, so that the row is locked for as short as possible.
        """
        if await db.fetchval(_FENCE, ROLE, self.holder, term.number) is None:
            raise StaleTerm(f"term {term.number} of {self.holder} is over")
