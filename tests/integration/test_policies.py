"""An automation's policy, applied by the leader and recorded when it takes effect."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from common.database.pool import ConnectionPool
from common.events import AutomationChanged, AutomationDue, NotificationRequested, RunCancelled, RunSkipped
from common.ids import new_id
from common.scheduling import get_next_run_time, parse_schedule
from scheduler.admission import Admission
from scheduler.dispatch import Dispatcher
from scheduler.lease import Lease, Term
from scheduler.repeated_failures import RepeatedFailures
from scheduler.zone_rules import ZoneRules
from tests.factories import Team, World
from tests.support.leaders import lead
from tests.support.outbox import Announcements


class Leader:
    """Every duty that policies need."""

    def __init__(self, pool: ConnectionPool, lease: Lease, term: Term, window: int) -> None:
        self._pool = pool
        self._lease = lease
        self._term = term
        self.dispatcher = Dispatcher(pool, lease, batch_size=500, tenant_window=window)
        self.admission = Admission(pool, lease, tenant_window=window)

    @classmethod
    async def on(cls, pool: ConnectionPool, window: int = 1_000) -> Leader:
        lease, term = await lead(pool)
        return cls(pool, lease, term, window)

    async def dispatch(self) -> None:
        """Until nothing is due."""
        while await self.dispatcher.resume_due(self._term) or await self.dispatcher.dispatch_batch(
            self._term
        ):
            pass

    async def admit(self) -> int:
        """Let waiting runs go once."""
        return await self.admission.admit_batch(self._term)

    async def stop_failing(self) -> int:
        """Stop automations that fail repeatedly."""
        failing = RepeatedFailures(self._pool, self._lease, public_url="https://carillon.example/")
        return await failing.stop_batch(self._term)

    async def apply_zone_rules(self, version: str) -> int:
        """Begin a term with this tz database."""
        return await ZoneRules(self._pool, self._lease, version=version).apply(self._term)


@pytest.fixture
async def leader(pool: ConnectionPool) -> Leader:
    return await Leader.on(pool)


def minutes_ago(minutes: float) -> datetime:
    return datetime.now(UTC) - timedelta(minutes=minutes)


async def automation(
    world: World, team: Team, policy: dict[str, Any], *, due: datetime, every: int = 10, count: int = 1
) -> UUID:
    """One automation whose grid lies on `due`, with this policy."""
    schedule = {"type": "interval", "interval_minutes": every, "anchor": due.isoformat()}
    ids = await world.automations(team, None, count, schedule=schedule, next_run=due)
    await world.sql.execute("UPDATE automation SET policy = $2 WHERE id = ANY($1::uuid[])", ids, policy)
    return ids[0]


async def statuses(world: World, automation_id: UUID) -> list[str]:
    """Its runs' states, by slot."""
    rows = await world.sql.fetch(
        "SELECT status FROM automation_run WHERE automation_id = $1 ORDER BY scheduled_for", automation_id
    )
    return [row["status"] for row in rows]


async def come_due(world: World, automation_id: UUID, slot: datetime) -> None:
    """As if the schedule's next slot were this one."""
    await world.sql.execute(
        "UPDATE automation SET next_run = $2, next_slot = $2 WHERE id = $1", automation_id, slot
    )


async def finish(world: World, automation_id: UUID, status: str = "completed") -> None:
    """The executors are done with what they had."""
    await world.sql.execute(
        "UPDATE automation_run SET status = $2 WHERE automation_id = $1 AND status IN ('queued', 'running')",
        automation_id,
        status,
    )


async def skips(world: World, automation_id: UUID) -> list[tuple[str, int, str | None]]:
    """Reasons on record, by slot."""
    rows = await world.sql.fetch(
        "SELECT reason, slots, detail FROM slot_skip WHERE automation_id = $1 ORDER BY first_slot",
        automation_id,
    )
    return [(row["reason"], row["slots"], row["detail"]) for row in rows]


