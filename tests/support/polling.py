"""Waiting for what another process will do: until it has happened or a deadline has passed."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast, overload

T = TypeVar("T")


@overload
async def eventually(
    probe: Callable[[], Awaitable[T]], *, within: float = ..., every: float = ..., what: str = ...
) -> T: ...


@overload
async def eventually(
    probe: Callable[[], T], *, within: float = ..., every: float = ..., what: str = ...
) -> T: ...


async def eventually(
    probe: Callable[[], T | Awaitable[T]], *, within: float = 10.0, every: float = 0.02, what: str = ""
) -> T:
    """The first truthy value of `probe`; AssertionError with its last value or error after `within` seconds.

    An AssertionError raised by the probe means "not yet", so that a probe can simply assert.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while True:
        last: object
        try:
            value = probe()
            if inspect.isawaitable(value):
                value = await value
            if value:
                return cast("T", value)
            last = value
        except AssertionError as error:
            last = error
        if loop.time() >= deadline:
            raise AssertionError(f"not within {within:g} s: {what or probe}; last: {last!r}")
        await asyncio.sleep(every)


async def never(probe: Callable[[], object], *, during: float, every: float = 0.05) -> None:
    """Assert that `probe` stays falsy for `during` seconds; only for what has no event to wait for."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + during
    while loop.time() < deadline:
        value = probe()
        if inspect.isawaitable(value):
            value = await value
        assert not value, f"happened: {value!r}"
        await asyncio.sleep(every)
