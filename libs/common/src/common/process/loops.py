"""Loops that survive faults and still end when they are cancelled.

`Task.cancel()` raises CancelledError once, where the task waits. A library that meets another error while it
cleans up after that replaces it: asyncpg raises InterfaceError when it rolls a transaction back on a
connection that has just closed. A loop that catches such faults would take its own cancellation for one and
go on for ever. The task itself remembers that it was cancelled, so these loops ask the task.

A loop of a service that catches errors uses `repeat` or `until_done`, or calls `end_if_cancelled` where it
catches them; a test walks the tree for others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

T = TypeVar("T")

Faults = tuple[type[BaseException], ...]
PAUSE = 0.5
"""Seconds between a fault and the next try."""


def end_if_cancelled() -> None:
    """Raise CancelledError when the current task was cancelled, whatever error was seen in its place."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def until_done(
    work: Callable[[], Awaitable[T]],
    *,
    faults: Faults,
    on_fault: Callable[[BaseException], object],
    pause: float = PAUSE,
) -> T:
    """The answer of `work`, which is called again after each of `faults`.

    `on_fault` is told each fault before the pause, to log it. Other errors are the caller's.
    """
    while True:
        end_if_cancelled()
        try:
            return await work()
        except faults as fault:
            end_if_cancelled()
            on_fault(fault)
        await asyncio.sleep(pause)


async def repeat(
    work: Callable[[], Awaitable[object]],
    *,
    faults: Faults,
    on_fault: Callable[[BaseException], object],
    pause: float = PAUSE,
) -> NoReturn:
    """Call `work` for ever, through `faults`, until the task is cancelled or another error is raised."""
    while True:
        await until_done(work, faults=faults, on_fault=on_fault, pause=pause)
        end_if_cancelled()