class TestCatchUp:
    async def test_catch_up_all_runs_every_missed_slot_in_order(
        self, world: World, team: Team, leader: Leader
    ) -> None:
        one = await automation(world, team, {"catch_up": "all"}, due=minutes_ago(45))
        await leader.dispatch()
        assert await statuses(world, one) == ["queued", "waiting", "waiting", "waiting", "waiting"]
        assert await leader.admit() == 0, "the first still goes on"
        for left in (3, 2, 1, 0):
            await finish(world, one)
            assert await leader.admit() == 1
            assert (await statuses(world, one)).count("waiting") == left

    async def test_catch_up_none_records_missed_slots(self, world: World, team: Team, leader: Leader) -> None:
        one = await automation(world, team, {"catch_up": "none"}, due=minutes_ago(45))
        await leader.dispatch()
        assert await statuses(world, one) == []
        assert [(reason, slots) for reason, slots, _ in await skips(world, one)] == [("catch_up_none", 5)]

    async def test_a_slot_past_its_expiry_is_skipped(self, world: World, team: Team, leader: Leader) -> None:
        one = await automation(world, team, {"expires_after": 1800}, due=minutes_ago(75), every=60)
        await leader.dispatch()
        # 75 minutes ago is too late, 15 minutes ago is not.
        assert [(reason, slots) for reason, slots, _ in await skips(world, one)] == [("expired", 1)]
        assert await statuses(world, one) == ["queued"]

    async def test_the_reason_includes_the_time_without_a_leader(
        self, world: World, team: Team, pool: ConnectionPool
    ) -> None:
        await world.sql.execute(
            "INSERT INTO leadership (role, term, holder, expires_at)"
            " VALUES ('scheduler', 6, 'gone', now() - interval '3 min 12 s')"
        )
        one = await automation(world, team, {}, due=minutes_ago(2.5), every=1)
        leader = await Leader.on(pool)
        await leader.dispatch()
        ((reason, slots, detail),) = await skips(world, one)
        assert (reason, slots) == ("catch_up_latest", 2)
        assert detail is not None
        assert detail.startswith("no leader for 3 min 1")


class TestOverlap:
    async def test_queue_one_keeps_one_waiting_and_skips_the_rest(
        self, world: World, team: Team, leader: Leader
    ) -> None:
        one = await automation(world, team, {"overlap": "queue_one"}, due=minutes_ago(0.01))
        for _ in range(3):
            await leader.dispatch()
            await come_due(world, one, datetime.now(UTC))
        await leader.dispatch()
        assert await statuses(world, one) == ["queued", "waiting"]
        assert {reason for reason, _, _ in await skips(world, one)} == {"overlap"}

    async def test_allow_runs_beside_it_up_to_its_own_limit(
        self, world: World, team: Team, leader: Leader
    ) -> None:
        policy = {"overlap": "allow", "max_concurrent_runs": 2}
        one = await automation(world, team, policy, due=minutes_ago(0.01))
        for _ in range(3):
            await leader.dispatch()
            await come_due(world, one, datetime.now(UTC))
        assert await statuses(world, one) == ["queued", "queued", "waiting"]
        assert await leader.admit() == 0
        await finish(world, one)
        assert await leader.admit() == 1

    async def test_cancel_running_asks_it_to_stop_and_waits_for_that(
        self, world: World, team: Team, leader: Leader, announced: Announcements
    ) -> None:
        one = await automation(world, team, {"overlap": "cancel_running"}, due=minutes_ago(0.01))
        await leader.dispatch()
        await world.sql.execute("UPDATE automation_run SET status = 'running', worker = 'w'")
        await come_due(world, one, datetime.now(UTC))
        await leader.dispatch()
        assert await statuses(world, one) == ["running", "waiting"]
        assert await world.sql.fetchval(
            "SELECT cancel_requested FROM automation_run WHERE status = 'running'"
        )
        await come_due(world, one, datetime.now(UTC))
        await leader.dispatch()
        assert await statuses(world, one) == ["running", "cancelled", "waiting"]
        assert len(await announced.of(RunCancelled)) == 1
        await finish(world, one, "cancelled")
        assert await leader.admit() == 1

    async def test_a_superseded_run_names_the_later_slot_in_its_reason(
        self, world: World, team: Team, leader: Leader, announced: Announcements
    ) -> None:
        one = await automation(world, team, {"overlap": "cancel_running"}, due=minutes_ago(0.01))
        await leader.dispatch()
        newer = datetime.now(UTC)
        await come_due(world, one, newer)
        await leader.dispatch()
        said = f"replaced by the run for {newer:%Y-%m-%d %H:%M:%S} UTC"
        (row,) = await world.sql.fetch(
            "SELECT replaced_by, error_code, error_message FROM automation_run WHERE status = 'cancelled'"
        )
        assert tuple(row) == (newer, "replaced", said)
        assert [event.reason for event in await announced.of(RunCancelled)] == [said]

    async def test_a_limited_number_counts_real_runs(self, world: World, team: Team, leader: Leader) -> None:
        due = minutes_ago(0.01)
        one = await automation(world, team, {}, due=due)
        await world.sql.execute(
            "UPDATE automation SET schedule_config = schedule_config || '{\"max_runs\": 2}'"
        )
        for _ in range(3):
            await leader.dispatch()
            await come_due(world, one, datetime.now(UTC))
        assert await world.sql.fetchval("SELECT fired_count FROM automation") == 1, "two met a run that goes"
        await finish(world, one)
        await leader.dispatch()
        assert await world.sql.fetchval("SELECT fired_count FROM automation") == 2
        assert await world.sql.fetchval("SELECT status FROM automation") == "stopped"
        assert len(await statuses(world, one)) == 2

    async def test_a_backfill_overlaps_nothing(self, world: World, team: Team, leader: Leader) -> None:
        one = await automation(world, team, {}, due=minutes_ago(0.01))
        await world.sql.execute(
            "INSERT INTO automation_run (id, tenant_id, automation_id, trigger, scheduled_for, status, lane)"
            " VALUES ($1, $2, $3, 'backfill', now() - interval '3 days', 'running', 'low')",
            new_id(),
            team.tenant_id,
            one,
        )
        await leader.dispatch()
        assert await statuses(world, one) == ["running", "queued"]


