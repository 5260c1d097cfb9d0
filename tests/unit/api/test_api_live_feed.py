"""The live feed's fan-out: whose events, how many, and when it ends."""

from __future__ import annotations

import asyncio
import contextlib
from uuid import UUID

import pytest

from api.live.feed import MAX_OF_KEY, Ended, LiveEvent, LiveFeed
from api.problems import TooManyRequests
from common.ids import new_id

ACME, GLOBEX = new_id(), new_id()


def event(tenant: UUID = ACME, number: int = 0) -> LiveEvent:
    return LiveEvent(tenant, "run.started", {"number": number})


async def test_readers_get_their_own_tenants_events_in_order() -> None:
    feed = LiveFeed(queue_size=10)
    with feed.subscribe(ACME) as first, feed.subscribe(ACME) as second, feed.subscribe(GLOBEX) as other:
        feed.publish([event(number=1), event(GLOBEX, number=2), event(number=3)])

        for reader in (first, second):
            assert [(await reader.next()).data["number"] for _ in range(2)] == [1, 3]
        assert (await other.next()).data["number"] == 2


async def test_what_has_come_is_read_together_and_the_end_after_it() -> None:
    feed = LiveFeed(queue_size=10)
    with feed.subscribe(ACME) as reader:
        feed.publish([event(number=1), event(number=2)])
        feed.close()
        assert [each.data["number"] for each in await reader.next_events()] == [1, 2]
        with pytest.raises(Ended):
            await reader.next_events()


def test_an_event_is_encoded_once_for_all_readers() -> None:
    shown = event(number=7)
    assert shown.encoded is shown.encoded
    assert shown.encoded.endswith(b"\n\n")
    lines = shown.encoded.decode().splitlines()
    assert lines[:3] == ["event: run.started", 'data: {"number": 7}', f"id: {shown.id}"]


def test_a_credential_with_all_its_feeds_is_refused_before_its_key_is_looked_up() -> None:
    feed = LiveFeed(queue_size=3)
    with contextlib.ExitStack() as watching:
        for _ in range(MAX_OF_KEY):
            feed.require_room_for("credential")
            watching.enter_context(feed.subscribe(ACME, new_id(), "credential"))
        with pytest.raises(TooManyRequests):
            feed.require_room_for("credential")
        feed.require_room_for("another")
    feed.require_room_for("credential")


async def test_slow_reader_is_dropped_and_the_others_go_on() -> None:
    feed = LiveFeed(queue_size=3)
    with feed.subscribe(ACME) as slow, feed.subscribe(ACME) as quick:
        for number in range(10):
            feed.publish([event(number=number)])
            assert (await quick.next()).data["number"] == number

        assert [(await slow.next()).data["number"] for _ in range(3)] == [0, 1, 2]
        with pytest.raises(Ended):
            await slow.next()


async def test_waiting_reader_ends_when_the_service_stops() -> None:
    feed = LiveFeed(queue_size=3)
    with feed.subscribe(ACME) as reader:
        waiting = asyncio.ensure_future(reader.next())
        await asyncio.sleep(0)

        feed.close()

        with pytest.raises(Ended):
            await waiting
    with feed.subscribe(ACME) as late, pytest.raises(Ended):
        await late.next()


async def test_only_watched_tenants_are_watched() -> None:
    feed = LiveFeed(queue_size=3)
    with feed.subscribe(ACME):
        with feed.subscribe(ACME):
            pass
        assert feed.watched() == {ACME}
    assert feed.watched() == frozenset()
    feed.publish([event()])
