"""The effects of each error consequence: on the run, the account and the owner."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

import asyncpg
import httpx
import pytest

from common.database.pool import ConnectionPool
from common.ids import new_id
from common.models import ConnectionKind, Lane, platform_of
from common.secrets.crypto import KeyRing
from executor.handlers.base import Outcome, RunContext
from notifier.channels.base import Channel
from notifier.channels.telegram import TelegramChannel
from notifier.channels.webhook import WebhookChannel
from platforms.calls.usage import UsageLimiter
from platforms.oauth.base import Grant
from platforms.registry import grants
from platforms.tiktok_organic import TIKTOK_ORGANIC
from tests.factories import Team, World
from tests.support.channels import SECRET, notifier_settings
from tests.support.databases import fresh_database
from tests.support.error_map import (
    CALLS,
    MISCONFIGURED,
    PLATFORMS,
    REFRESHED,
    RENEWALS,
    TELEGRAM,
    WEBHOOK,
    Row,
    success,
)
from tests.support.executor_harness import PUBLIC_URL, SCRIPTED, working
from tests.support.fake_grants import ScriptedGrant
from tests.support.fake_vendor import CONFIGURED
from tests.support.notifier_harness import notifying
from tests.support.polling import eventually
from tests.support.sample_deliveries import message
from tests.support.waiting import waiting

MAX_ATTEMPTS = 3


@pytest.fixture(scope="module")
def database_url(postgres_server: Callable[[str], str], database_template: str) -> Iterator[str]:
    """One database for all rows: each has a team of its own."""
    with fresh_database(postgres_server, database_template) as url:
        yield url


@pytest.fixture
async def team(world: World) -> Team:
    return await world.team(f"Team {new_id()}")


class ScriptedTransport:
    """Answers with each of these in turn, and with the last for ever."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.http = httpx.AsyncClient(transport=httpx.MockTransport(self._serve), trust_env=False)

    def _serve(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        # A response can be read once: each request gets one of its own, whose body has yet to arrive.
        body = httpx.ByteStream(answer.content)
        return httpx.Response(answer.status_code, headers=answer.headers, stream=body)


@dataclass(frozen=True)
class After:
    """What a row led to."""

    run: asyncpg.Record
    connection: asyncpg.Record
    automation: asyncpg.Record
    told: Sequence[dict[str, Any]]


@dataclass
class RunHarness:
    """A team with one account, one automation that uses it, and a chat."""

    world: World
    team: Team
    pool: ConnectionPool
    ring: KeyRing
    connection_id: UUID
    automation_id: UUID
    chat: UUID

    async def run(self, platform: str, transport: ScriptedTransport, *kept: Grant) -> After:
        """One attempt of a run that asks the platform once."""

        async def act(context: RunContext) -> Outcome:
            await PLATFORMS[platform].ask(context, transport.http)
            return Outcome("asked", {})

        async def no_wait(_seconds: float) -> None:
            """Pauses inside a call are another test's business."""

        run_id = await self.world.run(self.team, self.automation_id, max_attempts=MAX_ATTEMPTS)
        known = {grant.kind: grant for grant in kept}
        limiter = UsageLimiter(sleep=no_wait)
        async with working(self.pool, self.ring, act, grants=known, limiter=limiter) as worker:
            await worker.take(Lane.NORMAL, {run_id: None})
            await worker.execution.drain(10)
        return await self.after(run_id)

    async def after(self, run_id: UUID) -> After:
        deliveries = await self.world.sql.fetch(
            "SELECT destination_id, message FROM delivery WHERE tenant_id = $1", self.team.tenant_id
        )
        assert {row["destination_id"] for row in deliveries} <= {self.chat}
        return After(
            await self.world.row("automation_run", run_id),
            await self.world.row("connection", self.connection_id),
            await self.world.row("automation", self.automation_id),
            [row["message"] for row in deliveries],
        )


@pytest.fixture
def harness(world: World, team: Team, pool: ConnectionPool, ring: KeyRing) -> Callable[..., Any]:
    async def build(kind: ConnectionKind, **columns: Any) -> RunHarness:
        chat = await world.telegram(team)
        connection_id = await world.connection(
            team, kind, "access-1", **{"refresh_token": "refresh-1", "name": "Main", **columns}
        )
        [automation_id] = await world.automations(
            team, chat, kind=SCRIPTED, config={}, platforms=(platform_of(kind),)
        )
        return RunHarness(world, team, pool, ring, connection_id, automation_id, chat)

    return build


class Organic(ScriptedGrant):
    kind: ClassVar[ConnectionKind] = TIKTOK_ORGANIC


RENEWABLE: dict[str, Callable[[], ScriptedGrant]] = {"tiktok_organic": Organic, "zoom": ScriptedGrant}


def renewing(platform: str) -> tuple[ScriptedGrant, ...]:
    """The platform's grant, which renews well; none where tokens cannot be renewed under a run."""
    return (RENEWABLE[platform](),) if platform in RENEWABLE else ()


def untouched(after: After) -> bool:
    """Neither the account nor the automation changed, and no notice was sent."""
    account = (after.connection["status"], after.connection["problem"])
    return (*account, after.automation["status"], list(after.told)) == ("active", None, "active", [])


def check_ok(after: After) -> None:
    assert after.run["status"] == "completed"
    assert untouched(after)


def check_transient(after: After) -> None:
    """Tried again soon, which uses up an attempt."""
    assert (after.run["status"], after.run["uncounted"]) == ("retrying", 0)
    assert after.run["available_at"] < datetime.now(UTC) + timedelta(minutes=6)
    assert untouched(after)


def check_rate(after: After) -> None:
    """Delayed, which uses up nothing."""
    assert (after.run["status"], after.run["attempt"]) == ("retrying", 1)
    assert (after.run["max_attempts"], after.run["uncounted"]) == (MAX_ATTEMPTS, 1)
    assert after.run["available_at"] > datetime.now(UTC)
    assert untouched(after)


def check_only_the_run(after: After) -> None:
    """It fails and says why; telling when it happens again and again is the leader's business."""
    assert after.run["status"] == "failed"
    assert after.run["error_message"]
    assert untouched(after)


def check_reauth(after: After) -> None:
    """The account must be connected again, what depends on it waits, and the owner knows."""
    assert after.run["status"] == "failed"
    assert after.connection["status"] == "reauth_required"
    assert after.connection["status_reason"]
    assert after.automation["status"] == "paused"
    assert after.automation["paused_for_connection_id"] == after.connection["id"]
    [told] = after.told
    assert told["type"] == "connection.reauth_required"
    assert f"{PUBLIC_URL}/connections/{after.connection['id']}" in told["text"]


def check_perm(after: After) -> None:
    """The automation stops, the account shows what it lacks, and the owner knows."""
    assert after.run["status"] == "failed"
    assert after.connection["status"] == "active"
    assert after.connection["problem"].startswith("a permission is missing: ")
    assert after.automation["status"] == "error"
    assert "a permission is missing" in after.automation["status_reason"]
    [told] = after.told
    assert told["type"] == "automation.stopped"
    assert f"{PUBLIC_URL}/connections/{after.connection['id']}" in told["text"]


def check_blocked(after: After) -> None:
    """Tried again in hours; the account shows it, and the owner knows."""
    assert (after.run["status"], after.run["uncounted"]) == ("retrying", 0)
    assert after.run["available_at"] > datetime.now(UTC) + timedelta(hours=1, minutes=55)
    assert after.connection["problem"].startswith("blocked by the platform for now: ")
    assert (after.connection["status"], after.automation["status"]) == ("active", "active")
    [told] = after.told
    assert told["type"] == "connection.problem"


CHECKS: dict[str, Callable[[After], None]] = {
    "OK": check_ok,
    "TRANSIENT": check_transient,
    "RATE": check_rate,
    "SPLIT": check_only_the_run,
    "INVALID": check_only_the_run,
    "GONE": check_only_the_run,
    "REFRESH": check_reauth,
    "REAUTH": check_reauth,
    "PERM": check_perm,
    "BLOCKED": check_blocked,
}


@pytest.mark.parametrize(("platform", "row"), CALLS, ids=str)
async def test_the_aftermath_of_a_refused_call(harness: Callable[..., Any], platform: str, row: Row) -> None:
    """REFRESH here is what is refused again after the token was renewed."""
    made: RunHarness = await harness(PLATFORMS[platform].kind)
    after = await made.run(platform, ScriptedTransport(row.answer), *renewing(platform))
    CHECKS[row.expected](after)


@pytest.mark.parametrize(("platform", "row"), REFRESHED, ids=str)
async def test_a_rejected_token_is_refreshed_during_the_run(
    harness: Callable[..., Any], platform: str, row: Row
) -> None:
    made: RunHarness = await harness(PLATFORMS[platform].kind)
    after = await made.run(platform, ScriptedTransport(row.answer, success(platform)), *renewing(platform))
    check_ok(after)
    assert after.connection["token_version"] == 2


@pytest.mark.parametrize(("platform", "row"), RENEWALS, ids=str)
async def test_the_aftermath_of_a_refused_refresh(
    harness: Callable[..., Any], platform: str, row: Row
) -> None:
    made: RunHarness = await harness(
        PLATFORMS[platform].kind, expires_at=datetime.now(UTC) - timedelta(seconds=1)
    )
    oauth, api = ScriptedTransport(row.answer), ScriptedTransport(success(platform))
    after = await made.run(platform, api, *grants(oauth.http, CONFIGURED).values())
    CHECKS[row.expected](after)
    assert len(oauth.requests) == 1
    assert api.requests == [], "a dead token is not even tried"


@pytest.mark.parametrize(("platform", "row"), MISCONFIGURED, ids=str)
async def test_an_operators_mistake_fails_no_run_while_the_token_is_valid(
    harness: Callable[..., Any], platform: str, row: Row
) -> None:
    made: RunHarness = await harness(
        PLATFORMS[platform].kind, expires_at=datetime.now(UTC) + timedelta(minutes=1)
    )
    oauth = ScriptedTransport(row.answer)
    kept = grants(oauth.http, CONFIGURED).values()
    check_ok(await made.run(platform, ScriptedTransport(success(platform)), *kept))


async def delivered(
    world: World,
    team: Team,
    pool: ConnectionPool,
    ring: KeyRing,
    destination_id: UUID,
    channel: Channel,
) -> tuple[asyncpg.Record, asyncpg.Record]:
    """A delivery after one attempt, and its destination."""

    content = message("Spend 12.00 EUR", "<b>Spend</b> 12.00 EUR").model_dump(mode="json")
    delivery_id = await world.delivery(team, destination_id, message=content)
    async with notifying(pool, ring, channels={channel.type: channel}) as notifier:
        await notifier.delivering.take(waiting(delivery_id))

        async def ended() -> bool:
            return (await world.row("delivery", delivery_id))["status"] not in ("queued", "sending")

        await eventually(ended)
    return await world.row("delivery", delivery_id), await world.row("destination", destination_id)


def check_delivery(expected: str, delivery: asyncpg.Record, destination: asyncpg.Record) -> None:
    """What became of the delivery, and of the destination that its owner sees."""
    found = (delivery["status"], delivery["uncounted"], destination["status"])
    match expected:
        case "OK" | "REMEDIED":
            assert found == ("delivered", 0, "active")
        case "TRANSIENT":
            assert found == ("retrying", 0, "active")
        case "RATE":
            assert found == ("retrying", 1, "active")
            assert delivery["next_attempt_at"] > datetime.now(UTC) + timedelta(seconds=3)
        case "GONE":
            assert found == ("failed", 0, "disabled")
            assert destination["status_reason"]
        case _:
            assert found == ("failed", 0, "active")
            assert delivery["error_message"]


@pytest.mark.parametrize(("answer", "expected"), TELEGRAM)
async def test_the_consequence_of_each_telegram_response(
    world: World, team: Team, pool: ConnectionPool, ring: KeyRing, answer: httpx.Response, expected: str
) -> None:
    accepted = httpx.Response(200, json={"ok": True, "result": {"message_id": 1}})
    transport = ScriptedTransport(answer, accepted) if expected == "REMEDIED" else ScriptedTransport(answer)
    channel = TelegramChannel(transport.http, notifier_settings())
    chat = await world.telegram(team)
    delivery, destination = await delivered(world, team, pool, ring, chat, channel)
    check_delivery(expected, delivery, destination)
    if "upgraded" in answer.text:
        assert destination["config"]["chat_id"] == -1001234


@pytest.mark.parametrize(("answer", "expected"), WEBHOOK)
async def test_the_consequence_of_each_webhook_response(
    world: World,
    team: Team,
    pool: ConnectionPool,
    ring: KeyRing,
    answer: httpx.Response | Exception,
    expected: str,
) -> None:
    hook = await world.webhook(team, "https://hooks.example/in", SECRET)
    channel = WebhookChannel(ScriptedTransport(answer).http)
    delivery, destination = await delivered(world, team, pool, ring, hook, channel)
    check_delivery(expected, delivery, destination)