class TestWaiting:
    async def test_an_expired_waiting_run_is_skipped_with_the_reason(
        self, world: World, team: Team, leader: Leader, announced: Announcements
    ) -> None:
        one = await automation(world, team, {}, due=minutes_ago(0.01))
        await leader.dispatch()
        await world.sql.execute("UPDATE automation_run SET expires_at = now() - interval '1 second'")
        assert await leader.admit() == 1
        assert await statuses(world, one) == ["skipped"]
        assert await world.sql.fetchval("SELECT error_code FROM automation_run") == "expired"
        (skipped,) = await announced.of(RunSkipped)
        assert skipped.reason == "expired"

    async def test_a_team_at_its_limit_waits_while_another_goes_on(
        self, world: World, team: Team, leader: Leader
    ) -> None:
        await world.sql.execute("UPDATE tenant SET quota = '{\"max_concurrent_runs\": 2}'")
        other = await world.team("Another Team")
        await automation(world, team, {}, due=minutes_ago(0.01), count=5)
        await automation(world, other, {}, due=minutes_ago(0.01), count=5)
        await leader.dispatch()

        async def queued(of: Team) -> int:
            count: int = await world.sql.fetchval(
                "SELECT count(*) FROM automation_run WHERE tenant_id = $1 AND status = 'queued'", of.tenant_id
            )
            return count

        assert (await queued(team), await queued(other)) == (2, 5)
        assert await leader.admit() == 0
        await world.sql.execute(
            "UPDATE automation_run SET status = 'completed' WHERE tenant_id = $1 AND status = 'queued'",
            team.tenant_id,
        )
        assert await leader.admit() == 2

    async def test_teams_take_turns_when_many_runs_wait(
        self, world: World, team: Team, pool: ConnectionPool, announced: Announcements
    ) -> None:
        small = await world.team("Small Team")
        await automation(world, team, {}, due=minutes_ago(1), count=40)
        await automation(world, small, {}, due=minutes_ago(0.01), count=3)
        leader = await Leader.on(pool)
        await leader.dispatch()
        order = [event.tenant_id for event in await announced.of(AutomationDue)]
        assert small.tenant_id in order[:2], "the small team waits behind the big one"
        assert [tenant == small.tenant_id for tenant in order[:6]].count(True) == 3

    async def test_no_team_fills_the_queue(self, world: World, team: Team, pool: ConnectionPool) -> None:
        leader = await Leader.on(pool, window=10)
        await automation(world, team, {}, due=minutes_ago(0.01), count=25)
        await leader.dispatch()
        by_status = {
            row["status"]: row["n"]
            for row in await world.sql.fetch("SELECT status, count(*) AS n FROM automation_run GROUP BY 1")
        }
        assert by_status == {"queued": 10, "waiting": 15}
        await world.sql.execute("UPDATE automation_run SET status = 'completed' WHERE status = 'queued'")
        assert await leader.admit() == 10


