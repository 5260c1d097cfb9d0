"""What is Zoom's alone: its days, its page tokens, its names of meetings, and its two wordings of errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from common.errors import Consequence, PlatformError
from common.http import create_client
from platforms.calls.credentials import FixedCredential
from platforms.calls.usage import UsageLimiter
from platforms.zoom.api import Target, ZoomApi
from platforms.zoom.client import ZoomClient
from platforms.zoom.recordings import read_meeting
from platforms.zoom.usage import Category
from tests.support.channels import unique
from tests.support.fake_clock import Timeline
from tests.support.stack import Service
from tests.support.zoom_sandbox import SandboxZoom

ME = Target("users/me", "users/{userId}", Category.LIGHT)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with create_client(
        timeout=httpx.Timeout(10.0), allowed_hosts={"127.0.0.1"}, receiver_hosts={"127.0.0.1"}
    ) as client:
        yield client


@pytest.fixture
async def zoom(zoom_server: Service, http: httpx.AsyncClient) -> SandboxZoom:
    sandbox = SandboxZoom(zoom_server, http)
    await sandbox.reset()
    return sandbox


class Caller:
    """Calls with a token of this test's own."""

    def __init__(self, zoom: SandboxZoom, http: httpx.AsyncClient) -> None:
        self._zoom, self._http = zoom, http
        self.token = f"sandbox-zoom-account-{unique()}"

    def api(self, token: str = "", *, limiter: UsageLimiter | None = None) -> ZoomApi:
        """The transport."""
        return ZoomApi(
            self._http,
            self._zoom.base_url,
            FixedCredential(token or self.token, platform="zoom"),
            limiter=limiter or UsageLimiter(),
            account=f"account-{unique()}",
        )

    def client(self, token: str = "", *, limiter: UsageLimiter | None = None) -> ZoomClient:
        """The client."""
        return ZoomClient(self.api(token, limiter=limiter))


@pytest.fixture
def caller(zoom: SandboxZoom, http: httpx.AsyncClient) -> Caller:
    return Caller(zoom, http)


async def listed(client: ZoomClient, since: date, until: date, user: str = "me") -> list[dict[str, Any]]:
    return [dict(row) async for rows in client.recordings(user, since, until) for row in rows]


async def refusal(client: ZoomClient, user: str = "me") -> PlatformError:
    today = datetime.now(UTC).date()
    with pytest.raises(PlatformError) as refused:
        await listed(client, today, today, user)
    return refused.value


class TestDays:
    async def test_a_month_shorter_than_thirty_days_is_read_whole(
        self, zoom: SandboxZoom, caller: Caller
    ) -> None:
        """Thirty days up to the middle of March begin more than a month before: Zoom cuts the list short."""
        await zoom.clock(datetime(2027, 3, 15, 12, tzinfo=UTC))
        await zoom.record("first", start_time="2027-02-14T09:00:00Z")
        await zoom.record("last", start_time="2027-03-15T09:00:00Z")

        for clamp in (True, False):
            await zoom.habit(clamp=clamp)
            found = await listed(caller.client(), date(2027, 2, 14), date(2027, 3, 15))
            assert [row["topic"] for row in found] == ["last", "first"]

    async def test_many_months_come_whole_and_once(self, zoom: SandboxZoom, caller: Caller) -> None:
        await zoom.plan("me", 700, days=100)
        today = datetime.now(UTC).date()

        found = await listed(caller.client(), today - timedelta(days=101), today)

        assert len(found) == len({row["uuid"] for row in found}) == 700
        assert all(read_meeting(row).external_id == row["uuid"] for row in found)


async def test_a_page_token_that_expires_costs_a_page_and_nothing_else(
    zoom: SandboxZoom, caller: Caller
) -> None:
    await zoom.plan("me", 700, days=9)
    today = datetime.now(UTC).date()
    uuids: list[str] = []
    async for rows in caller.client().recordings("me", today - timedelta(days=10), today):
        if not uuids:
            await zoom.advance(901)
        uuids += [row["uuid"] for row in rows]

    assert len(uuids) == len(set(uuids)) == 700
    assert (await zoom.calls())["/zoom/v2/users/{id}/recordings"] == {"200": 4, "400": 1}


class TestNames:
    async def test_every_meeting_is_found_by_its_uuid(self, zoom: SandboxZoom, caller: Caller) -> None:
        await zoom.habit(strict_uuids=True)
        await zoom.plan("me", 32, days=5)
        today = datetime.now(UTC).date()
        client = caller.client()
        uuids = [row["uuid"] for row in await listed(client, today - timedelta(days=6), today)]
        assert any(uuid.startswith("/") for uuid in uuids)
        assert any("//" in uuid for uuid in uuids)

        found = await asyncio.gather(*(client.meeting_recordings(uuid) for uuid in uuids))

        assert [document["uuid"] for document in found] == uuids

    async def test_a_number_names_the_latest_and_a_token_for_its_files_comes_along(
        self, zoom: SandboxZoom, caller: Caller
    ) -> None:
        await zoom.record("older", meeting_id=4711, start_time="2026-01-01T09:00:00Z")
        newer = await zoom.record("newer", meeting_id=4711)

        document = await caller.client().meeting_recordings("4711", download_token_seconds=600)

        assert document["uuid"] == newer["uuid"]
        assert document["download_access_token"]
        assert "download_access_token" not in await caller.client().meeting_recordings("4711")


class TestPeople:
    async def test_an_account_lists_everybody(self, zoom: SandboxZoom, caller: Caller) -> None:
        ids = await zoom.people(650)

        found = [person.id async for page in caller.client().users() for person in page]

        assert found == ids
        assert (await zoom.calls())["/zoom/v2/users"] == {"200": 3}

    async def test_me(self, caller: Caller) -> None:
        me = await caller.client().me()

        assert (me.name, me.email) == ("Dana Demo", "dana.demo@brightpath.example")
        assert me.account_id


class TestLimits:
    @pytest.mark.parametrize("told", [True, False])
    async def test_calls_beyond_those_of_a_second_wait_for_the_next(
        self, zoom: SandboxZoom, caller: Caller, told: bool
    ) -> None:
        await zoom.habit(rate_headers=told, reset_header=told)
        await zoom.limit(zoom_light_per_second=2)
        client = caller.client()

        people = await asyncio.gather(*(client.me() for _ in range(6)))

        assert len(people) == 6
        assert (await zoom.calls())["/zoom/v2/users/{id}"]["429"] > 0

    @pytest.mark.parametrize("told", [True, False])
    async def test_a_day_that_is_used_up_ends_at_midnight_in_utc(
        self, zoom: SandboxZoom, caller: Caller, told: bool
    ) -> None:
        await zoom.habit(rate_headers=told)
        await zoom.limit(zoom_medium_per_day=1)
        time = Timeline()
        client = caller.client(limiter=time.limiter())
        today = datetime.now(UTC).date()
        midnight = datetime.combine(today + timedelta(days=1), datetime.min.time(), UTC)

        await listed(client, today, today)
        time.now += 3_600  # what the header of the first answer closed is open again
        error = await refusal(client)

        assert (error.consequence, error.code) == (Consequence.RATE, "429")
        left = (midnight - datetime.now(UTC)).total_seconds()
        assert error.retry_after == pytest.approx(left, abs=5)
        assert (await refusal(client)).code is None, "refused by ourselves, without a call"
        assert await client.me(), "another category has a limit of its own"
