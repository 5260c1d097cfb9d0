"""Grouped writes: concurrent entries are written together, and each caller gets its own result."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from common.work import writing as grouping
from common.work.writing import MAX_GROUP, GroupWriter

Write = Callable[[Sequence[int]], Awaitable[Sequence[bool]]]


class Scripted:
    """Writes as the test says; `committed` is what it finds when it reads back."""

    def __init__(self, write: Write, committed: Sequence[int] = ()) -> None:
        self._write = write
        self._committed = committed

    async def write(self, group: Sequence[int]) -> Sequence[bool]:
        return await self._write(group)

    async def confirm(self, group: Sequence[int]) -> Sequence[bool]:
        return [entry in self._committed for entry in group]


@asynccontextmanager
async def writing(write: Write, committed: Sequence[int] = ()) -> AsyncIterator[GroupWriter[int]]:
    writer = GroupWriter(Scripted(write, committed), name="numbers")
    task = asyncio.create_task(writer.run())
    try:
        yield writer
    finally:
        task.cancel()
        await asyncio.wait([task])


class Recorder:
    """Takes even numbers; the gate is closed until the test opens it."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()

    async def write(self, entries: Sequence[int]) -> list[bool]:
        self.groups.append(list(entries))
        self.asked.set()
        await self.gate.wait()
        return [entry % 2 == 0 for entry in entries]


async def test_the_first_entry_is_written_at_once_and_the_rest_together() -> None:
    recorder = Recorder()
    async with writing(recorder.write) as writer:
        first = asyncio.create_task(writer.record(0))
        await recorder.asked.wait()
        rest = [asyncio.create_task(writer.record(number)) for number in range(1, 6)]
        await asyncio.sleep(0)
        recorder.gate.set()
        assert await first
        assert await asyncio.gather(*rest) == [False, True, False, True, False]
    assert recorder.groups == [[0], [1, 2, 3, 4, 5]]


async def test_a_group_does_not_exceed_its_size() -> None:
    recorder = Recorder()
    recorder.gate.set()
    async with writing(recorder.write) as writer:
        await asyncio.gather(*(writer.record(number) for number in range(MAX_GROUP * 2 + 50)))
    assert max(map(len, recorder.groups)) == MAX_GROUP
    assert list(itertools.chain(*recorder.groups)) == list(range(MAX_GROUP * 2 + 50))


async def test_a_database_error_delays_a_group_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "RETRY_PAUSE", 0)
    faults = [ConnectionResetError(), TimeoutError(), OSError()]

    async def write(entries: Sequence[int]) -> list[bool]:
        if faults:
            raise faults.pop()
        return [True] * len(entries)

    async with writing(write) as writer:
        assert await asyncio.gather(*(writer.record(number) for number in range(3))) == [True] * 3
    assert faults == []


async def test_what_was_committed_without_an_answer_is_not_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grouping, "RETRY_PAUSE", 0)
    answers = iter([ConnectionResetError()])

    async def write(entries: Sequence[int]) -> list[bool]:
        if (error := next(answers, None)) is not None:
            raise error
        return [entry > 3 for entry in entries]

    async with writing(write, committed=[1, 2, 4]) as writer:
        numbers = await asyncio.gather(*(writer.record(number) for number in range(1, 5)))
    assert numbers == [True, True, False, True], "the third came too late, whatever became of the answer"


async def test_an_entry_that_cannot_be_written_fails_alone() -> None:
    written: list[int] = []

    async def write(entries: Sequence[int]) -> list[bool]:
        if 3 in entries:
            raise ValueError("three")
        written.extend(entries)
        return [True] * len(entries)

    async with writing(write) as writer:
        results = await asyncio.gather(
            *(writer.record(number) for number in range(6)), return_exceptions=True
        )
        assert [type(result) for result in results] == [bool, bool, bool, ValueError, bool, bool]
        assert await writer.record(7), "and the writer goes on"
    assert written == [0, 1, 2, 4, 5, 7]


async def test_an_entry_is_written_although_its_caller_was_cancelled() -> None:
    recorder = Recorder()
    async with writing(recorder.write) as writer:
        caller = asyncio.create_task(writer.record(2))
        await recorder.asked.wait()
        caller.cancel()
        await asyncio.wait([caller])
        recorder.gate.set()
        assert await writer.record(4)
    assert recorder.groups == [[2], [4]]


async def test_callers_are_released_when_the_writer_ends() -> None:
    recorder = Recorder()
    async with writing(recorder.write) as writer:
        held = asyncio.create_task(writer.record(0))
        await recorder.asked.wait()
        queued = asyncio.create_task(writer.record(2))
        await asyncio.sleep(0)
    async with asyncio.timeout(1):
        for caller in (held, queued, asyncio.create_task(writer.record(4))):
            with pytest.raises(asyncio.CancelledError):
                await caller
