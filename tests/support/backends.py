"""PostgreSQL and Kafka for the tests, as `--backend` says: embedded, in containers, or Apache Kafka."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from carillon.child import Child, Program
from carillon.kafka import KAFKA_VERSION, Kafka, install, unavailable
from carillon.ports import free_port
from carillon.postgres import DATABASE, Postgres
from carillon.tansu import Tansu
from common.broker import ensure_topics
from common.settings import KafkaProfile, KafkaSettings

BACKENDS = ("embedded", "containers", "kafka")
_PASSWORD = "only-for-tests"


def require(backend: str) -> None:
    """End the session with one clear line where the chosen backend cannot run."""
    if backend == "kafka" and (reason := unavailable()) is not None:
        pytest.exit(f"--backend=kafka: {reason}", returncode=4)
    if backend == "containers":
        import docker
        from docker.errors import DockerException

        try:
            client = docker.from_env()
            client.close()
        except DockerException:
            pytest.exit("--backend=containers needs a container engine: start Docker", returncode=4)


@contextlib.contextmanager
def running(program: Program, logs: Path) -> Iterator[Child]:
    """A program, ready, for the length of the block."""
    child = Child(program, logs / f"{program.name}.log")
    asyncio.run(child.start())
    try:
        yield child
    finally:
        asyncio.run(child.stop(timeout=5.0))


@contextlib.contextmanager
def postgres(backend: str, folder: Path) -> Iterator[Callable[[str], str]]:
    """A server, as the function from a database's name to its URL; its user may create databases."""
    if backend == "containers":
        from testcontainers.postgres import PostgresContainer

        container = PostgresContainer("postgres:18", username="carillon", password=_PASSWORD, dbname=DATABASE)
        with container:
            address = f"{container.get_container_host_ip()}:{container.get_exposed_port(5432)}"
            yield lambda name: f"postgresql://carillon:{_PASSWORD}@{address}/{name}"
        return
    server = Postgres(folder / "postgres", free_port(), _PASSWORD, durable=False)
    with running(server.program(), folder):
        yield server.url


class Broker:
    """The Kafka of a test: restartable where it is a process of ours."""

    def __init__(self, settings: KafkaSettings, child: Child | None) -> None:
        self.settings = settings
        self._child = child

    def with_prefix(self, prefix: str) -> Self:
        """The same broker under other names of topics and groups, created now."""
        settings = kafka_settings(self.settings.kafka_bootstrap_servers, self.settings.kafka_profile, prefix)
        asyncio.run(ensure_topics(settings))
        return type(self)(settings, self._child)

    async def restart(self) -> None:
        """Kill it and start it again, topics included; the embedded one has then lost everything."""
        if self._child is None:
            pytest.skip("this backend's broker cannot be restarted by a test")
        self._child.kill()
        await self._child.start()
        await ensure_topics(self.settings)

    def kill(self) -> None:
        """End it; `restart` brings it back."""
        if self._child is None:
            pytest.skip("this backend's broker cannot be killed by a test")
        self._child.kill()

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers."""
        if self._child is None:
            pytest.skip("this backend's broker cannot be paused by a test")
        self._child.pause()

    def resume(self) -> None:
        """Undo `pause`."""
        if self._child is not None:
            self._child.resume()


@contextlib.contextmanager
def broker(backend: str, folder: Path, cache: Path) -> Iterator[Broker]:
    """A broker with no topics but the default ones."""
    if backend == "containers":
        from testcontainers.kafka import KafkaContainer

        with KafkaContainer().with_kraft() as container:
            settings = kafka_settings(container.get_bootstrap_server(), KafkaProfile.APACHE)
            asyncio.run(ensure_topics(settings))
            yield Broker(settings, None)
        return
    server: Kafka | Tansu
    if backend == "kafka":
        libraries = cache / f"kafka-{KAFKA_VERSION}"
        with _locked(cache / "kafka.lock"):
            install(libraries)
        server = Kafka(folder / "kafka", libraries, free_port(), free_port())
        settings = kafka_settings(server.bootstrap_servers, KafkaProfile.APACHE)
    else:
        server = Tansu(free_port())
        settings = kafka_settings(server.bootstrap_servers, KafkaProfile.EMBEDDED)
    with running(server.program(topics_of(settings)), folder) as child:
        yield Broker(settings, child)


def kafka_settings(bootstrap_servers: str, profile: KafkaProfile, prefix: str = "") -> KafkaSettings:
    """Settings for a client of this broker, whatever the environment says."""
    return KafkaSettings(
        kafka_bootstrap_servers=bootstrap_servers, kafka_profile=profile, kafka_topic_prefix=prefix
    )


def topics_of(settings: KafkaSettings) -> Callable[[], Awaitable[None]]:
    """What creates the topics of these settings."""

    async def create() -> None:
        await ensure_topics(settings)

    return create


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
