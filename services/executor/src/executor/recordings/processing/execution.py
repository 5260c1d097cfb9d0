"""Working on claimed recordings: several at once, step by step, under a lease.

A claim is committed before `start` is called, and every step writes down what it has done. If this process
dies, its leases expire, and whoever sweeps next goes on at the file that was not done.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias
from uuid import UUID

import structlog

from common.database.pool import TRANSIENT_DATABASE_ERRORS, ConnectionPool
from common.models import Lane
from common.work.places import Capacity
from executor.recordings.processing.attempts import RecordingAttempts
from executor.recordings.processing.claims import ClaimedRecording, RecordingClaims

log = structlog.get_logger()

STOP_GRACE = 2.0
"""Seconds a stopped step may take to end."""
SUPERSEDED, HANDED_BACK = "superseded", "handed_back"
# Every recording is as urgent as every other.
_LANE = Lane.NORMAL

_HEARTBEAT = """
UPDATE recording r
   SET lease_expires_at = clock_timestamp() + make_interval(secs => $2)
  FROM unnest($3::uuid[], $4::int[]) AS mine (id, attempt)
 WHERE r.id = mine.id AND r.worker = $1 AND r.attempt = mine.attempt
RETURNING r.id, r.attempt
"""

Attempt: TypeAlias = tuple[UUID, int]


@dataclass(slots=True)
class _Running:
    recording: ClaimedRecording
    task: asyncio.Task[None]
    reason: str | None = None
    """Why it was stopped: `superseded` or `handed_back`."""


def capacity_for(recordings: int) -> Capacity:
    """Places for so many recordings at once."""
    return Capacity(recordings, dict.fromkeys(Lane, 1.0))


class Processing:
    """The recordings this process is working on."""

    def __init__(
        self,
        pool: ConnectionPool,
        claims: RecordingClaims,
        attempts: RecordingAttempts,
        capacity: Capacity,
        *,
        worker: str,
        lease_seconds: float,
        sweep_after: float,
    ) -> None:
        self._pool = pool
        self._claims = claims
        self._attempts = attempts
        self._capacity = capacity
        self._worker = worker
        self._lease_seconds = lease_seconds
        self._sweep_after = sweep_after
        self._running: dict[Attempt, _Running] = {}
        self._claiming: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def free_places(self) -> int:
        """How many recordings could be begun now."""
        return self._capacity.free(_LANE)

    async def take(self, traceparents: Mapping[UUID, str | None]) -> None:
        """Claim and start the recordings of one batch, as places become free; returns when all are claimed.

        Those that somebody else has taken are left out. Raises Stopping when the process stops meanwhile.
        """
        waiting = list(traceparents.items())
        while waiting:
            places = await self._capacity.wait_and_take(_LANE, len(waiting))
            part, waiting = waiting[:places], waiting[places:]
            await self._claim_and_start(places, self._claims.claim(dict(part)))

    async def sweep(self) -> None:
        """Take what is due, what lost its event and what lost its worker, while there are free places."""
        places = self._capacity.take(_LANE, self._capacity.free(_LANE))
        if places:
            claim = self._claims.claim_waiting(limit=places, waited_seconds=self._sweep_after)
            await self._claim_and_start(places, claim)

    async def _claim_and_start(
        self, places: int, claim: Coroutine[Any, Any, Sequence[ClaimedRecording]]
    ) -> None:
        # Shielded: what a claim that was on its way has taken must be started, or nobody hands it back.
        task = asyncio.create_task(self._claim_places(places, claim))
        self._claiming.add(task)
        task.add_done_callback(self._claiming.discard)
        await asyncio.shield(task)

    async def _claim_places(
        self, places: int, claim: Coroutine[Any, Any, Sequence[ClaimedRecording]]
    ) -> None:
        recordings: Sequence[ClaimedRecording] = ()
        try:
            recordings = await claim
        finally:
            self._capacity.release(_LANE, places - len(recordings))
        for recording in recordings:
            self._start(recording)

    def _start(self, recording: ClaimedRecording) -> None:
        self._idle.clear()
        task = asyncio.create_task(self._process(recording), name=f"recording {recording.id}")
        self._running[recording.id, recording.attempt] = _Running(recording, task)
        task.add_done_callback(lambda _task: self._ended(recording))

    def _ended(self, recording: ClaimedRecording) -> None:
        running = self._running.pop((recording.id, recording.attempt))
        self._capacity.release(_LANE)
        if not self._running:
            self._idle.set()
        if not running.task.cancelled() and (error := running.task.exception()):
            log.error("recording ended without a record", recording_id=str(recording.id), exc_info=error)

    async def _process(self, recording: ClaimedRecording) -> None:
        running = self._running[recording.id, recording.attempt]
        await self._attempts.make(recording, is_handed_back=lambda: running.reason == HANDED_BACK)

    async def keep_leases(self) -> None:
        """Extend the leases of everything running, and stop what was taken away."""
        last_success = time.monotonic()
        while True:
            await asyncio.sleep(self._lease_seconds / 4)
            mine = list(self._running.values())
            asked = time.monotonic()
            try:
                # A connection that is silent rather than broken must not outlast the leases.
                async with asyncio.timeout(self._lease_seconds / 4):
                    kept = await self._pool.fetch(
                        _HEARTBEAT,
                        self._worker,
                        self._lease_seconds,
                        [running.recording.id for running in mine],
                        [running.recording.attempt for running in mine],
                    )
            except TRANSIENT_DATABASE_ERRORS as error:
                log.warning("leases not extended", error=type(error).__name__, running=len(mine))
                if time.monotonic() - last_success >= self._lease_seconds:
                    # Somebody else has them by now; going on would only repeat their work.
                    self._stop(mine, SUPERSEDED)
                continue
            last_success = asked
            held = {(row["id"], row["attempt"]) for row in kept}
            self._stop(
                [each for each in mine if (each.recording.id, each.recording.attempt) not in held], SUPERSEDED
            )

    def _stop(self, running: Sequence[_Running], reason: str) -> None:
        for each in running:
            if each.reason is None and not each.task.done():
                each.reason = reason
                each.task.cancel()

    async def sweep_regularly(self) -> None:
        """Sweep for as long as the process lives."""
        while True:
            await asyncio.sleep(self._sweep_after / 3)
            try:
                await self.sweep()
            except TRANSIENT_DATABASE_ERRORS as error:
                log.warning("sweep failed", error=type(error).__name__)

    def close(self) -> None:
        """Take no more; whoever waits for a place is told so."""
        self._capacity.close()

    async def drain(self, seconds: float) -> None:
        """Let running work finish for a while, then hand back what is left.

        A film of hours does not finish in seconds: what is written down so far is what the next one goes on
        from.
        """
        try:
            async with asyncio.timeout(max(0.0, seconds - STOP_GRACE)):
                while self._claiming:
                    await asyncio.wait(self._claiming)
                await self._idle.wait()
        except TimeoutError:
            if self._claiming:
                await asyncio.wait(self._claiming, timeout=STOP_GRACE)
            left = list(self._running.values())
            log.info("handing back unfinished recordings", count=len(left))
            self._stop(left, HANDED_BACK)
            if left:
                await asyncio.wait([running.task for running in left], timeout=STOP_GRACE)

    async def abandon(self) -> None:
        """Stop everything without a record, as the end of the process would."""
        left = list(self._running.values())
        self._stop(left, SUPERSEDED)
        if left:
            await asyncio.wait([running.task for running in left])
