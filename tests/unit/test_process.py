"""Loops that survive faults, tasks that end together, and steps of stopping: all of them end when told."""

from __future__ import annotations

import asyncio
import time

import pytest

from common.process.loops import repeat, until_done
from common.process.stopping import stop
from common.process.tasks import TaskStuck, end, run_together


def ignore(_fault: BaseException) -> None:
    """What a test of something else does with faults."""


async def test_a_loop_whose_cancellation_is_replaced_by_a_fault_ends() -> None:
    """As when asyncpg rolls back on a connection that has just closed."""
    begun = asyncio.Event()

    async def work() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            raise ConnectionError

    task = asyncio.create_task(repeat(work, faults=(ConnectionError,), on_fault=ignore))
    await begun.wait()
    task.cancel()
    await asyncio.wait([task], timeout=2)
    assert task.cancelled()


async def test_a_loop_whose_cancellation_is_swallowed_ends() -> None:
    begun = asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    task = asyncio.create_task(repeat(work, faults=(), on_fault=ignore))
    await begun.wait()
    task.cancel()
    await asyncio.wait([task], timeout=2)
    assert task.cancelled()


async def test_what_meets_a_fault_is_tried_again_and_told_of() -> None:
    faults: list[BaseException] = []

    async def work() -> int:
        if len(faults) < 2:
            raise ConnectionError
        return 7

    answer = await until_done(work, faults=(ConnectionError,), on_fault=faults.append, pause=0)
    assert (answer, [type(fault) for fault in faults]) == (7, [ConnectionError, ConnectionError])


async def test_a_time_limit_around_a_loop_is_a_time_limit() -> None:
    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ConnectionError

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await repeat(work, faults=(ConnectionError,), on_fault=ignore)


async def test_tasks_that_run_together_end_with_the_first_and_by_its_error() -> None:
    ended = asyncio.Event()

    async def first() -> None:
        raise ZeroDivisionError

    async def other() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(ZeroDivisionError):
        await run_together({"first": first(), "other": other()}, end_within=2)
    assert ended.is_set()


async def test_a_task_that_does_not_end_is_named() -> None:
    released = asyncio.Event()

    async def stubborn() -> None:
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue

    task = asyncio.create_task(stubborn(), name="stubborn")
    await asyncio.sleep(0)
    with pytest.raises(TaskStuck, match="stubborn"):
        await end([task], within=0.6)
    released.set()
    await task


async def test_a_step_of_stopping_that_hangs_is_abandoned() -> None:
    began = time.monotonic()
    assert not await stop("silent server", asyncio.Event().wait(), within=0.05)
    assert time.monotonic() - began < 1


async def test_a_step_of_stopping_that_fails_keeps_nothing_from_ending() -> None:
    async def fails() -> None:
        raise ConnectionError

    assert not await stop("closed server", fails())
