"""Ending streams at SIGTERM. uvicorn waits for open answers before it runs the application's shutdown, and a
live stream would keep it waiting until its deadline."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def on_termination(action: Callable[[], None]) -> Iterator[None]:
    """Run `action` on the event loop when the process is told to stop, besides what happens anyway."""
    if threading.current_thread() is not threading.main_thread():
        yield  # handlers can be set in the main thread only; there the embedding program stops us
        return
    loop = asyncio.get_running_loop()
    previous = {number: signal.getsignal(number) for number in _SIGNALS}

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(action)
        before = previous[signal.Signals(number)]
        if callable(before):
            before(number, frame)

    for number in _SIGNALS:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