class TestPause:
    async def pause(self, world: World, automation_id: UUID, catch_up: str | None = None) -> None:
        await world.sql.execute(
            "UPDATE automation SET status = 'paused', paused_at = now() - interval '1 hour',"
            " paused_until = now() - interval '1 second', catch_up_on_resume = $2 WHERE id = $1",
            automation_id,
            catch_up,
        )

    async def test_ends_by_itself_and_the_next_slot_runs(
        self, world: World, team: Team, leader: Leader
    ) -> None:
        one = await automation(world, team, {}, due=datetime.now(UTC) + timedelta(minutes=5))
        await self.pause(world, one)
        await leader.dispatch()
        assert await world.sql.fetchval("SELECT status FROM automation") == "active"
        await come_due(world, one, datetime.now(UTC))
        await leader.dispatch()
        assert await statuses(world, one) == ["queued"]
        assert await skips(world, one) == []

    async def test_slots_during_a_pause_are_recorded_as_paused(
        self, world: World, team: Team, leader: Leader
    ) -> None:
        one = await automation(world, team, {}, due=minutes_ago(35))
        await self.pause(world, one)
        await leader.dispatch()
        assert await statuses(world, one) == []
        assert [(reason, slots) for reason, slots, _ in await skips(world, one)] == [("paused", 4)]

    async def test_resuming_can_run_the_latest_missed_slot(
        self, world: World, team: Team, leader: Leader
    ) -> None:
        one = await automation(world, team, {}, due=minutes_ago(35))
        await self.pause(world, one, "latest")
        await leader.dispatch()
        assert await statuses(world, one) == ["queued"]
        assert [(reason, slots) for reason, slots, _ in await skips(world, one)] == [("catch_up_latest", 3)]


class TestFailing:
    async def failed(self, world: World, automation_id: UUID, team: Team, streak: int) -> None:
        await world.sql.execute(
            "UPDATE automation SET failure_streak = $2 WHERE id = $1", automation_id, streak
        )
        await world.sql.execute(
            "INSERT INTO automation_run (id, tenant_id, automation_id, status, error_message)"
            " VALUES ($1, $2, $3, 'failed', 'the token <expired>')",
            new_id(),
            team.tenant_id,
            automation_id,
        )

    async def test_repeated_failures_stop_the_automation_and_notify_once(
        self, world: World, team: Team, leader: Leader, announced: Announcements
    ) -> None:
        chat = await world.telegram(team)
        one = await automation(
            world, team, {"pause_on_failure_after": 3}, due=datetime.now(UTC) + timedelta(1)
        )
        await world.sql.execute("UPDATE automation SET destination_id = $1", chat)
        await self.failed(world, one, team, 2)
        assert await leader.stop_failing() == 0
        await self.failed(world, one, team, 3)
        assert await leader.stop_failing() == 1
        assert await leader.stop_failing() == 0
        row = await world.sql.fetchrow("SELECT status, status_reason FROM automation")
        assert row is not None
        assert (row["status"], row["status_reason"]) == ("error", "stopped after 3 failures in a row")
        message = await world.sql.fetchval("SELECT message FROM delivery")
        assert f"https://carillon.example/automations/{one}" in message["text"]
        assert "&lt;expired&gt;" in message["html"]
        assert [event.change for event in await announced.of(AutomationChanged)] == ["error"]
        assert [event.destination_id for event in await announced.of(NotificationRequested)] == [chat]

    async def test_the_notice_goes_to_the_teams_alerts_destination(
        self, world: World, team: Team, leader: Leader
    ) -> None:
        chat, alerts = await world.telegram(team), await world.telegram(team, chat_id=815)
        one = await automation(
            world, team, {"pause_on_failure_after": 1}, due=datetime.now(UTC) + timedelta(1)
        )
        await world.sql.execute("UPDATE automation SET destination_id = $1", chat)
        await world.sql.execute("UPDATE tenant SET alerts_destination_id = $1", alerts)
        await self.failed(world, one, team, 1)
        assert await leader.stop_failing() == 1
        assert await world.sql.fetchval("SELECT destination_id FROM delivery") == alerts

    async def test_without_the_policy_failures_do_not_stop_it(
        self, world: World, team: Team, leader: Leader
    ) -> None:
        one = await automation(world, team, {}, due=datetime.now(UTC) + timedelta(1))
        await self.failed(world, one, team, 50)
        assert await leader.stop_failing() == 0


