"""The machine that works on what is claimed: runs, recordings and deliveries alike.

    event ──take──▶ waits for a place ──▶ claim ──▶ held: worked on under a lease ──▶ its record
    sweep ────────────────┘                           │
       ┌──────────────────────────────────────────────┘
       ├─ superseded: the lease was lost ──▶ no record, the row belongs to another
       ├─ cancelled: on request ───────────▶ a record that says so
       └─ handed back: the process stops ──▶ waits for another worker, not counted

A claim is committed before the work begins, so that nothing here is needed to be sure that no item is lost:
if this process dies, its leases expire and the leader lets the items wait again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Generic, Protocol, TypeVar
from uuid import UUID

import structlog

from common.database.pool import TRANSIENT_DATABASE_ERRORS
from common.process.loops import end_if_cancelled
from common.work.leases import Attempt, Leases
from common.work.places import Flows, Places, Stopping
from common.work.stopping import in_hand
from common.work.waiting import Waiting, WaitingLines

log = structlog.get_logger()

STOP_GRACE = 2.0
"""Seconds that stopped work may take to end and to be recorded."""
DRAIN_MARGIN = 1.0
"""Seconds a drain may take beyond its time, before the process goes on without it."""
LOOK = 200
"""Items that wait, read from PostgreSQL at once."""
READ_BACK_LEASES = 2
"""For how many leases after a claim without an answer it is read back: its COMMIT may still be on its way."""


class Stop(StrEnum):
    """Why an attempt was stopped."""

    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"
    HANDED_BACK = "handed_back"


class Claimed(Protocol):
    """What was claimed."""

    @property
    def id(self) -> UUID:
        """The item's."""
        ...

    @property
    def attempt(self) -> int:
        """The number that the claim gave to this attempt."""
        ...

    @property
    def flows(self) -> Flows:
        """What its place counts for."""
        ...


ItemT = TypeVar("ItemT", bound=Claimed)
PlacesT = TypeVar("PlacesT", bound=Places)
SharesT = TypeVar("SharesT", bound=Places, contravariant=True)


@dataclass(eq=False, slots=True)
class Held(Generic[ItemT]):
    """One attempt in the hands of this process."""

    item: ItemT
    places: Places
    """Where its place was taken from."""
    lease_until: float
    """The loop's time at which another worker may have the item."""
    stop: Stop | None = None
    """Why it was stopped; asked when the work is cancelled."""
    has_begun: bool = False
    """Its work may have had effects: what has not begun is handed back at once when the process stops."""
    is_settling: bool = False
    """The work is through; what is left is to record what became of it, and nothing to stop."""
    task: asyncio.Task[None] | None = None
    is_running: bool = False

    @property
    def attempt(self) -> Attempt:
        """What identifies it."""
        return self.item.id, self.item.attempt

    @property
    def is_superseded(self) -> bool:
        """Whether it is another worker's: then it leaves no record."""
        return self.stop is Stop.SUPERSEDED

    def begin(self) -> None:
        """From here on the work may have effects."""
        self.has_begun = True

    def settle(self) -> None:
        """From here on there is nothing to stop, only to record, a stop that has struck included."""
        self.is_settling = True
        task = asyncio.current_task()
        while task is not None and task.cancelling():
            task.uncancel()


class Kind(Protocol[ItemT, SharesT]):
    """What is particular to one kind of work."""

    name: str
    """For logs, in the singular."""

    async def claim(self, wanted: Mapping[UUID, str | None]) -> Sequence[ItemT]:
        """Claim those of the items that wait; maps ids to the trace context of their events."""
        ...

    async def waiting(
        self, places: SharesT, *, at_once: bool, without: Sequence[UUID], limit: int
    ) -> Sequence[Waiting]:
        """Up to `limit` items that are due and that no event will bring, for these places, the oldest first.

        `at_once`: whether the events have come by now. `without`: flows whose items are not asked for.
        """
        ...

    async def read_back(self, known: Sequence[Attempt]) -> Sequence[ItemT]:
        """Items that are this worker's by a claim whose answer was lost: all it holds but `known`."""
        ...

    async def work(self, held: Held[ItemT]) -> None:
        """Make the attempt and record what became of it. Cancelled when `held.stop` is set."""
        ...


