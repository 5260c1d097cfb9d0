"""`carillon up`: run everything until told to stop, and show it."""

from __future__ import annotations

import asyncio
import signal
from datetime import UTC, datetime

import httpx

from carillon.client import Api, Sandbox
from carillon.plan import Options
from carillon.screen import Screen
from carillon.seed import plant
from carillon.stack import Stack, running

_POLL_SECONDS = 25.0


async def up(options: Options, screen: Screen) -> None:
    """Start, seed, follow what is delivered; return after the first signal, once everything has stopped.

    A second signal ends everything at once.
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    interruption = Interruption()
    try:
        async with running(options, screen.incident, screen.step) as stack:
            screen.step("planting the demo team's data")
            async with Api.connected(stack.plan.api_origin, stack.secrets.api_key) as api:
                await plant(
                    api,
                    sandbox_origin=stack.plan.sandbox_origin,
                    webhook_secret=stack.secrets.webhook_secret,
                    now=datetime.now(UTC),
                )
            logs = str(options.state.logs)
            screen.ready(stack.plan, stack.secrets.api_key, logs, loop.time() - started)
            await _follow(stack, screen)
    except asyncio.CancelledError:
        if not interruption.happened:
            raise
    finally:
        interruption.forget()


class Interruption:
    """SIGINT, SIGTERM and SIGHUP cancel the current task; a second one also cuts its orderly end short."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.happened = False
        self._task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        for number in self.SIGNALS:
            loop.add_signal_handler(number, self._interrupt)

    def forget(self) -> None:
        """Give the signals back."""
        loop = asyncio.get_running_loop()
        for number in self.SIGNALS:
            loop.remove_signal_handler(number)

    def _interrupt(self) -> None:
        self.happened = True
        if self._task is not None:
            self._task.cancel()


async def _follow(stack: Stack, screen: Screen) -> None:
    """Show what the sandbox receives, for ever, whether or not it is there right now."""
    async with Sandbox.connected(stack.plan.sandbox_origin) as sandbox:
        seen = 0
        while True:
            try:
                messages = await sandbox.received(after=seen, wait=_POLL_SECONDS)
            except httpx.HTTPError:
                seen = 0  # a sandbox that was started again counts from the beginning
                await asyncio.sleep(0.5)
                continue
            for message in messages:
                screen.delivered(message)
                seen = max(seen, message["seq"])
