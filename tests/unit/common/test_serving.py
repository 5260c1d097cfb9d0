"""Readiness names what is wrong, and background work that ends by itself ends its process."""

from __future__ import annotations

import asyncio
import signal

import pytest

from common.errors import ConfigurationError
from common.process import checks, serving
from common.process.checks import readiness
from common.process.serving import background, instance_name


async def well() -> None:
    return None


async def unwell() -> str:
    return "no poll for 31 s"


async def away() -> None:
    raise ConnectionRefusedError


async def refused() -> None:
    raise ConfigurationError("secret detail")


async def silent() -> None:
    await asyncio.Event().wait()


async def test_a_service_is_ready_when_every_check_is_well() -> None:
    assert await readiness({"database": well, "kafka": well}) == (
        200,
        {"status": "ready", "checks": {"database": "ok", "kafka": "ok"}},
    )


async def test_each_check_says_what_is_wrong_in_a_few_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "CHECK_TIMEOUT", 0.05)
    status, body = await readiness(
        {"database": away, "kafka": unwell, "keys": refused, "sandbox": silent, "clock": well}
    )
    assert status == 503
    assert body == {
        "status": "not ready",
        "checks": {
            "database": "ConnectionRefusedError",
            "kafka": "no poll for 31 s",
            "keys": "ConfigurationError",
            "sandbox": "no answer within 0.05 s",
            "clock": "ok",
        },
    }


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> list[signal.Signals]:
    """The signals this process sends itself, which it does not get."""
    sent: list[signal.Signals] = []
    monkeypatch.setattr(signal, "raise_signal", sent.append)
    monkeypatch.setattr(serving, "_failed", False)
    return sent


async def test_background_work_ends_with_its_block(signals: list[signal.Signals]) -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.set()

    async with background(work(), name="work"):
        await asyncio.sleep(0)
    assert ended.is_set(), "the block waits for its end"
    assert signals == []


@pytest.mark.parametrize("error", [None, ZeroDivisionError()], ids=["returns", "raises"])
async def test_work_that_ends_by_itself_ends_the_process(
    signals: list[signal.Signals], error: Exception | None
) -> None:
    async def work() -> None:
        if error:
            raise error

    async with background(work(), name="work") as task:
        await asyncio.wait([task])
        await asyncio.sleep(0)
    assert signals == [signal.SIGTERM]
    assert serving._failed


def test_no_two_processes_have_one_name() -> None:
    assert len({instance_name("executor") for _ in range(100)}) == 100
    assert instance_name("executor").startswith("executor-")
