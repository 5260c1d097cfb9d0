"""Rows sent to a webhook: signed, in chunks, resumed where the last attempt stopped."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from common.database.pool import ConnectionPool
from common.errors import ChannelError, Consequence, PlatformError
from common.http import create_client
from common.secrets.crypto import KeyRing
from executor.handlers.data_sync import DataSync
from executor.sync.batches import Superseded
from tests.factories import Team, World
from tests.support.channels import Sandbox
from tests.support.fake_ads import FakeAds, FakeSources, ad_account, refusal
from tests.support.fake_receiver import client_of
from tests.support.planted_secrets import PlantedSecrets
from tests.support.secret_echoes import echo
from tests.support.stack import Service
from tests.support.syncs import Syncing, executor_settings, fresh_hook, spend_is_the_day, syncing

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
URL = "https://receiver.example/rows?token=t0k3n-in-th3-url"
CONFIG = {"sync_type": "webhook", "webhook_url": URL, "metrics": ["spend", "cpc"], "level": "campaign"}


@dataclass
class Receiver:
    """Takes what is posted, or answers as the test says. `seen` are the ids and bodies in order."""

    answers: list[httpx.Response] = field(default_factory=list)
    seen: list[tuple[str, bytes]] = field(default_factory=list)
    taken: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    before_answer: Callable[[int], None] = lambda _number: None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """One request, whose signature must be right."""
        document = Webhook(SECRET).verify(request.content, dict(request.headers))
        self.seen.append((request.headers["webhook-id"], request.content))
        self.before_answer(len(self.seen))
        answer = self.answers.pop(0) if self.answers else httpx.Response(204)
        if answer.is_success:
            self.taken.append((request.headers["webhook-id"], document))
        return answer

    @property
    def rows(self) -> list[dict[str, Any]]:
        """All rows taken, in the order they came."""
        return [row for _id, document in self.taken for row in document["data"]["rows"]]


@pytest.fixture
def ads() -> FakeAds:
    """Three accounts with 210 campaigns each: with three days 1,890 rows."""
    return FakeAds(
        accounts=[ad_account(f"act_{number}", name=f"Shop {number}") for number in (1, 2, 3)],
        campaign_values=lambda account, days: {
            f"{account.id}-{number}": spend_is_the_day(account, days) for number in range(210)
        },
    )


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def handler(ads: FakeAds, encryption_keys: str, waits: list[float]) -> DataSync:
    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    return DataSync(executor_settings(encryption_keys), sources=FakeSources(ads), sleep=sleep)


@pytest.fixture
async def sync(world: World, pool: ConnectionPool, team: Team, handler: DataSync) -> Syncing:
    await world.webhook(team, URL, SECRET)
    return await syncing(world, pool, team, handler, CONFIG)


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def http(receiver: Receiver) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(receiver) as client:
        yield client


async def test_rows_are_sent_in_numbered_chunks_of_bounded_size(
    sync: Syncing, receiver: Receiver, http: httpx.AsyncClient
) -> None:
    outcome = await sync.attempt(http)
    assert outcome.summary == "1,890 rows of 3 accounts sent in 4 requests"
    assert len(receiver.rows) == 1_890
    data = [document["data"] for _id, document in receiver.taken]
    assert [each["sequence"] for each in data] == [1, 2, 3, 4]
    assert {each["of"] for each in data} == {4}
    assert {each["sync_id"] for each in data} == {str(sync.run_id)}
    assert all(len(each["rows"]) <= 500 for each in data)
    assert all(len(body) <= 256 * 1024 for _id, body in receiver.seen)
    assert {document["type"] for _id, document in receiver.taken} == {"data_sync.rows"}
    named = [account["account_id"] for each in data for account in each["accounts"]]
    assert named == ["act_1", "act_2", "act_3"]
    assert receiver.rows[0] == {
        "platform": "facebook",
        "account_id": "act_1",
        "account_name": "Shop 1",
        "currency": "EUR",
        "level": "campaign",
        "campaign_id": "act_1-0",
        "campaign_name": "Campaign act_1-0",
        "day": "2026-11-18",
        "spend": "18.50",
        "cpc": None,
    }
    assert outcome.state is not None
    assert outcome.state["watermarks"] == dict.fromkeys(
        ("facebook/act_1", "facebook/act_2", "facebook/act_3"), "2026-11-20"
    )


async def test_the_next_attempt_resumes_after_the_last_accepted_chunk(
    sync: Syncing, receiver: Receiver, http: httpx.AsyncClient, ads: FakeAds
) -> None:
    receiver.answers = [httpx.Response(200), httpx.Response(200), httpx.Response(500, text="oh\nno")]
    with pytest.raises(ChannelError, match="the receiver answered 500: oh no") as failed:
        await sync.attempt(http)
    assert not failed.value.permanent
    asked = len(ads.asked)
    # Meanwhile the platform has restated everything: what was begun is finished as it was begun.
    ads.campaign_values = lambda _account, _days: {"new": {"spend": 1}}
    outcome = await sync.attempt(http)
    assert len(ads.asked) == asked
    assert [document["data"]["sequence"] for _id, document in receiver.taken] == [1, 2, 3, 4]
    assert len(receiver.rows) == 1_890
    refused, again = receiver.seen[2], receiver.seen[3]
    assert refused == again
    assert outcome.summary == "1,890 rows of 3 accounts sent in 4 requests"
    assert outcome.state is not None
    assert len(outcome.state["watermarks"]) == 3


async def test_a_chunk_whose_response_was_lost_is_resent_with_its_id(
    sync: Syncing, receiver: Receiver, http: httpx.AsyncClient
) -> None:
    def hang_up(number: int) -> None:
        if number == 2:
            raise httpx.ReadError("the connection broke")

    receiver.before_answer = hang_up
    with pytest.raises(ChannelError) as failed:
        await sync.attempt(http)
    assert "t0k3n" not in str(failed.value)
    await sync.attempt(http)
    ids = [identifier for identifier, _body in receiver.seen]
    assert len(ids) == 5
    assert ids[1] == ids[2]
    assert len(set(ids)) == 4


async def test_a_second_run_reads_new_days_and_days_that_may_be_restated(
    sync: Syncing, receiver: Receiver, http: httpx.AsyncClient, world: World
) -> None:
    await sync.recorded(await sync.attempt(http))
    first = {identifier for identifier, _body in receiver.seen}
    receiver.taken.clear()
    await sync.recorded(await sync.attempt(http))
    assert sorted({row["day"] for row in receiver.rows}) == ["2026-11-19", "2026-11-20", "2026-11-21"]
    assert not first & {identifier for identifier, _document in receiver.taken}
    # The batch of a run that has ended makes room for the next one's.
    assert await world.sql.fetchval("SELECT count(*) FROM sync_batch") == 1


async def test_the_body_of_an_accepted_chunk_is_wiped(
    sync: Syncing, receiver: Receiver, http: httpx.AsyncClient, world: World
) -> None:
    await sync.attempt(http)
    assert await world.sql.fetchval("SELECT count(body) FROM sync_chunk") == 0
    assert await world.sql.fetchval("SELECT sum(rows) FROM sync_chunk") == 1_890


async def test_a_superseded_attempt_sends_nothing(
    sync: Syncing, receiver: Receiver, http: httpx.AsyncClient, world: World
) -> None:
    context = await sync.context(http)
    await world.sql.execute("UPDATE automation_run SET attempt = 2 WHERE id = $1", sync.run_id)
    with pytest.raises(Superseded):
        await sync.handler.run(context, sync.handler.config.model_validate(CONFIG))
    assert receiver.seen == []
    sync.made = 2
    await sync.attempt(http)
    assert len(receiver.rows) == 1_890


async def test_an_attempt_superseded_while_sending_stops(
    sync: Syncing, receiver: Receiver, http: httpx.AsyncClient, world: World, pool: ConnectionPool
) -> None:
    async def receive(request: httpx.Request) -> httpx.Response:
        await pool.execute("UPDATE automation_run SET attempt = 7 WHERE id = $1", sync.run_id)
        return receiver(request)

    async with client_of(receive) as client:
        with pytest.raises(Superseded):
            await sync.attempt(client)
    assert len(receiver.seen) == 1


async def test_a_configuration_changed_between_attempts_starts_a_new_batch(
    sync: Syncing, receiver: Receiver, http: httpx.AsyncClient
) -> None:
    receiver.answers = [httpx.Response(200), httpx.Response(500)]
    with pytest.raises(ChannelError):
        await sync.attempt(http)
    sync.config = {**CONFIG, "metrics": ["clicks"], "accounts": ["act_2"]}
    await sync.attempt(http)
    (identifier, document) = receiver.taken[-1]
    assert document["data"]["metrics"] == ["clicks"]
    assert {row["account_id"] for row in document["data"]["rows"]} == {"act_2"}
    assert identifier not in [before for before, _body in receiver.seen[:2]]


class TestAnswers:
    @pytest.mark.parametrize(
        ("status", "consequence"),
        [
            (301, Consequence.TRANSIENT),
            (400, Consequence.TRANSIENT),
            (408, Consequence.TRANSIENT),
            (410, Consequence.GONE),
            (429, Consequence.RATE),
            (500, Consequence.TRANSIENT),
            (503, Consequence.RATE),
        ],
    )
    async def test_only_2xx_is_acceptance(
        self,
        sync: Syncing,
        receiver: Receiver,
        http: httpx.AsyncClient,
        status: int,
        consequence: Consequence,
    ) -> None:
        receiver.answers = [httpx.Response(status, headers={"location": "https://elsewhere.example"})]
        with pytest.raises(ChannelError) as failed:
            await sync.attempt(http)
        assert (failed.value.consequence, failed.value.http_status) == (consequence, status)
        assert len(receiver.seen) == 1

    async def test_a_secret_echoed_by_the_receiver_is_redacted(
        self, sync: Syncing, receiver: Receiver, http: httpx.AsyncClient
    ) -> None:
        planted = PlantedSecrets()
        planted.plant("the secret", SECRET, public="whsec_")
        for before in range(0, 200, 9):
            receiver.answers = [httpx.Response(500, text="x" * before + " " + echo(SECRET))]
            with pytest.raises(ChannelError) as failed:
                await sync.attempt(http)
            assert not planted.look([("an error", failed.value.detail)])

    async def test_a_short_retry_after_of_the_receiver_is_waited_for(
        self, sync: Syncing, receiver: Receiver, http: httpx.AsyncClient, waits: list[float]
    ) -> None:
        receiver.answers = [httpx.Response(429, headers={"retry-after": "7"}) for _ in range(2)]
        await sync.attempt(http)
        assert waits == [7.0, 7.0]
        assert len(receiver.rows) == 1_890

    async def test_a_long_retry_after_fails_the_attempt(
        self, sync: Syncing, receiver: Receiver, http: httpx.AsyncClient, waits: list[float]
    ) -> None:
        receiver.answers = [httpx.Response(429, headers={"retry-after": "600"})]
        with pytest.raises(ChannelError) as failed:
            await sync.attempt(http)
        assert (failed.value.retry_after, waits) == (600.0, [])

    async def test_an_endless_response_body_does_not_block(self, sync: Syncing, receiver: Receiver) -> None:
        class Endless(httpx.AsyncByteStream):
            async def __aiter__(self) -> AsyncIterator[bytes]:
                while True:
                    yield b"x" * 1_000

        async def receive(request: httpx.Request) -> httpx.Response:
            receiver(request)
            return httpx.Response(200, stream=Endless())

        async with client_of(receive) as client:
            await sync.attempt(client)
        assert len(receiver.rows) == 1_890


class TestWhereTo:
    async def test_the_destination_gives_the_address(
        self, sync: Syncing, receiver: Receiver, http: httpx.AsyncClient, world: World, team: Team
    ) -> None:
        sync.config = {
            "sync_type": "webhook",
            "destination_id": str(await world.webhook(team, URL, SECRET)),
        }
        await sync.attempt(http)
        assert len(receiver.rows) == 9

    @pytest.mark.parametrize(
        ("change", "told", "code"),
        [
            (
                {"webhook_url": "https://other.example/rows"},
                "webhook_url: rows are sent signed",
                "no_destination",
            ),
            (
                {"destination_id": "0190c1de-77a5-7c3a-9d2e-5f0f6a1c9b10"},
                "destination_id: no webhook destination of yours",
                "no_destination",
            ),
        ],
    )
    async def test_nothing_is_sent_unsigned(
        self,
        sync: Syncing,
        receiver: Receiver,
        http: httpx.AsyncClient,
        change: dict[str, str],
        told: str,
        code: str,
    ) -> None:
        sync.config = {**CONFIG, **change}
        with pytest.raises(ChannelError, match=told) as failed:
            await sync.attempt(http)
        assert failed.value.permanent
        assert failed.value.code == code
        assert receiver.seen == []

    async def test_another_teams_destination_is_not_used(
        self, sync: Syncing, http: httpx.AsyncClient, world: World
    ) -> None:
        others = await world.webhook(await world.team("Southwind"), URL, SECRET)
        sync.config = {**CONFIG, "destination_id": str(others)}
        with pytest.raises(ChannelError, match="no webhook destination of yours"):
            await sync.attempt(http)

    async def test_a_disabled_destination_gets_nothing(
        self, sync: Syncing, http: httpx.AsyncClient, world: World
    ) -> None:
        await world.sql.execute("UPDATE destination SET status = 'disabled', status_reason = 'it was gone'")
        with pytest.raises(ChannelError, match="disabled: it was gone"):
            await sync.attempt(http)

    async def test_a_private_address_is_not_called(
        self, sync: Syncing, world: World, team: Team, ads: FakeAds
    ) -> None:
        url = "http://127.0.0.1:9/rows"
        await world.webhook(team, url, SECRET)
        sync.config = {**CONFIG, "webhook_url": url}
        async with create_client() as guarded:
            with pytest.raises(ChannelError, match="webhook_url: the host is a loopback address") as failed:
                await sync.attempt(guarded)
        assert failed.value.permanent


class TestRefusals:
    async def test_a_transient_read_error_fails_the_attempt_before_sending(
        self, sync: Syncing, receiver: Receiver, http: httpx.AsyncClient, ads: FakeAds
    ) -> None:
        ads.refusals = {"act_2": refusal(Consequence.RATE, retry_after=90)}
        with pytest.raises(PlatformError) as failed:
            await sync.attempt(http)
        assert failed.value.retry_after == 90
        assert receiver.seen == []

    async def test_an_unreadable_account_is_named_and_keeps_its_watermark(
        self, sync: Syncing, receiver: Receiver, http: httpx.AsyncClient, ads: FakeAds
    ) -> None:
        ads.refusals = {"act_2": refusal(Consequence.PERM)}
        receiver.answers = [httpx.Response(200), httpx.Response(500)]
        with pytest.raises(ChannelError):
            await sync.attempt(http)
        outcome = await sync.attempt(http)
        assert outcome.summary.endswith("1,260 rows of 2 accounts sent in 3 requests; 1 could not be read")
        assert outcome.result["unreadable"] == [
            {
                "platform": "facebook",
                "id": "act_2",
                "name": "Shop 2",
                "reason": "a permission is missing (error 200)",
            }
        ]
        (fault,) = outcome.faults
        assert (fault.consequence, fault.connection_id) == (Consequence.PERM, "c")
        assert outcome.state is not None
        assert set(outcome.state["watermarks"]) == {"facebook/act_1", "facebook/act_3"}


async def test_a_dry_run_shows_what_it_would_send(
    sync: Syncing, receiver: Receiver, http: httpx.AsyncClient, world: World
) -> None:
    outcome = await sync.attempt(http, dry_run=True)
    assert receiver.seen == []
    assert await world.sql.fetchval("SELECT count(*) FROM sync_batch") == 0
    assert outcome.summary == "1,890 rows of 3 accounts would be passed on"
    assert outcome.result["chunks"] == 4
    assert len(outcome.result["first_rows"]) == 5
    assert outcome.state is None
    json.dumps(outcome.result)


async def test_the_sink_of_the_sandbox_accepts_the_signatures(
    sync: Syncing,
    world: World,
    team: Team,
    sandbox_server: Service,
    encryption_keys: str,
    ring: KeyRing,
) -> None:
    hook = fresh_hook()
    url = f"{sandbox_server.url}/hooks/{hook}"
    await world.webhook(team, url, SECRET)
    sync.config = {**CONFIG, "webhook_url": url}
    async with create_client(
        allowed_hosts={f"127.0.0.1:{sandbox_server.port}"},
        receiver_hosts={f"127.0.0.1:{sandbox_server.port}"},
    ) as client:
        sandbox = Sandbox(sandbox_server.url, client)
        await sandbox.put(f"hooks/{hook}", secret=SECRET, reject_invalid=True)
        await sandbox.fault(kind="status", status=503, stage="answer", match={"hook": hook})
        with pytest.raises(ChannelError):
            await sync.attempt(client)
        await sync.attempt(client)
        calls = await sandbox.received("webhook", hook=hook)
    assert {call["signature"] for call in calls} == {"valid"}
    assert len({call["webhook_id"] for call in calls}) == 4
    now = datetime.now(UTC).timestamp()
    assert all(abs(now - int(call["headers"]["webhook-timestamp"])) < 60 for call in calls)