class TestZoneRules:
    async def placed(
        self, world: World, team: Team, schedule: dict[str, Any], slot: datetime, fires: datetime, **more: Any
    ) -> UUID:
        (one,) = await world.automations(team, None, schedule=schedule, next_run=fires)
        await world.sql.execute(
            "UPDATE automation SET next_slot = $2, created_at = now() - interval '9 days', status = $3"
            " WHERE id = $1",
            one,
            slot,
            more.get("status", "active"),
        )
        return one

    async def places(self, world: World, automation_id: UUID) -> tuple[datetime, datetime]:
        row = await world.sql.fetchrow(
            "SELECT next_slot, next_run FROM automation WHERE id = $1", automation_id
        )
        assert row is not None
        return row["next_slot"], row["next_run"]

    @pytest.mark.parametrize("delay", [{"jitter_seconds": 600}, {}], ids=["jitter", "window"])
    async def test_a_moved_slot_whose_instant_has_passed_still_runs(
        self, world: World, team: Team, leader: Leader, delay: dict[str, Any]
    ) -> None:
        slot = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=1)
        fires = datetime.now(UTC) + timedelta(minutes=5)
        schedule = {"type": "daily", "hour": slot.hour, "minute": slot.minute, "timezone": "UTC", **delay}
        if not delay:
            closes = slot + timedelta(hours=2)
            schedule["window"] = {"from": f"{slot:%H:%M}", "to": f"{closes:%H:%M}"}
        one = await self.placed(world, team, schedule, slot, fires)
        assert await leader.apply_zone_rules("2027a") == 0
        assert await self.places(world, one) == (slot, fires)
        await world.sql.execute(
            "UPDATE automation SET next_run = now(),"
            " schedule_config = schedule_config - 'jitter_seconds' - 'window'"
        )
        await leader.dispatch()
        assert await statuses(world, one) == ["queued"]
        assert await world.sql.fetchval("SELECT scheduled_for FROM automation_run") == slot
        assert await skips(world, one) == []

    async def test_a_paused_automation_moves_too(self, world: World, team: Team, leader: Leader) -> None:
        daily = {"type": "daily", "hour": 9, "timezone": "Europe/Berlin"}
        right = get_next_run_time(parse_schedule(daily), datetime.now(UTC))
        assert right is not None
        wrong = right + timedelta(hours=1)
        one = await self.placed(world, team, daily, wrong, wrong, status="paused")
        assert await leader.apply_zone_rules("2027a") == 1
        assert await self.places(world, one) == (right, right)

    async def test_a_slot_moved_into_the_past_is_due_at_once(
        self, world: World, team: Team, leader: Leader
    ) -> None:
        slot = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=10)
        schedule = {"type": "daily", "hour": slot.hour, "minute": slot.minute, "timezone": "UTC"}
        awaited = slot + timedelta(hours=1)
        one = await self.placed(world, team, schedule, awaited, awaited)
        assert await leader.apply_zone_rules("2027a") == 1
        await leader.dispatch()
        assert await world.sql.fetchval("SELECT scheduled_for FROM automation_run") == slot
        assert (await self.places(world, one))[0] == slot + timedelta(days=1)

    async def test_undecided_slots_of_an_older_tz_database_are_recorded_as_paused(
        self, world: World, team: Team, leader: Leader
    ) -> None:
        slot = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=10)
        named = slot - timedelta(hours=1)
        schedule = {"type": "daily", "hour": slot.hour, "minute": slot.minute, "timezone": "UTC"}
        one = await self.placed(world, team, schedule, named, named, status="paused")
        assert await leader.apply_zone_rules("2027a") == 0
        await world.sql.execute("UPDATE automation SET status = 'active', catch_up_on_resume = 'none'")
        await leader.dispatch()
        assert [(reason, slots) for reason, slots, _ in await skips(world, one)] == [("paused", 2)]

    async def test_a_slot_that_new_rules_move_is_moved_and_reported(
        self, world: World, team: Team, leader: Leader, announced: Announcements
    ) -> None:
        daily = {"type": "daily", "hour": 9, "timezone": "Europe/Berlin"}
        right = get_next_run_time(parse_schedule(daily), datetime.now(UTC))
        assert right is not None
        wrong = right + timedelta(hours=1)
        (moved,) = await world.automations(team, None, schedule=daily, next_run=wrong)
        (kept,) = await world.automations(team, None, schedule=daily, next_run=right)
        assert await leader.apply_zone_rules("2027a") == 1
        rows = {
            row["id"]: row["next_run"] for row in await world.sql.fetch("SELECT id, next_run FROM automation")
        }
        assert rows == {moved: right, kept: right}
        ((reason, _, detail),) = await skips(world, moved)
        assert reason == "moved"
        assert "2027a" in (detail or "")
        (change,) = await announced.of(AutomationChanged)
        assert (change.automation_id, change.change, change.next_run) == (moved, "moved", right)
        assert await leader.apply_zone_rules("2027a") == 0, "these rules are known by now"
