"""Keep programs running: start them in order, restart what dies, stop everything in time."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from carillon.child import Child, Program

_FIRST_DELAY = 0.2
_LONGEST_DELAY = 10.0
_STEADY_AFTER = 30.0


class Change(StrEnum):
    """What happened to a program."""

    READY = "ready"
    ENDED = "ended"
    FAILED = "failed"
    RESTARTED = "restarted"
    WAITED_FOR = "waited for"


@dataclass(frozen=True, slots=True)
class Incident:
    """A change of one program. `detail` says how it ended or why it did not start."""

    program: str
    change: Change
    detail: str = ""


@dataclass(slots=True)
class _Member:
    child: Child
    stage: int
    is_settled: asyncio.Event = field(default_factory=asyncio.Event)
    watch: asyncio.Task[None] | None = None


def restart_delay(failures: int) -> float:
    """Seconds to wait before another start, after this many in short succession."""
    return min(_LONGEST_DELAY, _FIRST_DELAY * 2.0**failures)


class Supervisor:
    """Runs programs until told to stop. `report` hears of every change, on the event loop."""

    def __init__(self, logs: Path, report: Callable[[Incident], None]) -> None:
        self._logs = logs
        self._report = report
        self._members: dict[str, _Member] = {}
        self._stages = 0

    async def start(self, *programs: Program) -> None:
        """Start these together and return when all are ready. Raises NotReady of the first that fails.

        What one call starts makes a stage: stages stop in the reverse order.
        """
        self._stages += 1
        members = [_Member(self._child(program), self._stages) for program in programs]
        try:
            async with asyncio.TaskGroup() as group:
                for member in members:
                    group.create_task(self._start(member))
        except BaseExceptionGroup as failures:
            raise _first(failures) from None

    def _child(self, program: Program) -> Child:
        def waits(words: str) -> None:
            self._report(Incident(program.name, Change.WAITED_FOR, words))

        return Child(program, self._logs / f"{program.name}.log", waits=waits)

    def pids(self) -> dict[str, int]:
        """Process ids of what runs now, by name."""
        return {name: member.child.pid for name, member in self._members.items() if member.child.is_alive}

    async def stop(self, patience: Sequence[float]) -> list[str]:
        """Stop every stage, the last first; returns what had to be killed.

        `patience` has the seconds each stage gets, in the order they stop; its last figure is for the rest.
        """
        members = list(self._members.values())
        watches = [member.watch for member in members if member.watch is not None]
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)
        killed: list[str] = []
        for turn, stage in enumerate(range(self._stages, 0, -1)):
            timeout = patience[min(turn, len(patience) - 1)]
            leaving = [member.child for member in members if member.stage == stage and member.child.is_alive]
            stopped = await asyncio.gather(*(child.stop(timeout) for child in leaving))
            killed += [child.program.name for child, alone in zip(leaving, stopped, strict=True) if not alone]
        self._members.clear()
        return killed

    def kill(self) -> None:
        """End everything at once."""
        for member in self._members.values():
            if member.watch is not None:
                member.watch.cancel()
        for member in self._members.values():
            member.child.kill()

    async def _start(self, member: _Member) -> None:
        await member.child.start()
        name = member.child.program.name
        self._members[name] = member
        member.is_settled.set()
        member.watch = asyncio.create_task(self._watch(member), name=f"watch {name}")
        self._report(Incident(name, Change.READY))

    async def _watch(self, member: _Member) -> None:
        loop = asyncio.get_running_loop()
        name = member.child.program.name
        failures = 0
        while True:
            started = loop.time()
            status = await member.child.exited()
            member.child.kill()  # what it may have started itself
            self._report(Incident(name, Change.ENDED, _fate(status)))
            if loop.time() - started > _STEADY_AFTER:
                failures = 0
            failures = await self._restart(member, failures)
            self._report(Incident(name, Change.RESTARTED))

    async def _restart(self, member: _Member, failures: int) -> int:
        """Start it again, however often that takes; returns how often that was in short succession."""
        while True:
            await asyncio.sleep(restart_delay(failures))
            failures += 1
            for holder in self._holders(member):
                await holder.is_settled.wait()
            try:
                with self._holding(member):
                    await member.child.start()
            except Exception as error:
                self._report(Incident(member.child.program.name, Change.FAILED, str(error)))
            else:
                return failures

    @contextlib.contextmanager
    def _holding(self, starting: _Member) -> Iterator[None]:
        """Freeze what must not meet a program before it is ready, and nothing for longer than it starts."""
        held = [self._members[name].child for name in starting.child.program.holds & self._members.keys()]
        starting.is_settled.clear()
        for child in held:
            child.pause()
        try:
            yield
        finally:
            starting.is_settled.set()
            for child in held:
                child.resume()

    def _holders(self, held: _Member) -> list[_Member]:
        name = held.child.program.name
        return [member for member in self._members.values() if name in member.child.program.holds]


def _fate(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-status).name}"
    return f"was ended by signal {-status}"


def _first(failures: BaseExceptionGroup) -> BaseException:
    for failure in failures.exceptions:
        return _first(failure) if isinstance(failure, BaseExceptionGroup) else failure
    return failures
