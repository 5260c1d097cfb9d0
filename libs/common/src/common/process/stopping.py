"""Stopping step by step, each step with a limit of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import structlog

log = structlog.get_logger()

STEP_LIMIT = 3.0
"""Seconds one step of stopping gets: to say goodbye to a server that may be silent."""


async def stop(what: str, step: Awaitable[object], *, within: float = STEP_LIMIT) -> bool:
    """Wait for one step, for at most `within` seconds; False when it failed or was abandoned.

    The steps that follow must not depend on it: a server that does not answer keeps nothing from ending.
    """
    try:
        async with asyncio.timeout(within):
            await step
    except TimeoutError:
        log.warning("stopping goes on without", what=what, seconds=within)
        return False
    except Exception as error:
        log.warning("not stopped in order", what=what, error=type(error).__name__)
        return False
    return True
