"""Running for leadership, and leading: `docs/leadership.md` tells it whole.

candidate ──acquire──▶ leader: renews its lease, does its duties ──lost, stalled or stopped──▶ candidate
"""

from __future__ import annotations

import asyncio
import time
from typing import NoReturn

import structlog

from common import telemetry
from common.errors import CarillonError
from common.process.loops import end_if_cancelled
from common.process.tasks import run_together
from scheduler.duties import FAULTS, Duties
from scheduler.lease import Lease, StaleTerm, Term

log = structlog.get_logger()

CANDIDATE_INTERVAL = 1.0
"""Seconds between two tries at most: the leader may resign before its lease expires."""
CANDIDATE_LIMIT = 2.0
"""Seconds one try may take."""
FAULT_PAUSE = 0.5
END_LIMIT = 6.0
"""Seconds the duties get to end; a silent server can hold one up for two of them."""
RESIGN_LIMIT = 1.0
STEP_ASIDE = 2.0
"""Seconds a leader that could not do its duties leaves to the other candidates."""
RAN_WITHIN = 15.0
"""Seconds within which a healthy process leads, or has learned that another one does."""
ALIVE_WITHIN = 30.0


class DutiesStalled(CarillonError):
    """This process keeps its lease and cannot do what it is for."""


class Elector:
    """One scheduler's part in the election."""

    def __init__(self, lease: Lease, duties: Duties) -> None:
        self._lease = lease
        self._duties = duties
        self._term: Term | None = None
        self._turned_at = self._ran_at = time.monotonic()

    @property
    def term(self) -> Term | None:
        """The term in which this process leads, as far as it can know."""
        term = self._term
        return term if term is not None and time.monotonic() < term.trusted_until else None

    async def run(self) -> NoReturn:
        """Candidate and leader in turns, until cancelled; a cancelled leader resigns."""
        log.info("scheduler started", holder=self._lease.holder, lease_seconds=self._lease.seconds)
        while True:
            await self._lead(await self._become_leader())

    async def ready(self) -> str | None:
        """None while this process leads and dispatches, or has lately run for it; else what is wrong."""
        if self._term is not None:
            if self.term is None:
                return "the lease is not renewed"
            return self._duties.stalled() or await self._duties.overlooked()
        idle = time.monotonic() - self._ran_at
        return f"neither leader nor candidate for {idle:.0f} s" if idle > RAN_WITHIN else None

    async def alive(self) -> str | None:
        """None while the election goes on, whatever the database says; else for how long it has not."""
        still = time.monotonic() - self._turned_at
        if still <= max(ALIVE_WITHIN, 2 * self._lease.seconds):
            return None
        return f"the election has stood still for {still:.0f} s"

    async def _become_leader(self) -> Term:
        while True:
            end_if_cancelled()
            self._turned_at = time.monotonic()
            try:
                async with asyncio.timeout(CANDIDATE_LIMIT):
                    term = await self._lease.acquire()
                    remaining = 0.0 if term is not None else await self._lease.remaining()
            except FAULTS as fault:
                end_if_cancelled()
                log.warning("cannot run for leadership", error=type(fault).__name__)
                await asyncio.sleep(FAULT_PAUSE)
                continue
            self._ran_at = time.monotonic()
            if term is not None:
                return term
            # Again just after the present lease would expire.
            await asyncio.sleep(min(CANDIDATE_INTERVAL, remaining + 0.02))

    async def _lead(self, term: Term) -> None:
        self._term = term
        telemetry.LEADER_TERM.set(term.number)
        log.info("leadership gained", term=term.number, holder=self._lease.holder)
        resigns, stalled = True, False
        try:
            await run_together(
                {"lease": self._keep_lease(term), **self._duties.within(term)}, end_within=END_LIMIT
            )
        except StaleTerm as lost:
            # Another process may lead already: there is nothing to resign, and no server to wait for.
            resigns = False
            log.warning("leadership lost", term=term.number, holder=self._lease.holder, reason=lost.detail)
        except DutiesStalled as stall:
            stalled = True
            log.error(
                "leadership handed over", term=term.number, holder=self._lease.holder, reason=stall.detail
            )
        finally:
            self._over()
            if resigns:
                await self._resign(term)
        await self._lease.forget_sessions()
        await self._duties.forget_sessions()
        if stalled:
            self._turned_at = time.monotonic()
            await asyncio.sleep(STEP_ASIDE)

    def _over(self) -> None:
        self._term = None
        self._ran_at = time.monotonic()
        telemetry.LEADER_TERM.set(0)

    async def _keep_lease(self, term: Term) -> NoReturn:
        """Renew the lease four times in its length; raises when it is lost, or better held by another.

        What is said about the term is true from that moment on, while the duties are still ending.
        """
        try:
            while True:
                await asyncio.sleep(self._lease.seconds / 4)
                self._turned_at = time.monotonic()
                stall = self._duties.stalled()
                if stall is not None:
                    raise DutiesStalled(stall)
                self._term = term = await self._renew(term)
        finally:
            self._over()

    async def _renew(self, term: Term) -> Term:
        """The term with a longer trust; raises StaleTerm when it is over or can no longer be trusted."""
        while True:
            end_if_cancelled()
            left = term.trusted_until - time.monotonic()
            if left <= 0:
                raise StaleTerm(f"could not renew term {term.number} in time")
            try:
                # Half of what is left, so that a silent connection leaves the time to try another one.
                async with asyncio.timeout(max(0.2, left / 2)):
                    renewed = await self._lease.renew(term)
            except FAULTS as fault:
                end_if_cancelled()
                log.warning("lease not renewed yet", error=type(fault).__name__, term=term.number)
                await asyncio.sleep(min(0.1, max(0.0, term.trusted_until - time.monotonic())))
                continue
            if renewed is None:
                raise StaleTerm(f"term {term.number} is over")
            return renewed

    async def _resign(self, term: Term) -> None:
        """Hand over at once instead of letting the lease run out."""
        try:
            async with asyncio.timeout(RESIGN_LIMIT):
                await self._lease.resign(term)
        except FAULTS as fault:
            log.warning("not resigned, the lease will expire", term=term.number, error=type(fault).__name__)
