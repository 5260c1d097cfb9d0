"""What makes up a running Carillon: which programs, on which ports, with which settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from carillon.child import Program
from carillon.client import Sandbox
from carillon.kafka import KAFKA_VERSION, Kafka
from carillon.ports import LOOPBACK, free_port
from carillon.postgres import Postgres
from carillon.seed import HOOK
from carillon.services import SANDBOX, SANDBOX_APPS, service_program, vendors_at
from carillon.state import Secrets, StateFolder
from carillon.tansu import Tansu
from common.broker import ensure_topics
from common.settings import KafkaProfile, KafkaSettings

DEFAULT_PORT = 8000
SERVICES = ("api", "scheduler", "executor-1", "executor-2", "notifier")

_SANDBOX_PORT = 8090
"""People open its page, so its port is fixed; the other ports are free ones."""
_INTERNAL = ("scheduler", "executor-1", "executor-2", "notifier", "postgres", "broker", "controller")
_DRAIN_SECONDS = "4"


class BrokerChoice(StrEnum):
    """Which broker to run where none is named."""

    EMBEDDED = "embedded"
    KAFKA = "kafka"


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for. With `port` None, every port is one the system picks.

    `database_url` and `kafka` name servers to use in place of embedded ones.
    """

    state: StateFolder
    port: int | None = DEFAULT_PORT
    host: str = LOOPBACK
    broker: BrokerChoice = BrokerChoice.EMBEDDED
    database_url: str | None = field(default=None, repr=False)
    kafka: KafkaSettings | None = None

    @property
    def kafka_libraries(self) -> Path:
        """Where Apache Kafka's jars are, or will be."""
        return self.state.cache.absolute() / f"kafka-{KAFKA_VERSION}"

    @property
    def runs_apache_kafka(self) -> bool:
        """Whether this machine must be able to run Apache Kafka."""
        return self.kafka is None and self.broker is BrokerChoice.KAFKA


@dataclass(frozen=True, slots=True)
class Plan:
    """Programs in the order in which they start, and where to reach what runs.

    The topics of `kafka` are created with each start of an embedded broker; `brings_broker` says whether
    there is one among the servers.
    """

    servers: tuple[Program, ...]
    sandbox: Program
    services: tuple[Program, ...]
    ports: Mapping[str, int]
    database_url: str = field(repr=False)
    kafka: KafkaSettings
    brings_broker: bool

    @property
    def console(self) -> str:
        """The web console and the API, for a person."""
        return f"http://localhost:{self.ports['api']}"

    @property
    def api_origin(self) -> str:
        """The API, for a program on this machine."""
        return f"http://{LOOPBACK}:{self.ports['api']}"

    @property
    def sandbox_page(self) -> str:
        """The sandbox's page, for a person."""
        return f"http://localhost:{self.ports['sandbox']}"

    @property
    def sandbox_origin(self) -> str:
        """The sandbox, for a program on this machine."""
        return f"http://{LOOPBACK}:{self.ports['sandbox']}"


def make_plan(options: Options, secrets: Secrets) -> Plan:
    """Decide everything; starts nothing, but picks ports that are free now."""
    ports = _ports(options.port)
    servers: list[Program] = []
    database_url = options.database_url
    if database_url is None:
        data = options.state.postgres.absolute()
        postgres = Postgres(data, ports["postgres"], secrets.postgres_password)
        database_url = postgres.url()
        servers.append(postgres.program())
    kafka = options.kafka
    if kafka is None:
        broker, kafka = _broker(options, ports)
        servers.append(broker)
    environment = {
        "DATABASE_URL": database_url,
        "KAFKA_BOOTSTRAP_SERVERS": kafka.kafka_bootstrap_servers,
        "KAFKA_PROFILE": kafka.kafka_profile.value,
        "KAFKA_TOPIC_PREFIX": kafka.kafka_topic_prefix,
        "ENCRYPTION_KEYS": os.environ.get("ENCRYPTION_KEYS", secrets.encryption_keys),
        "LOG_FORMAT": "json",
        "DRAIN_TIMEOUT": os.environ.get("DRAIN_TIMEOUT", _DRAIN_SECONDS),
        "PUBLIC_URL": f"http://localhost:{ports['api']}",
        "RECORDING_STORE_URL": os.environ.get("RECORDING_STORE_URL", _store(options.state)),
        **vendors_at(ports["sandbox"]),
        **SANDBOX_APPS,
    }

    async def expect_signatures() -> None:
        async with Sandbox.connected(f"http://{LOOPBACK}:{ports['sandbox']}") as sandbox:
            await sandbox.expect_signature(HOOK, secrets.webhook_secret)

    of_api = {"HOST": options.host, "DEMO_API_KEY": secrets.api_key}
    return Plan(
        servers=tuple(servers),
        sandbox=service_program(
            SANDBOX,
            name=SANDBOX,
            port=ports["sandbox"],
            environment={"HOST": options.host, **SANDBOX_APPS},
            after_start=expect_signatures,
        ),
        services=tuple(
            service_program(
                name.partition("-")[0],
                name=name,
                port=ports[name],
                environment=environment | (of_api if name == "api" else {}),
            )
            for name in SERVICES
        ),
        ports=ports,
        database_url=database_url,
        kafka=kafka,
        brings_broker=options.kafka is None,
    )


def _store(state: StateFolder) -> str:
    return state.recordings.absolute().as_uri()


def _ports(console: int | None) -> dict[str, int]:
    if console is None:
        return {name: free_port() for name in ("api", "sandbox", *_INTERNAL)}
    named = {"api": console, "sandbox": free_port(_SANDBOX_PORT)}
    return named | {name: free_port() for name in _INTERNAL}


def _broker(options: Options, ports: Mapping[str, int]) -> tuple[Program, KafkaSettings]:
    async def create_topics() -> None:
        await ensure_topics(settings)

    if options.broker is BrokerChoice.KAFKA:
        kafka = Kafka(
            folder=options.state.kafka.absolute(),
            libraries=options.kafka_libraries,
            port=ports["broker"],
            controller_port=ports["controller"],
        )
        settings = _settings(kafka.bootstrap_servers, KafkaProfile.APACHE)
        return kafka.program(create_topics), settings
    tansu = Tansu(ports["broker"])
    settings = _settings(tansu.bootstrap_servers, KafkaProfile.EMBEDDED)
    # It loses its topics when it ends, and no client may connect before they are created again.
    return tansu.program(create_topics, holds=frozenset(SERVICES)), settings


def _settings(bootstrap_servers: str, profile: KafkaProfile) -> KafkaSettings:
    return KafkaSettings(
        kafka_bootstrap_servers=bootstrap_servers, kafka_profile=profile, kafka_topic_prefix=""
    )
