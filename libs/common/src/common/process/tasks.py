"""Tasks that belong together, and their end."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Mapping
from typing import Any

import structlog

log = structlog.get_logger()

ASK_AGAIN = 0.5
"""Seconds after which a task that has not ended is cancelled once more."""


class TaskStuck(RuntimeError):
    """A task went on although it was cancelled: only the end of the process ends it."""


async def end(tasks: Collection[asyncio.Task[Any]], *, within: float) -> None:
    """Cancel `tasks` and wait for their end; raises TaskStuck for what goes on after `within` seconds.

    A task is cancelled more than once, because one CancelledError may get lost in a library. What the tasks
    raised stays in them.
    """
    deadline = asyncio.get_running_loop().time() + within
    going_on = {task for task in tasks if not task.done()}
    while going_on:
        for task in going_on:
            task.cancel()
        _, going_on = await asyncio.wait(going_on, timeout=ASK_AGAIN)
        if going_on and asyncio.get_running_loop().time() >= deadline:
            names = sorted(task.get_name() for task in going_on)
            log.critical("tasks do not end", tasks=names, seconds=within)
            raise TaskStuck(f"still going on {within:g} s after they were cancelled: {', '.join(names)}")
    for task in tasks:
        if not task.cancelled():
            task.exception()  # looked at, so that it is not reported as one that was overlooked


async def run_together(works: Mapping[str, Coroutine[Any, Any, object]], *, end_within: float) -> None:
    """Run until the first of them ends or the caller is cancelled; then all of them end.

    Raises the error of the one that ended first. An end without an error ends the others as well.
    """
    tasks = [asyncio.create_task(work, name=name) for name, work in works.items()]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(tasks, within=end_within)
    for task in tasks:
        if task in ended:
            await task
