"""Deliveries: claimed once, sent, recorded with the consequence of the response, never lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest
import structlog

from common.database.pool import ConnectionPool
from common.errors import ChannelError, Consequence
from common.events import NotificationDelivered, NotificationFailed
from common.retry import TELEGRAM_SCHEDULE
from common.secrets.crypto import KeyRing, new_encryption_key
from notifier.channels.base import Interrupted, OutcomeUnknown, Parcel, Receipt
from notifier.channels.telegram import TelegramChannel
from notifier.deliveries.claims import ClaimedDelivery, Claims
from notifier.pacing import Limit
from tests.factories import BOT_TOKEN, MESSAGE, Team, World
from tests.support.channels import notifier_settings
from tests.support.fake_receiver import client_of
from tests.support.leaders import rescued
from tests.support.notifier_harness import Notifier, notifying
from tests.support.outbox import Announcements
from tests.support.polling import eventually
from tests.support.sample_deliveries import chart, message, table
from tests.support.waiting import waiting

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ITS_OWN = " WHERE id = (SELECT destination_id FROM delivery WHERE id = $1)"
ENDED = ("delivered", "failed", "retrying", "dropped")


@pytest.fixture
async def destination_id(world: World, team: Team) -> UUID:
    return await world.telegram(team)


async def take(notifier: Notifier, *deliveries: UUID) -> None:
    await notifier.delivering.take(waiting(*deliveries))


async def due(claims: Claims) -> Sequence[ClaimedDelivery]:
    """Claim what has become due."""
    found = await claims.waiting(waited_seconds=60, without=[], limit=5)
    return await claims.claim({each.id: None for each in found})


async def ended(world: World, *deliveries: UUID) -> list[asyncpg.Record]:
    """The rows of these deliveries once none is claimed."""

    async def all_ended() -> list[asyncpg.Record]:
        rows = await world.sql.fetch(
            "SELECT * FROM delivery WHERE id = ANY($1::uuid[]) AND status = ANY($2::text[])",
            deliveries,
            ENDED,
        )
        return rows if len(rows) == len(deliveries) else []

    rows = await eventually(all_ended)
    return sorted(rows, key=lambda row: deliveries.index(row["id"]))


async def attempts(world: World) -> list[asyncpg.Record]:
    return await world.sql.fetch("SELECT * FROM delivery_attempt ORDER BY delivery_id, number")


def refusing(consequence: Consequence, **more: Any) -> Callable[[Parcel], Awaitable[Receipt]]:
    async def send(_parcel: Parcel) -> Receipt:
        raise ChannelError("Telegram answered", consequence, code="4xx", http_status=400, **more)

    return send


def raising(error: Exception) -> Callable[[Parcel], Awaitable[Receipt]]:
    async def send(_parcel: Parcel) -> Receipt:
        raise error

    return send


class Gate:
    """Lets a test see that sending has begun, and decide when the receiver answers."""

    def __init__(self) -> None:
        self.begun = 0
        self._open = asyncio.Event()

    async def send(self, _parcel: Parcel) -> Receipt:
        self.begun += 1
        await self._open.wait()
        return Receipt(200, {})

    def open(self) -> None:
        self._open.set()


async def test_a_delivery_is_sent_and_its_acceptance_recorded(
    world: World,
    team: Team,
    destination_id: UUID,
    pool: ConnectionPool,
    ring: KeyRing,
    announced: Announcements,
) -> None:
    delivery_id = await world.delivery(team, destination_id, traceparent=TRACEPARENT)
    async with notifying(pool, ring) as notifier:
        await take(notifier, delivery_id)
        [delivery] = await ended(world, delivery_id)
        await notifier.delivering.drain(5)
    [parcel] = notifier.channel.parcels
    assert (parcel.id, parcel.message.text, parcel.target.secret) == (delivery_id, MESSAGE["text"], BOT_TOKEN)
    assert (delivery["status"], delivery["attempt"], delivery["worker"]) == ("delivered", 1, None)
    [attempt] = await attempts(world)
    assert (attempt["outcome"], attempt["status_code"]) == ("delivered", 200)
    [event] = await announced.all()
    assert isinstance(event, NotificationDelivered)
    assert (event.delivery_id, event.delivered_at) == (delivery_id, delivery["delivered_at"])
    assert notifier.delivering.used == 0
    assert BOT_TOKEN not in repr(parcel), "a parcel may be logged"


@pytest.mark.parametrize("status", ["sending", "retrying", "delivered", "failed"])
async def test_an_event_claims_nothing_that_does_not_wait(
    world: World, team: Team, pool: ConnectionPool, ring: KeyRing, destination_id: UUID, status: str
) -> None:
    soon = datetime.now(UTC) + timedelta(minutes=1)
    delivery_id = await world.delivery(team, destination_id, status=status, next_attempt_at=soon)
    claims = Claims(pool, ring, worker="notifier-1", lease_seconds=60)
    assert await claims.claim({delivery_id: None}) == []


async def test_a_transient_refusal_is_retried_by_the_channels_schedule(
    world: World,
    team: Team,
    destination_id: UUID,
    pool: ConnectionPool,
    ring: KeyRing,
    announced: Announcements,
) -> None:
    delivery_id = await world.delivery(team, destination_id, attempt=1)
    async with notifying(pool, ring, refusing(Consequence.TRANSIENT)) as notifier:
        await take(notifier, delivery_id)
        [delivery] = await ended(world, delivery_id)
    assert (delivery["status"], delivery["attempt"], delivery["uncounted"]) == ("retrying", 2, 0)
    [attempt] = await attempts(world)
    assert (attempt["outcome"], attempt["status_code"]) == ("retry", 400)
    wait = delivery["next_attempt_at"] - attempt["ended_at"]
    second = TELEGRAM_SCHEDULE.delays[1]
    assert second - timedelta(seconds=1) < wait <= second * 1.1
    [event] = await announced.all()
    assert isinstance(event, NotificationFailed)
    assert event.retry_at == delivery["next_attempt_at"]


async def test_a_permanent_refusal_fails_the_delivery(
    world: World,
    team: Team,
    destination_id: UUID,
    pool: ConnectionPool,
    ring: KeyRing,
    announced: Announcements,
) -> None:
    delivery_id = await world.delivery(team, destination_id)
    async with notifying(pool, ring, refusing(Consequence.INVALID)) as notifier:
        await take(notifier, delivery_id)
        [delivery] = await ended(world, delivery_id)
    assert (delivery["status"], delivery["next_attempt_at"]) == ("failed", None)
    [event] = await announced.all()
    assert isinstance(event, NotificationFailed)
    assert event.retry_at is None
    assert (await world.row("destination", destination_id))["status"] == "active"


async def test_an_exhausted_retry_schedule_fails_the_delivery(
    world: World, team: Team, destination_id: UUID, pool: ConnectionPool, ring: KeyRing
) -> None:
    delivery_id = await world.delivery(team, destination_id, attempt=TELEGRAM_SCHEDULE.max_attempts - 1)
    async with notifying(pool, ring, refusing(Consequence.TRANSIENT)) as notifier:
        await take(notifier, delivery_id)
        [delivery] = await ended(world, delivery_id)
    assert delivery["status"] == "failed"


@pytest.mark.parametrize("consequence", [Consequence.GONE, Consequence.REAUTH])
async def test_a_gone_receiver_disables_its_destination_and_fails_later_deliveries(
    world: World,
    team: Team,
    destination_id: UUID,
    pool: ConnectionPool,
    ring: KeyRing,
    consequence: Consequence,
) -> None:
    first, second = [await world.delivery(team, destination_id) for _ in range(2)]
    async with notifying(pool, ring, refusing(consequence)) as notifier:
        await take(notifier, first)
        [delivery] = await ended(world, first)
        assert delivery["status"] == "failed"
        destination = await world.row("destination", destination_id)
        assert (destination["status"], destination["status_reason"]) == ("disabled", "Telegram answered")
        await take(notifier, second)
        [delivery] = await ended(world, second)
    assert delivery["status"] == "failed"
    assert "disabled: Telegram answered" in delivery["error_message"]
    assert len(notifier.channel.parcels) == 1, "no second request was sent"


async def test_a_migrated_chat_is_followed_to_its_new_id(
    world: World, team: Team, destination_id: UUID, pool: ConnectionPool, ring: KeyRing
) -> None:
    async def moved(_parcel: Parcel) -> Receipt:
        return Receipt(200, {"sent": [1], "parts": 1}, config={"chat_id": -100_4711})

    delivery_id = await world.delivery(team, destination_id)
    async with notifying(pool, ring, moved) as notifier:
        await take(notifier, delivery_id)
        [delivery] = await ended(world, delivery_id)
    assert delivery["progress"] == {"sent": [1], "parts": 1}
    assert (await world.row("destination", destination_id))["config"] == {"chat_id": -100_4711}


async def test_a_retry_after_does_not_use_up_the_schedule(
    world: World, team: Team, destination_id: UUID, pool: ConnectionPool, ring: KeyRing
) -> None:
    delivery_id = await world.delivery(
        team, destination_id, attempt=TELEGRAM_SCHEDULE.max_attempts - 1, uncounted=0
    )
    async with notifying(pool, ring, refusing(Consequence.RATE, retry_after=120)) as notifier:
        await take(notifier, delivery_id)
        [delivery] = await ended(world, delivery_id)
    assert (delivery["status"], delivery["uncounted"]) == ("retrying", 1)
    assert delivery["next_attempt_at"] > datetime.now(UTC) + timedelta(seconds=110)


async def test_a_delivery_over_the_rate_limit_is_postponed_without_sending(
    world: World, team: Team, destination_id: UUID, pool: ConnectionPool, ring: KeyRing
) -> None:
    deliveries = [await world.delivery(team, destination_id) for _ in range(3)]
    # Two at once, then one every 300 s: the third is not worth waiting for.
    limit = Limit("scripted:4711", 3, 300.0, burst=2)
    async with notifying(pool, ring, limits=[limit]) as notifier:
        await take(notifier, *deliveries)
        rows = await ended(world, *deliveries)
    assert sorted(row["status"] for row in rows) == ["delivered", "delivered", "retrying"]
    [put_off] = [row for row in rows if row["status"] == "retrying"]
    assert (put_off["uncounted"], len(notifier.channel.parcels)) == (1, 2)


async def test_a_missing_response_is_recorded_as_unknown(
    world: World, team: Team, destination_id: UUID, pool: ConnectionPool, ring: KeyRing
) -> None:
    lost = OutcomeUnknown("no answer within 15 s; it may have been delivered", Consequence.TRANSIENT)
    delivery_id = await world.delivery(team, destination_id)
    async with notifying(pool, ring, raising(lost)) as notifier:
        await take(notifier, delivery_id)
        [delivery] = await ended(world, delivery_id)
    [attempt] = await attempts(world)
    assert (delivery["status"], attempt["outcome"]) == ("retrying", "unknown")


async def test_parts_that_were_accepted_are_kept_for_the_next_attempt(
    world: World, team: Team, destination_id: UUID, pool: ConnectionPool, ring: KeyRing
) -> None:
    progress = {"sent": [11], "parts": 3}
    interrupted = Interrupted(ChannelError("down", Consequence.TRANSIENT), progress)
    delivery_id = await world.delivery(team, destination_id)
    async with notifying(pool, ring, raising(interrupted)) as notifier:
        await take(notifier, delivery_id)
        [delivery] = await ended(world, delivery_id)
        assert (delivery["status"], delivery["progress"]) == ("retrying", progress)
        await world.sql.execute("UPDATE delivery SET next_attempt_at = now() - interval '1 s'")
        [again] = await due(notifier.claims)
    assert again.parcel.progress == progress


async def test_a_crash_between_two_parts_does_not_repeat_the_first(
    world: World, team: Team, destination_id: UUID, pool: ConnectionPool, ring: KeyRing
) -> None:
    delivery_id = await world.delivery(team, destination_id)
    reached = asyncio.Event()

    async def one_part(parcel: Parcel) -> Receipt:
        await parcel.note({"sent": [11], "parts": 2})
        reached.set()
        await asyncio.Event().wait()
        raise AssertionError("waited for nothing and it came")

    async with notifying(pool, ring, one_part, lease_seconds=600) as notifier:
        await take(notifier, delivery_id)
        await reached.wait()
        # Now it is gone: nothing is recorded any more.
    await world.sql.execute("UPDATE delivery SET lease_expires_at = now() - interval '1 s'")
    successor = Claims(pool, ring, worker="notifier-2", lease_seconds=60)
    assert await rescued(pool) == 1
    [again] = await due(successor)
    assert again.parcel.progress == {"sent": [11], "parts": 2}
    assert again.id == delivery_id, "the same idempotency key"


async def test_a_crash_between_picture_and_text_repeats_neither(
    world: World, team: Team, destination_id: UUID, pool: ConnectionPool, ring: KeyRing
) -> None:
    calls: list[str] = []
    dying = asyncio.Event()

    async def answer(request: httpx.Request) -> httpx.Response:
        method = request.url.path.rpartition("/")[2]
        if method == "sendMessage" and not dying.is_set():
            dying.set()
            await asyncio.Event().wait()
        calls.append(method)
        return httpx.Response(200, json={"ok": True, "result": {"message_id": len(calls)}})

    telegram = TelegramChannel(client_of(answer), notifier_settings())

    async def send(parcel: Parcel) -> Receipt:
        return await telegram.send(parcel, now=datetime.now(UTC))

    report = message("word " * 300, None, chart=chart(), files=(table(),))
    delivery_id = await world.delivery(team, destination_id, message=report.model_dump(mode="json"))
    async with notifying(pool, ring, send) as first:
        await take(first, delivery_id)
        await asyncio.wait_for(dying.wait(), 10)
    assert calls == ["sendPhoto"]
    await world.sql.execute("UPDATE delivery SET lease_expires_at = now() - interval '1 s'")
    await rescued(pool)
    async with notifying(pool, ring, send, name="notifier-2", looking=True):
        await _delivered(world, delivery_id)
    assert calls == ["sendPhoto", "sendMessage", "sendDocument"]
    delivery = await world.row("delivery", delivery_id)
    assert delivery["progress"] == {"sent": [1, 2, 3], "parts": 3}


async def test_a_lost_notifiers_deliveries_are_retried_and_recorded_as_unknown(
    world: World,
    team: Team,
    destination_id: UUID,
    pool: ConnectionPool,
    ring: KeyRing,
    announced: Announcements,
) -> None:
    lost = await world.delivery(team, destination_id)
    silent = Claims(pool, ring, worker="notifier-1", lease_seconds=60)
    await silent.claim({lost: None})
    await world.sql.execute("UPDATE delivery SET lease_expires_at = now() - interval '1 s'")
    held = await world.delivery(team, destination_id)
    await silent.claim({held: None})
    assert await rescued(pool) == 1
    delivery = await world.row("delivery", lost)
    assert (delivery["status"], delivery["worker"]) == ("retrying", None)
    [attempt, unfinished] = sorted(await attempts(world), key=lambda row: row["delivery_id"] != lost)
    assert attempt["outcome"] == "unknown"
    assert "may have been delivered" in attempt["error_message"]
    assert unfinished["outcome"] is None, "the other one is alive"
    [event] = await announced.all()
    assert isinstance(event, NotificationFailed)
    assert (event.delivery_id, event.retry_at) == (lost, delivery["next_attempt_at"])


async def test_the_outcome_of_a_reclaimed_delivery_is_refused(
    world: World,
    team: Team,
    destination_id: UUID,
    pool: ConnectionPool,
    ring: KeyRing,
    announced: Announcements,
) -> None:
    delivery_id = await world.delivery(team, destination_id)
    gate = Gate()
    async with notifying(pool, ring, gate.send) as notifier:
        await take(notifier, delivery_id)
        await eventually(lambda: gate.begun)
        await world.sql.execute("UPDATE delivery SET lease_expires_at = now() - interval '1 s'")
        other = Claims(pool, ring, worker="notifier-2", lease_seconds=60)
        await rescued(pool)
        [again] = await due(other)
        assert (again.id, again.attempt) == (delivery_id, 2)
        await announced.clear()
        gate.open()
        await notifier.delivering.drain(5)
    delivery = await world.row("delivery", delivery_id)
    assert (delivery["status"], delivery["worker"]) == ("sending", "notifier-2")
    assert await announced.all() == []


async def test_stopping_hands_back_unsent_deliveries_and_records_sent_ones_as_unknown(
    world: World, team: Team, destination_id: UUID, pool: ConnectionPool, ring: KeyRing
) -> None:
    deliveries = [await world.delivery(team, destination_id) for _ in range(3)]
    gate = Gate()
    async with notifying(pool, ring, gate.send) as notifier:
        await take(notifier, *deliveries)
        await eventually(lambda: gate.begun)
        notifier.delivering.close()
        await notifier.delivering.drain(0.1)
        rows = await ended(world, *deliveries)
    assert len(notifier.channel.parcels) == 1, "those behind it were not begun"
    sent = notifier.channel.parcels[0].id
    for row in rows:
        assert row["status"] == "retrying"
        assert row["uncounted"] == (0 if row["id"] == sent else 1)
    outcomes = {row["delivery_id"]: row["outcome"] for row in await attempts(world)}
    assert outcomes == {row["id"]: "unknown" if row["id"] == sent else "retry" for row in rows}
    assert notifier.delivering.used == 0


async def test_stopping_hands_back_deliveries_that_wait_for_a_rate_limit(
    world: World, team: Team, destination_id: UUID, pool: ConnectionPool, ring: KeyRing
) -> None:
    deliveries = [await world.delivery(team, destination_id) for _ in range(2)]
    limit = Limit("scripted:4711", 2, 1.9, burst=1)
    async with notifying(pool, ring, limits=[limit]) as notifier:
        await take(notifier, *deliveries)
        await eventually(lambda: len(notifier.channel.parcels) == 1)
        await notifier.delivering.drain(0)
        rows = await ended(world, *deliveries)
    assert sorted(row["status"] for row in rows) == ["delivered", "retrying"]
    [waited] = [row for row in rows if row["status"] == "retrying"]
    assert waited["uncounted"] == 1
    assert "unsent" in waited["error_message"]


async def test_a_disabled_destination_fails_at_once(
    world: World, team: Team, destination_id: UUID, pool: ConnectionPool, ring: KeyRing
) -> None:
    await world.sql.execute(
        "UPDATE destination SET status = 'disabled', status_reason = 'the bot was blocked' WHERE id = $1",
        destination_id,
    )
    delivery_id = await world.delivery(team, destination_id)
    async with notifying(pool, ring) as notifier:
        await take(notifier, delivery_id)
        [delivery] = await ended(world, delivery_id)
    assert (delivery["status"], notifier.channel.parcels) == ("failed", [])
    assert "the bot was blocked" in delivery["error_message"]


async def test_an_unreadable_secret_fails_the_delivery_with_that_reason(
    world: World, team: Team, destination_id: UUID, pool: ConnectionPool
) -> None:
    delivery_id = await world.delivery(team, destination_id)
    stranger = KeyRing.parse(new_encryption_key("other"))
    async with notifying(pool, stranger) as notifier:
        await take(notifier, delivery_id)
        [delivery] = await ended(world, delivery_id)
    assert delivery["status"] == "failed"
    assert "secret cannot be opened" in delivery["error_message"]


async def test_an_unknown_channel_fails_the_delivery_with_that_reason(
    world: World, team: Team, pool: ConnectionPool, ring: KeyRing
) -> None:
    delivery_id = await world.delivery(team, await world.webhook(team, "https://example.org/hook"))
    async with notifying(pool, ring) as notifier:
        await take(notifier, delivery_id)
        [delivery] = await ended(world, delivery_id)
    assert delivery["status"] == "failed"
    assert "'webhook'" in delivery["error_message"]


@pytest.mark.parametrize(
    ("statement", "status"),
    [
        ("UPDATE delivery SET message = '{}' WHERE id = $1", "failed"),
        ("UPDATE delivery SET message = 'null' WHERE id = $1", "failed"),
        ("UPDATE destination SET config = '{}'" + ITS_OWN, "retrying"),
        ("UPDATE destination SET config = '7'" + ITS_OWN, "retrying"),
        ("UPDATE destination SET quiet_hours = '{}'" + ITS_OWN, "delivered"),
        ("UPDATE destination SET quiet_hours = '[7]'" + ITS_OWN, "delivered"),
    ],
    ids=["message", "null message", "config", "number config", "quiet hours", "list of quiet hours"],
)
async def test_one_unreadable_row_fails_alone(
    world: World,
    team: Team,
    destination_id: UUID,
    pool: ConnectionPool,
    ring: KeyRing,
    statement: str,
    status: str,
) -> None:
    broken = await world.delivery(team, await world.telegram(team, chat_id=666))
    sound = [await world.delivery(team, destination_id) for _ in range(2)]
    await world.sql.execute(statement, broken)
    async with notifying(pool, ring) as notifier:
        await take(notifier, broken, *sound)
        [bad, *good] = await ended(world, broken, *sound)
        await notifier.delivering.drain(5)
    assert bad["status"] == status
    assert [row["status"] for row in good] == ["delivered"] * 2
    assert notifier.delivering.used == 0


@pytest.mark.parametrize("text", ["nul \x00", "lone \ud83d"], ids=["nul", "surrogate"])
async def test_an_unstorable_response_does_not_lose_the_outcome(
    world: World, team: Team, destination_id: UUID, pool: ConnectionPool, ring: KeyRing, text: str
) -> None:
    delivery_id, later = [await world.delivery(team, destination_id) for _ in range(2)]
    refusal = ChannelError(text, Consequence.TRANSIENT)
    async with notifying(pool, ring, raising(refusal)) as notifier:
        await take(notifier, delivery_id)
        [delivery] = await ended(world, delivery_id)
        assert delivery["status"] == "retrying"
        assert "cannot be stored" in delivery["error_message"]
        await take(notifier, later)
        await ended(world, later)


async def test_an_unexpected_error_shows_its_type_and_hides_its_text(
    world: World,
    team: Team,
    destination_id: UUID,
    pool: ConnectionPool,
    ring: KeyRing,
    announced: Announcements,
) -> None:
    async def leaks(parcel: Parcel) -> Receipt:
        raise KeyError(f"no 'result' in the answer to {parcel.target.secret}")

    delivery_id = await world.delivery(team, destination_id)
    with structlog.testing.capture_logs() as logs:
        async with notifying(pool, ring, leaks) as notifier:
            await take(notifier, delivery_id)
            [delivery] = await ended(world, delivery_id)
    assert (delivery["status"], delivery["error_message"]) == ("retrying", "KeyError in the channel")
    shown = [str(dict(delivery)), str(logs), str(await announced.records())]
    shown += [str(row) for row in await attempts(world)]
    assert not [text for text in shown if BOT_TOKEN in text]
    assert any("KeyError" in str(entry.get("exception", "")) for entry in logs), "an operator can find it"


async def test_deleting_a_destination_deletes_its_deliveries(
    world: World, team: Team, destination_id: UUID, pool: ConnectionPool, ring: KeyRing
) -> None:
    other = await world.telegram(team, chat_id=4712)
    gone, kept = await world.delivery(team, destination_id), await world.delivery(team, other)
    gate = Gate()
    async with notifying(pool, ring, gate.send) as notifier:
        await take(notifier, gone, kept)
        await eventually(lambda: gate.begun == 2)
        await world.sql.execute("DELETE FROM destination WHERE id = $1", destination_id)
        gate.open()
        [delivery] = await ended(world, kept)
    assert delivery["status"] == "delivered"


async def test_the_sweep_finds_retries_and_lost_events_without_a_broker(
    world: World, team: Team, destination_id: UUID, pool: ConnectionPool, ring: KeyRing
) -> None:
    past = datetime.now(UTC) - timedelta(minutes=1)
    due = await world.delivery(team, destination_id, status="retrying", attempt=1, next_attempt_at=past)
    lost = await world.delivery(team, destination_id, next_attempt_at=past)
    fresh = await world.delivery(team, destination_id)
    async with notifying(pool, ring, looking=True) as notifier:
        rows = await ended(world, due, lost)
        assert [row["status"] for row in rows] == ["delivered"] * 2
        assert (await world.row("delivery", fresh))["status"] == "queued", "its event is still to come"
        # What becomes due while it looks is sent then.
        soon = await world.delivery(
            team,
            destination_id,
            status="retrying",
            attempt=1,
            next_attempt_at=datetime.now(UTC) + timedelta(seconds=0.3),
        )
        await _delivered(world, soon)
    assert notifier.delivering.used == 0


async def _delivered(world: World, delivery_id: UUID) -> list[asyncpg.Record]:
    async def found() -> list[asyncpg.Record]:
        return await world.sql.fetch(
            "SELECT * FROM delivery WHERE id = $1 AND status = 'delivered'", delivery_id
        )

    return await eventually(found)


async def test_the_sweep_continues_after_a_database_error(
    world: World, team: Team, destination_id: UUID, pool: ConnectionPool, ring: KeyRing
) -> None:
    past = datetime.now(UTC) - timedelta(minutes=1)
    async with notifying(pool, ring, looking=True):
        await world.sql.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'service-under-test' AND datname = current_database()"
        )
        delivery_id = await world.delivery(
            team, destination_id, status="retrying", attempt=1, next_attempt_at=past
        )
        await _delivered(world, delivery_id)