@dataclass(eq=False, slots=True)
class _Question:
    """A claim or its reading back, and what has ended meanwhile: the answer must not start that again."""

    asked_at: float
    ended: set[Attempt] = field(default_factory=set)


class Worker(Generic[ItemT, PlacesT]):
    """The items of one kind that this process is working on.

    `shares` are its places; the first is used where none is named. `sweep_interval` is
    asked again and again for its seconds.
    """

    def __init__(
        self,
        kind: Kind[ItemT, PlacesT],
        leases: Leases,
        shares: Sequence[PlacesT],
        *,
        sweep_interval: Callable[[], float],
    ) -> None:
        self.kind = kind
        self.shares = shares
        self._leases = leases
        self._sweep_interval = sweep_interval
        self._held: dict[Attempt, Held[ItemT]] = {}
        self._waiting: Mapping[PlacesT, WaitingLines] = {share: WaitingLines() for share in shares}
        self._freed = False
        """Places have become free since what waits was last let in."""
        self._follower: asyncio.Task[None] | None = None
        """Lets in what waits as places become free."""
        self._claiming: set[asyncio.Task[None]] = set()
        self._questions: set[_Question] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._answered = asyncio.Event()
        """The last try to extend the leases was answered: only then is more taken."""
        self._answered.set()
        self._doubtful = asyncio.Event()
        """A claim has lost its answer just now."""
        self._read_back_until = 0.0
        self._hands_back = False
        """The time to drain is over: what is claimed now is not begun."""

    @property
    def used(self) -> int:
        """Places that are taken."""
        return sum(share.used for share in self.shares)

    async def take(self, items: Sequence[Waiting], places: PlacesT | None = None) -> None:
        """Claim and start those of a batch for which there is a place; the others as places become free.

        These wait in PostgreSQL, whatever becomes of this process. Items that another worker has claimed, or
        that have ended, are left out silently: their events are duplicates. Raises Stopping when the process
        takes no more work.
        """
        # What would be claimed without an answer could not be kept. Another process can take it.
        await self._answered.wait()
        share = self.shares[0] if places is None else places
        if share.is_closed:
            raise Stopping("this process takes no more work")
        self._waiting[share].add(items)
        await self._let_in(share)

    async def sweep(self) -> None:
        """Take what waited too long straight from PostgreSQL, while there are free places."""
        if not self._answered.is_set():
            return
        for share in self.shares:
            await self._let_in(share)
            await self._look(share)

    async def _let_in(self, share: PlacesT) -> int:
        """Claim what waits, as long as there are places for it; returns for how many there were."""
        count = 0
        while admitted := self._waiting[share].admit(share):
            count += len(admitted)
            await self._claim(share, admitted)
        return count

    async def _look(self, share: PlacesT) -> None:
        """Look in PostgreSQL for what waits, and claim it while there are places.

        Where a line has run out its rest is looked for as well, whose events have come and are forgotten.
        """
        lines = self._waiting[share]
        is_part, at_once = True, False
        while is_part and share.free and not share.is_closed:
            at_once |= lines.has_run_out
            lines.has_run_out = False
            try:
                found = await self.kind.waiting(
                    share, at_once=at_once, without=lines.held_back(share), limit=LOOK
                )
            except TRANSIENT_DATABASE_ERRORS:
                # The next look is to do the same.
                lines.has_run_out |= at_once
                raise
            is_part = len(found) == LOOK
            lines.add(found, is_part=is_part)
            if not await self._let_in(share):
                return

    def _places_freed(self) -> None:
        """Let in what waits for a place, beside whatever the caller is doing."""
        self._freed = True
        has_more = any(lines.has_more for lines in self._waiting.values())
        if self._follower is None and has_more and self._answered.is_set():
            self._follower = asyncio.create_task(self._follow(), name=f"{self.kind.name} places")
            self._claiming.add(self._follower)
            self._follower.add_done_callback(self._claiming.discard)

    async def _follow(self) -> None:
        try:
            while self._freed:
                self._freed = False
                for share in self.shares:
                    await self._let_in(share)
                    if self._waiting[share].has_run_out:
                        await self._look(share)
        except TRANSIENT_DATABASE_ERRORS as error:
            end_if_cancelled()
            # The next sweep tries again, or the next place that becomes free.
            log.warning("claims delayed", kind=self.kind.name, error=type(error).__name__)
        finally:
            self._follower = None

    async def sweep_regularly(
        self, seconds_to_next: Callable[[], Awaitable[float | None]] | None = None
    ) -> None:
        """Sweep for as long as the process lives; `seconds_to_next` says when to do so sooner than usual."""
        while True:
            pause: float | None = None
            try:
                await self.sweep()
                if seconds_to_next is not None:
                    pause = await seconds_to_next()
            except TRANSIENT_DATABASE_ERRORS as error:
                end_if_cancelled()
                log.warning("sweep failed", kind=self.kind.name, error=type(error).__name__)
            await self._rest(pause)

    async def _rest(self, pause: float | None) -> None:
        """Wait for the next sweep, for `pause` at most. The interval shrinks when the broker falls silent."""
        clock = asyncio.get_running_loop().time
        began = clock()
        while True:
            interval = self._sweep_interval()
            left = began + (interval if pause is None else min(interval, max(0.02, pause))) - clock()
            if left <= 0:
                return
            await asyncio.sleep(min(left, 1.0))

    async def _claim(self, share: PlacesT, admitted: Sequence[Waiting]) -> None:
        # Shielded: what a claim that was on its way has taken must be started, or it waits for its lease.
        task = asyncio.create_task(self._claim_admitted(share, admitted))
        self._claiming.add(task)
        task.add_done_callback(self._claiming.discard)
        await asyncio.shield(task)

    async def _claim_admitted(self, share: PlacesT, admitted: Sequence[Waiting]) -> None:
        claimed: Sequence[ItemT] = ()
        try:
            with self._question() as question:
                claimed = await self.kind.claim({item.id: item.traceparent for item in admitted})
                self._start(claimed, share, question)
        except TRANSIENT_DATABASE_ERRORS:
            # It may have been committed all the same.
            now = asyncio.get_running_loop().time()
            self._read_back_until = now + READ_BACK_LEASES * self._leases.seconds
            self._doubtful.set()
            self._waiting[share].add(admitted)
            raise
        else:
            if len(claimed) < len(admitted):
                self._places_freed()
        finally:
            # What has started has taken its place for itself.
            for item in admitted:
                share.release(item.flows)

    async def _read_back(self) -> None:
        """Start what a claim without an answer has taken: waiting for the lease would cost an attempt."""
        try:
            with self._question() as question:
                items = await self.kind.read_back(list(self._held))
                started = self._start(items, self.shares[0], question)
        except TRANSIENT_DATABASE_ERRORS as error:
            end_if_cancelled()
            log.warning("claims not read back yet", kind=self.kind.name, error=type(error).__name__)
        else:
            if started:
                log.warning("claims without an answer read back", kind=self.kind.name, count=started)

    @contextmanager
    def _question(self) -> Iterator[_Question]:
        """For the time of one question to PostgreSQL of what is this worker's."""
        question = _Question(asyncio.get_running_loop().time())
        self._questions.add(question)
        try:
            yield question
        finally:
            self._questions.discard(question)

    def _start(self, items: Iterable[ItemT], share: PlacesT, question: _Question) -> int:
        """Start what is not known yet; returns how many."""
        started = 0
        for item in items:
            held: Held[ItemT] = Held(item, share, question.asked_at + self._leases.seconds)
            if held.attempt in self._held or held.attempt in question.ended:
                # A claim and its reading back have both found it.
                continue
            started += 1
            share.overdraw(item.flows)
            self._idle.clear()
            self._held[held.attempt] = held
            if self._hands_back:
                held.stop = Stop.HANDED_BACK
            held.task = asyncio.create_task(self._run(held), name=f"{self.kind.name} {item.id}")
            held.task.add_done_callback(partial(self._ended, held))
        return started

    async def _run(self, held: Held[ItemT]) -> None:
        held.is_running = True
        in_hand.set((self._leases.rows, held.attempt))
        if held.stop is not None:
            # Told before its first step: the work is to find itself cancelled and record that, as usual.
            self._cancel(held)
        await self.kind.work(held)

    def _ended(self, held: Held[ItemT], task: asyncio.Task[None]) -> None:
        del self._held[held.attempt]
        for question in self._questions:
            question.ended.add(held.attempt)
        held.places.release(held.item.flows)
        self._places_freed()
        if not self._held:
            self._idle.set()
        if not task.cancelled() and (error := task.exception()):
            # Its lease runs out and it is tried again.
            log.error("attempt without a record", kind=self.kind.name, id=str(held.item.id), exc_info=error)

    async def keep_leases(self) -> None:
        """Extend the leases of everything held, and stop what was cancelled or taken away."""
        watch = asyncio.create_task(self._stop_expired(), name=f"{self.kind.name} leases")
        try:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._leases.seconds / 4):
                        await self._doubtful.wait()
                        # At once would be too soon for a database that has just broken the connection.
                        await asyncio.sleep(self._leases.seconds / 20)
                self._doubtful.clear()
                await self._extend()
        finally:
            watch.cancel()

    async def _extend(self) -> None:
        loop = asyncio.get_running_loop()
        asked = loop.time()
        mine = list(self._held.values())
        try:
            kept = await self._leases.extend([held.attempt for held in mine])
        except TRANSIENT_DATABASE_ERRORS as error:
            end_if_cancelled()
            self._answered.clear()
            log.warning(
                "leases not extended", kind=self.kind.name, error=type(error).__name__, held=len(mine)
            )
            return
        if not self._answered.is_set():
            self._answered.set()
            self._places_freed()
        for held in mine:
            if held.attempt not in kept:
                self._stop([held], Stop.SUPERSEDED)
                continue
            held.lease_until = asked + self._leases.seconds
            if kept[held.attempt]:
                self._stop([held], Stop.CANCELLED)
        if asked < self._read_back_until:
            await self._read_back()

    async def _stop_expired(self) -> None:
        """Stop what another worker may have by now, whatever `_extend` is waiting for."""
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            self._stop([held for held in self._held.values() if held.lease_until <= now], Stop.SUPERSEDED)
            # A lease that begins while this sleeps ends later than a quarter of one from now.
            pauses = [self._leases.seconds / 4]
            pauses += [
                held.lease_until - now
                for held in self._held.values()
                if held.stop is None and not held.is_settling
            ]
            await asyncio.sleep(max(0.01, min(pauses)))

    def _stop(self, attempts: Iterable[Held[ItemT]], reason: Stop) -> None:
        for held in attempts:
            if not held.is_settling and held.stop is None:
                held.stop = reason
                if held.is_running:
                    self._cancel(held)

    def _cancel(self, held: Held[ItemT]) -> None:
        if held.task is not None:
            held.task.cancel()

    def close(self) -> None:
        """Take no more; `take` raises Stopping, and what waits for a place is left to others."""
        for share in self.shares:
            share.close()
        self._answered.set()

    async def drain(self, seconds: float) -> None:
        """Let what has begun finish for a while, then hand back what is left; returns when all is recorded.

        What has not begun is handed back at once. Call `close` before. Takes `seconds`, plus the grace where
        something does not end.
        """
        # What was claimed a moment ago takes its first step, which says whether it begins.
        await asyncio.sleep(0)
        self._stop([held for held in self._held.values() if not held.has_begun], Stop.HANDED_BACK)
        try:
            async with asyncio.timeout(max(0.0, seconds - STOP_GRACE)):
                while self._claiming:
                    await asyncio.wait(self._claiming)
                await self._idle.wait()
        except TimeoutError:
            self._hands_back = True
        if self._claiming:
            # Its answer comes too late to begin anything, and in time to be handed back.
            await asyncio.wait(self._claiming, timeout=STOP_GRACE)
        if asyncio.get_running_loop().time() < self._read_back_until:
            self._hands_back = True
            await asyncio.wait([asyncio.create_task(self._read_back())], timeout=STOP_GRACE)
        left = [held.task for held in self._held.values() if held.task is not None]
        if not left:
            return
        log.info("handing back unfinished work", kind=self.kind.name, count=len(left))
        self._stop(self._held.values(), Stop.HANDED_BACK)
        await asyncio.wait(left, timeout=STOP_GRACE)

    async def abandon(self) -> None:
        """Stop everything and record nothing, as the end of the process would."""
        self.close()
        left = list(self._held.values())
        for held in left:
            held.stop = Stop.SUPERSEDED
            self._cancel(held)
        if left:
            await asyncio.wait([held.task for held in left if held.task is not None], timeout=STOP_GRACE)
