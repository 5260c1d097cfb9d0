"""Kafka: the topics, and the client options for each kind of broker.

Options differ by profile because the embedded broker is memory-only and supports neither idempotent
producing nor long sessions; every figure was measured against that broker and Apache Kafka 4.1.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from common.events import EVENT_TYPES
from common.settings import KafkaProfile, KafkaSettings

# A member that was killed keeps its partitions, and every rejoin of its group waiting, until its session
# ends. Kafka's default of 45 s did just that to a restarted executor; nothing blocks our heartbeats.
APACHE_SESSION_TIMEOUT_MS = 10_000

BROKER_ERRORS = (KafkaError,)
"""Errors of a broker that is unreachable or refuses a request."""

PARTITIONS = 12
DEAD_LETTER_SUFFIX = ".dlq"
MAX_RECORD_BYTES = 1024 * 1024

# A consumer that is handed a batch holds it until it has claimed every run in it, which under load can take
# as long as the longest handler. The broker is not asked to police that; each service reports the age of
# its last poll in /readyz instead.
MAX_POLL_INTERVAL_MS = 3_600_000


# aiokafka waits for a tenth of a second by default. While the broker refuses connections, an executor with
# its four groups then spends an eighth of a core on trying.
RETRY_BACKOFF_MS = 500


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic and the settings it is created with."""

    name: str
    partitions: int = PARTITIONS
    config: Mapping[str, str] | None = None


def _topics() -> tuple[Topic, ...]:
    names = sorted({topic for event in EVENT_TYPES.values() for topic in event.topics})
    compacted = {"automation.changed": {"cleanup.policy": "compact"}}
    live = [Topic(name, config=compacted.get(name)) for name in names]
    # A dead letter is the original record plus headers, so it must be allowed to be larger.
    dead = [
        Topic(
            name + DEAD_LETTER_SUFFIX, partitions=1, config={"max.message.bytes": str(2 * MAX_RECORD_BYTES)}
        )
        for name in names
    ]
    return (*live, *dead)


TOPICS = _topics()


def producer_options(settings: KafkaSettings) -> dict[str, Any]:
    """Options for an aiokafka producer: every acknowledged record is on all in-sync replicas."""
    return {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "acks": "all",
        "enable_idempotence": settings.kafka_profile is KafkaProfile.APACHE,
        "linger_ms": 5,
        "max_batch_size": 256 * 1024,
        "max_request_size": 2 * MAX_RECORD_BYTES,
        "request_timeout_ms": 10_000,
        "retry_backoff_ms": RETRY_BACKOFF_MS,
    }


def consumer_options(settings: KafkaSettings) -> dict[str, Any]:
    """Options for a FastStream subscriber, per profile."""
    embedded = settings.kafka_profile is KafkaProfile.EMBEDDED
    return {
        "auto_offset_reset": "earliest",
        "session_timeout_ms": 2_000 if embedded else APACHE_SESSION_TIMEOUT_MS,
        "heartbeat_interval_ms": 500 if embedded else 3_000,
        "fetch_max_wait_ms": 100 if embedded else 500,
        "max_poll_interval_ms": MAX_POLL_INTERVAL_MS,
    }


def create_producer(settings: KafkaSettings, *, client_id: str) -> AIOKafkaProducer:
    """A producer for the relay and for dead letters; the caller starts and stops it."""
    return AIOKafkaProducer(client_id=client_id, **producer_options(settings))


async def ensure_topics(settings: KafkaSettings, *, replication: int = 1, timeout: float = 30.0) -> int:
    """Create the topics that do not exist yet; returns how many were created.

    Retries until `timeout` seconds have passed, because a broker that has just started may refuse.
    """
    deadline = asyncio.get_running_loop().time() + timeout
    while True:
        try:
            return await _create_topics(settings, replication)
        except (KafkaError, OSError):
            if asyncio.get_running_loop().time() >= deadline:
                raise
            await asyncio.sleep(0.2)


def _config(topic: Topic, settings: KafkaSettings) -> dict[str, str]:
    if not topic.name.endswith(DEAD_LETTER_SUFFIX):
        return dict(topic.config or {})
    kept = timedelta(days=settings.dead_letter_retention_days)
    return {**(topic.config or {}), "retention.ms": str(kept // timedelta(milliseconds=1))}


async def _keep_dead_letters(
    admin: AIOKafkaAdminClient, settings: KafkaSettings, existing: Container[str]
) -> None:
    """Let topics made under another retention follow the setting. The embedded broker keeps none."""
    if settings.kafka_profile is KafkaProfile.EMBEDDED:
        return
    named = {settings.kafka_topic_prefix + topic.name: topic for topic in TOPICS}
    resources = [
        ConfigResource(ConfigResourceType.TOPIC, name, _config(topic, settings))
        for name, topic in named.items()
        if name in existing and topic.name.endswith(DEAD_LETTER_SUFFIX)
    ]
    if not resources:
        return
    for response in await admin.alter_configs(resources):
        for code, *_detail, name in response.resources:
            if code:
                raise for_code(code)(name)


async def _create_topics(settings: KafkaSettings, replication: int) -> int:
    admin = AIOKafkaAdminClient(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        client_id="carillon-topics",
        request_timeout_ms=10_000,
    )
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        missing = [
            NewTopic(
                name=settings.kafka_topic_prefix + topic.name,
                num_partitions=topic.partitions,
                replication_factor=replication,
                topic_configs=_config(topic, settings),
            )
            for topic in TOPICS
            if settings.kafka_topic_prefix + topic.name not in existing
        ]
        await _keep_dead_letters(admin, settings, existing)
        if not missing:
            return 0
        response = await admin.create_topics(missing)
        created = 0
        for name, code, *_detail in response.topic_errors:
            error = for_code(code)
            # Another process may have created it between the two calls; the outcome is the one we want.
            if code and error is not TopicAlreadyExistsError:
                raise error(name)
            created += not code
        return created
    finally:
        await admin.close()
