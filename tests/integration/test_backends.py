"""The tests' own servers: what every other test relies on."""

from __future__ import annotations

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient

from common.broker import TOPICS
from common.settings import KafkaSettings
from tests.support.backends import Broker
from tests.support.polling import eventually


async def test_each_database_is_migrated_and_separate(database_url: str) -> None:
    db = await asyncpg.connect(database_url)
    try:
        assert await db.fetchval("SELECT count(*) FROM automation") == 0
    finally:
        await db.close()


async def test_topics_exist_with_their_partitions(kafka: KafkaSettings) -> None:
    wanted = {kafka.kafka_topic_prefix + topic.name: topic.partitions for topic in TOPICS}

    async def exist() -> bool:
        return wanted.items() <= (await _topics(kafka)).items()

    await eventually(exist)


async def test_topics_exist_again_after_the_broker_was_killed(broker: Broker) -> None:
    await broker.restart()
    wanted = {broker.settings.kafka_topic_prefix + topic.name for topic in TOPICS}

    async def exist() -> bool:
        return wanted <= (await _topics(broker.settings)).keys()

    await eventually(exist)


async def _topics(kafka: KafkaSettings) -> dict[str, int]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.kafka_bootstrap_servers)
    await admin.start()
    try:
        return {
            topic["topic"]: len(topic["partitions"])
            for topic in await admin.describe_topics(await admin.list_topics())
        }
    finally:
        await admin.close()
