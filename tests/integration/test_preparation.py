"""`python -m common` prepares a database and a broker from any service's image."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from common.broker import MAX_RECORD_BYTES, TOPICS, ensure_topics
from common.database.migrate import head
from common.database.pool import current_revision
from common.secrets.crypto import API_KEY_PREFIX, KeyRing, hash_api_key
from common.settings import KafkaProfile, KafkaSettings
from tests.support.polling import eventually


async def _common(
    *arguments: str, environment: Mapping[str, str] | None = None, within: float = 60.0
) -> tuple[int | None, str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL"}}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "common", *arguments),
        env={**inherited, **(environment or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(within):
        output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


@pytest.fixture
def empty_database(postgres_server: Callable[[str], str]) -> Iterator[str]:
    """The URL of a database in which nothing has ever been done."""

    async def execute(statement: str) -> None:
        db = await asyncpg.connect(postgres_server("postgres"))
        try:
            await db.execute(statement)
        finally:
            await db.close()

    asyncio.run(execute("CREATE DATABASE unprepared"))
    yield postgres_server("unprepared")
    asyncio.run(execute("DROP DATABASE unprepared WITH (FORCE)"))


async def test_an_empty_database_is_migrated_and_gets_a_team_with_a_working_key(empty_database: str) -> None:
    environment = {"DATABASE_URL": empty_database}
    # Two at once, as when an operator applies the manifests twice: one migrates, the other finds it done.
    done = await asyncio.gather(*(_common("migrate", environment=environment) for _ in range(2)))
    assert [(status, output) for status, output, _ in done] == [(0, "The database is up to date.\n")] * 2

    created = await _common("tenant", "create", "Northwind", "ada@northwind.example", environment=environment)
    assert created[0] == 0
    key = created[1].strip()
    assert key.startswith(API_KEY_PREFIX)

    db = await asyncpg.connect(empty_database)
    try:
        assert await current_revision(db) == head()
        owner = await db.fetchrow(
            "SELECT t.name, u.email, u.role FROM api_key k JOIN user_account u ON u.id = k.user_id"
            " JOIN tenant t ON t.id = k.tenant_id WHERE k.key_hash = $1",
            hash_api_key(key),
        )
    finally:
        await db.close()
    assert owner is not None
    assert tuple(owner) == ("Northwind", "ada@northwind.example", "owner")


async def test_missing_topics_are_created_and_present_ones_left_alone(kafka: KafkaSettings) -> None:
    prefix = f"{kafka.kafka_topic_prefix}prepared."
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.kafka_bootstrap_servers,
        "KAFKA_PROFILE": kafka.kafka_profile.value,
        "KAFKA_TOPIC_PREFIX": prefix,
    }
    first = await _common("topics", environment=environment)
    assert first[:2] == (0, f"{len(TOPICS)} topics, {len(TOPICS)} of them new.\n"), first[2]
    second = await _common("topics", environment=environment)
    assert second[:2] == (0, f"{len(TOPICS)} topics, 0 of them new.\n"), second[2]
    assert await ensure_topics(kafka.model_copy(update={"kafka_topic_prefix": prefix})) == 0


async def test_an_unreachable_database_is_reported_in_one_line_without_its_password() -> None:
    url = "postgresql://carillon:hunter2@127.0.0.1:1/carillon"
    status, output, errors = await _common("migrate", environment={"DATABASE_URL": url})
    assert (status, output) == (1, "")
    assert len(errors.splitlines()) == 1
    assert "hunter2" not in errors


async def test_a_missing_setting_is_named() -> None:
    status, _, errors = await _common("migrate")
    assert status == 78
    assert errors.startswith("DATABASE_URL: is not set")


async def test_a_new_key_has_the_given_name() -> None:
    status, output, _ = await _common("keys", "new", "k2")
    assert status == 0
    assert list(KeyRing.parse(output.strip()).keys) == ["k2"]
    assert output != (await _common("keys", "new", "k2"))[1]


@pytest.mark.parametrize("arguments", [["topics", "--replication", "0"], ["tenant"], []])
async def test_an_invalid_command_is_rejected(arguments: list[str]) -> None:
    status, output, errors = await _common(*arguments)
    assert (status, output) == (2, "")
    assert "usage:" in errors


async def test_the_retention_of_dead_letters_follows_the_setting_in_existing_topics(
    kafka: KafkaSettings,
) -> None:
    if kafka.kafka_profile is KafkaProfile.EMBEDDED:
        pytest.skip("the embedded broker keeps nothing")
    name = kafka.kafka_topic_prefix + "automation.run.dlq"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.kafka_bootstrap_servers)
    await admin.start()

    async def configured() -> dict[str, str]:
        [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
        [resource] = answer.resources
        return {entry[0]: entry[1] for entry in resource[4]}

    async def is_kept_for(days: int) -> bool:
        return (await configured()).get("retention.ms") == str(days * 86_400_000)

    try:
        await eventually(configured, what="the topic this test's broker was made with is known")
        for days in (3, 5):
            await ensure_topics(kafka.model_copy(update={"dead_letter_retention_days": days}))
            # The broker learns of it from the controller a moment after that has agreed.
            await eventually(partial(is_kept_for, days))
            assert (await configured())["max.message.bytes"] == str(2 * MAX_RECORD_BYTES)
    finally:
        await admin.close()
