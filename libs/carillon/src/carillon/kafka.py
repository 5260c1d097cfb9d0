"""Real Apache Kafka on this machine: a single KRaft node, fetched by Maven and run by Java."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from carillon.child import Program, accepts
from carillon.errors import Obstacle

KAFKA_VERSION = "4.1.1"
_LOG4J_VERSION = "2.25.4"
_ARTIFACTS = (
    ("org.apache.kafka", "kafka_2.13", KAFKA_VERSION),
    ("org.apache.logging.log4j", "log4j-core", _LOG4J_VERSION),
    ("org.apache.logging.log4j", "log4j-slf4j-impl", _LOG4J_VERSION),
    ("org.apache.logging.log4j", "log4j-1.2-api", _LOG4J_VERSION),
)
_DOWNLOAD_TIMEOUT = 600.0
_JVM = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


class MissingTool(Obstacle):
    """Apache Kafka cannot be run here; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Kafka:
    """A single-node Apache Kafka with its data in `folder` and its jars in `libraries`."""

    folder: Path
    libraries: Path
    port: int
    controller_port: int

    @property
    def bootstrap_servers(self) -> str:
        """What clients connect to."""
        return f"127.0.0.1:{self.port}"

    def program(
        self, create_topics: Callable[[], Awaitable[None]], holds: frozenset[str] = frozenset()
    ) -> Program:
        """How to run it; the same contract as the embedded broker's."""

        async def is_ready() -> bool:
            return await accepts(self.port)

        async def prepare() -> None:
            await asyncio.to_thread(self._prepare)

        return Program(
            name="broker",
            command=(_java(), *_JVM, "-cp", self._classpath, "kafka.Kafka", str(self._properties)),
            environment=_environment(),
            is_ready=is_ready,
            prepare=prepare,
            after_start=create_topics,
            holds=holds,
            start_timeout=60.0,
        )

    @property
    def _classpath(self) -> str:
        return f"{self.libraries}/*"

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"

    def _prepare(self) -> None:
        install(self.libraries)
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = (f"{name}={value}" for name, value in self._settings().items())
        self._properties.write_text("\n".join(lines) + "\n")
        if (self.folder / "data" / "meta.properties").exists():
            return
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        storage_tool = ("-cp", self._classpath, "kafka.tools.StorageTool", "format", "--standalone")
        # one word each: the id may begin with a dash
        settings = (f"--cluster-id={cluster_id}", f"--config={self._properties}")
        formatted = subprocess.run(
            [_java(), *_JVM, *storage_tool, *settings],
            env=_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if formatted.returncode != 0:
            raise MissingTool(f"Kafka cannot use {self.folder}: {formatted.stdout}{formatted.stderr}".strip())

    def _settings(self) -> Mapping[str, str]:
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{self.controller_port}",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": str(self.folder / "data"),
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            # a node that was killed may come back once its session has ended
            "broker.session.timeout.ms": "2000",
            "broker.heartbeat.interval.ms": "500",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            "auto.create.topics.enable": "false",
        }


def unavailable() -> str | None:
    """Why Apache Kafka cannot be run here, in one line; None when it can."""
    missing = [tool for tool in ("java", "mvn") if shutil.which(tool) is None]
    if not missing:
        return None
    return f"Apache Kafka needs Java 17 and Maven; not found: {', '.join(missing)} (install them, or omit it)"


def is_installed(libraries: Path) -> bool:
    """Whether Kafka's jars are there."""
    return libraries.is_dir()


def install(libraries: Path) -> None:
    """Fetch Kafka's jars into `libraries`, once. Raises MissingTool."""
    if is_installed(libraries):
        return
    reason = unavailable()
    if reason is not None:
        raise MissingTool(reason)
    libraries.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=libraries.parent, prefix="kafka-") as scratch:
        work = Path(scratch)
        (work / "pom.xml").write_text(_project())
        fetched = subprocess.run(
            [
                "mvn",
                "--batch-mode",
                "--quiet",
                f"--file={work / 'pom.xml'}",
                f"-Dmaven.repo.local={work / 'repository'}",
                "dependency:copy-dependencies",
                "-DincludeScope=runtime",
                f"-DoutputDirectory={work / 'libraries'}",
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_DOWNLOAD_TIMEOUT,
        )
        if fetched.returncode != 0:
            raise MissingTool(f"Maven could not fetch Apache Kafka: {fetched.stdout[-2000:]}")
        (work / "libraries").rename(libraries)


def _project() -> str:
    dependencies = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>"
        f"<version>{version}</version></dependency>"
        for group, artifact, version in _ARTIFACTS
    )
    return (
        "<project><modelVersion>4.0.0</modelVersion><groupId>carillon</groupId>"
        "<artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>"
        f"<dependencies>{dependencies}</dependencies></project>"
    )


def _java() -> str:
    java = shutil.which("java")
    if java is None:
        raise MissingTool(unavailable() or "java is gone")
    return java


def _environment() -> dict[str, str]:
    kept = ("PATH", "HOME", "JAVA_HOME", "LANG")
    return {name: os.environ[name] for name in kept if name in os.environ}
