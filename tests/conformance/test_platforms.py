"""What holds for every platform client: the same suite runs against each, with the platform's own errors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from common.errors import Consequence, PlatformError
from common.http import create_client
from tests.support.channels import PATIENCE, Sandbox, unique
from tests.support.fake_clock import Timeline
from tests.support.platforms import DRIVINGS
from tests.support.platforms.base import (
    Caller,
    Limited,
    PlatformDriver,
    RenewingCredential,
    Site,
    caller,
)
from tests.support.spans import recorded_spans
from tests.support.stack import Service

T, RATE, INVALID, REAUTH = Consequence.TRANSIENT, Consequence.RATE, Consequence.INVALID, Consequence.REAUTH


def _driving(*those: type[PlatformDriver]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("driver", those, ids=lambda each: each.name)


EVERY = _driving(*DRIVINGS)
RENEWED = _driving(*(each for each in DRIVINGS if each.renewing is not None))
COUNTED_BY_THE_SECOND = _driving(*(each for each in DRIVINGS if each.moment is not None))


@pytest.fixture(scope="module")
def fleeting(start_sandbox: Callable[..., Service]) -> Service:
    """A sandbox whose clock a test may move."""
    return start_sandbox("fleeting")


@pytest.fixture
async def elsewhere(fleeting: Service) -> AsyncIterator[Site]:
    async with create_client(
        timeout=httpx.Timeout(PATIENCE), allowed_hosts={"127.0.0.1"}, receiver_hosts={"127.0.0.1"}
    ) as http:
        yield Site(http, fleeting.url)


async def _refused(client: PlatformDriver) -> PlatformError:
    with pytest.raises(PlatformError) as refused:
        await client.ask()
    return refused.value


async def _calls(sandbox: Sandbox, driver: type[PlatformDriver]) -> int:
    return len(await sandbox.received(driver.name))


class TestPaging:
    @EVERY
    async def test_every_row_comes_once(
        self, driver: type[PlatformDriver], site: Site, sandbox: Sandbox
    ) -> None:
        client = driver(site, caller(driver))
        before = await _calls(sandbox, driver)
        rows = await client.listed()
        assert await _calls(sandbox, driver) > before + 1, "more than one page"
        assert len(rows) == len(set(rows)) == await client.counted() > 1


class TestTokens:
    @RENEWED
    async def test_an_expired_one_is_renewed_once(
        self, driver: type[PlatformDriver], elsewhere: Site
    ) -> None:
        credential = _renewing(driver, elsewhere)
        client = driver(elsewhere, caller(driver, await credential.current(), credential=credential))
        assert await client.ask()
        before = credential.renewals
        await _advance(elsewhere, credential.lifetime + 60)
        assert await client.ask()
        assert credential.renewals == before + 1
        assert await client.ask()
        assert credential.renewals == before + 1, "the new one is kept"

    @RENEWED
    async def test_a_renewed_one_that_is_refused_too_needs_a_person(
        self, driver: type[PlatformDriver], elsewhere: Site
    ) -> None:
        credential = _renewing(driver, elsewhere)
        who = caller(driver, await credential.current(), credential=credential)
        sandbox = Sandbox(elsewhere.url, elsewhere.http)
        await sandbox.fault(kind="expired_token", times=2, match={"platform": driver.name, "method": "GET"})
        assert (await _refused(driver(elsewhere, who))).consequence is REAUTH
        assert credential.renewals == 2

    @EVERY
    @pytest.mark.parametrize("written", ["tökén-{}", "two\r\nlines-{}"])
    async def test_one_that_cannot_be_written_into_a_request_is_not_shown(
        self, driver: type[PlatformDriver], site: Site, written: str
    ) -> None:
        token = written.format(unique())
        refused = await _refused(driver(site, caller(driver, token)))
        assert refused.consequence is INVALID
        assert token not in str(refused)
        assert refused.__cause__ is None or token not in repr(refused.__cause__)


def _renewing(driver: type[PlatformDriver], site: Site) -> RenewingCredential:
    assert driver.renewing is not None
    return driver.renewing(site)


async def _advance(site: Site, seconds: float) -> None:
    answer = await site.http.post(f"{site.url}/_sandbox/clock", json={"advance_seconds": seconds})
    answer.raise_for_status()


class TestTrouble:
    @EVERY
    async def test_a_slow_answer_is_waited_for(
        self, driver: type[PlatformDriver], site: Site, sandbox: Sandbox
    ) -> None:
        who = caller(driver)
        await sandbox.fault(kind="slow", seconds=PATIENCE / 4, match={"token": who.token})
        assert await driver(site, who).ask()

    @EVERY
    async def test_a_cancelled_call_is_over_at_once_and_takes_nobodys_place(
        self, driver: type[PlatformDriver], site: Site, sandbox: Sandbox
    ) -> None:
        who = caller(driver)
        client = driver(site, who)
        await sandbox.fault(kind="slow", seconds=PATIENCE / 2, times=6, match={"token": who.token})
        calls = [asyncio.create_task(client.ask()) for _ in range(6)]
        async with asyncio.timeout(PATIENCE / 4):
            await asyncio.sleep(0.05)
            for call in calls:
                call.cancel()
            ended = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(each, asyncio.CancelledError) for each in ended)
        assert await client.ask()


class TestLimits:
    @pytest.mark.parametrize(
        ("driver", "limit"),
        [
            pytest.param(driver, limit, id=f"{driver.name}-{limit.name}")
            for driver in DRIVINGS
            for limit in driver.limits
        ],
    )
    async def test_one_is_kept_to_as_long_as_it_lasts(
        self, driver: type[PlatformDriver], limit: Limited, site: Site, sandbox: Sandbox
    ) -> None:
        time, scope = Timeline(), f"scope-{unique()}"
        who = caller(driver, limiter=time.limiter(), scope=scope)
        await sandbox.fault(**limit.fault, match={"token": who.token})
        refused = await _refused(driver(site, who))
        assert (refused.consequence, refused.code) == (RATE, limit.code)
        assert refused.retry_after == limit.wait
        again = await _refused(driver(site, _of_another_run(who)))
        assert again.code is None, "refused by ourselves, without a call"
        assert again.retry_after == limit.wait
        stranger = caller(driver, limiter=who.limiter)
        assert await driver(site, stranger).ask(), "others go on"
        time.now += limit.wait
        assert await driver(site, who).ask()

    @COUNTED_BY_THE_SECOND
    async def test_a_limit_per_second_is_waited_out_in_the_call(
        self, driver: type[PlatformDriver], site: Site, sandbox: Sandbox
    ) -> None:
        assert driver.moment is not None
        time = Timeline()
        who = caller(driver, limiter=time.limiter())
        await sandbox.fault(**driver.moment, match={"token": who.token})
        assert await driver(site, who).ask()
        (nap,) = time.naps
        assert 0 < nap <= 3


def _of_another_run(who: Caller) -> Caller:
    return Caller(who.token, who.credential, who.limiter, who.connection_id, who.scope)


class TestSecrets:
    @EVERY
    async def test_no_token_is_in_spans_logs_or_errors(
        self,
        driver: type[PlatformDriver],
        site: Site,
        sandbox: Sandbox,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        who = caller(driver)
        client = driver(site, who)
        with recorded_spans(monkeypatch) as spans, caplog.at_level(logging.INFO):
            await client.ask()
            await client.listed()
            for fault in (
                {"kind": "code", "code": driver.mistake, "message": f"about {who.token}"},
                {"kind": "html", "status": 200, "body": f"<html>{who.token}</html>"},
                {"kind": "truncated"},
            ):
                await sandbox.fault(**fault, match={"token": who.token})
                refused = await _refused(client)
                assert who.token not in f"{refused!r} {refused} {refused.__cause__!r}"
        assert spans.ended()
        assert who.token not in spans.text()
        assert who.token not in caplog.text
