"""Backends and processes for every test: real servers, started once, isolated per test."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from carillon.services import vendors_at
from common.secrets.crypto import new_encryption_key
from common.settings import KafkaSettings
from tests.support import backends
from tests.support.backends import Broker
from tests.support.databases import Databases, create_template
from tests.support.stack import Service, Stack

pytest_plugins = ["tests.support.figures"]

# How long an example takes says something about the machine, not about the code: benchmarks measure time. In
# CI the examples are the same every time, so that a red build is about the change; people explore.
hypothesis.settings.register_profile("carillon", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "carillon")

_ROOT = Path(__file__).parent.parent
_CACHE = _ROOT / ".carillon" / "cache"
_prefixes = itertools.count(1)
BROKERS = frozenset({"broker", "shared_broker", "kafka"})
"""Fixtures by which a test uses the broker, directly or through others."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--backend",
        choices=backends.BACKENDS,
        default="embedded",
        help="embedded (default), containers, or kafka: embedded PostgreSQL with a real Apache Kafka",
    )
    parser.addoption(
        "--only-broker",
        action="store_true",
        help="only tests that use the broker: the others do not care which one it is",
    )


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        backends.require(config.getoption("--backend"))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--only-broker"):
        others = [item for item in items if BROKERS.isdisjoint(getattr(item, "fixturenames", ()))]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in set(others)]
    if config.getoption("--backend") == "embedded":
        for item in items:
            if item.get_closest_marker("kafka"):
                item.add_marker(pytest.mark.skip(reason="needs --backend=kafka or --backend=containers"))
            if item.get_closest_marker("containers"):
                item.add_marker(pytest.mark.skip(reason="needs --backend=containers"))


@pytest.fixture(scope="session")
def backend(request: pytest.FixtureRequest) -> str:
    """What `--backend` chose."""
    name: str = request.config.getoption("--backend")
    return name


@pytest.fixture(scope="session")
def postgres_server(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """One PostgreSQL for the session (for each worker under xdist): database name → URL, as superuser."""
    with backends.postgres(backend, tmp_path_factory.mktemp("postgres")) as url:
        yield url


@pytest.fixture(scope="session")
def database_template(postgres_server: Callable[[str], str]) -> str:
    """The name of a migrated database to copy."""
    return asyncio.run(create_template(postgres_server))


@pytest.fixture(scope="session")
def databases(postgres_server: Callable[[str], str], database_template: str) -> Databases:
    """Databases that tests use one after the other."""
    return Databases(postgres_server, database_template)


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """A migrated database for this test alone, with no more in it than the migrations have put there."""
    with databases.lend() as url:
        yield url


@pytest.fixture(scope="session")
def cache() -> Path:
    """Where what was fetched is kept from one session to the next."""
    return _CACHE


@pytest.fixture(scope="session")
def shared_broker(backend: str, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The broker that lasts for the session, where starting one for each test would take too long."""
    with backends.broker(backend, tmp_path_factory.mktemp("broker"), cache) as broker:
        yield broker


@pytest.fixture
def broker(backend: str, cache: Path, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Broker]:
    """A broker with the topics, for this test alone, which may kill, freeze and restart it.

    The embedded one is a new process; elsewhere it is the session's, under a topic and group prefix of its
    own.
    """
    if backend == "embedded":
        with backends.broker(backend, tmp_path, cache) as fresh:
            yield fresh
        return
    shared: Broker = request.getfixturevalue("shared_broker")
    yield shared.with_prefix(f"t{next(_prefixes)}.")


@pytest.fixture
def kafka(broker: Broker) -> KafkaSettings:
    """Settings for a client of this test's broker."""
    return broker.settings


@pytest.fixture(scope="session")
def start_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Service]]:
    """Starts the sandbox under a name and with settings of its own; each is ended with the session."""
    started: dict[str, Service] = {}

    def start(name: str, **environment: str) -> Service:
        if name not in started:
            service = started[name] = Service("sandbox", name, environment, tmp_path_factory.mktemp(name))
            asyncio.run(service.start())
        return started[name]

    yield start
    for service in started.values():
        service.kill()


@pytest.fixture(scope="session")
def sandbox_server(start_sandbox: Callable[..., Service]) -> Service:
    """The sandbox that all tests share: give your tokens and hooks names of your own."""
    return start_sandbox("sandbox")


@pytest.fixture(scope="session")
def zoom_server(start_sandbox: Callable[..., Service]) -> Service:
    """A sandbox for tests that reset it and say who records what."""
    return start_sandbox("sandbox-zoom")


@pytest.fixture(scope="session")
def encryption_keys() -> str:
    """A fresh `ENCRYPTION_KEYS`."""
    return new_encryption_key("test")


@pytest.fixture
def stack(
    request: pytest.FixtureRequest,
    database_url: str,
    kafka: KafkaSettings,
    sandbox_server: Service,
    encryption_keys: str,
    tmp_path: Path,
) -> Iterator[Stack]:
    """A factory of service processes on this test's database and broker; ends them all afterwards."""
    services = Stack(
        {
            "DATABASE_URL": database_url,
            "KAFKA_BOOTSTRAP_SERVERS": kafka.kafka_bootstrap_servers,
            "KAFKA_PROFILE": kafka.kafka_profile.value,
            "KAFKA_TOPIC_PREFIX": kafka.kafka_topic_prefix,
            "ENCRYPTION_KEYS": encryption_keys,
            "LOG_FORMAT": "json",
            **vendors_at(sandbox_server.port),
        },
        tmp_path / "logs",
    )
    yield services
    services.close()
    if request.session.testsfailed:
        request.node.add_report_section("call", "services", services.logs())
