"""Services as real processes, for tests that start, freeze, kill and restart them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path

from carillon.child import Child
from carillon.ports import free_port
from carillon.services import service_program


class Service:
    """One process of a service. `name` is unique in a test; `kind` says which service it is."""

    def __init__(self, kind: str, name: str, environment: Mapping[str, str], logs: Path) -> None:
        self.kind = kind
        self.name = name
        self.port = free_port()
        self.metrics_port = free_port() if kind == "api" else self.port
        # Where the platforms send people back to.
        own = {"PUBLIC_URL": self.url, "METRICS_PORT": str(self.metrics_port)} if kind == "api" else {}
        program = service_program(kind, name=name, port=self.port, environment={**own, **environment})
        self._child = Child(program, logs / f"{name}.log")

    @property
    def url(self) -> str:
        """Where it serves HTTP."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    @property
    def is_alive(self) -> bool:
        """Started, and not yet gone."""
        return self._child.is_alive

    @property
    def log(self) -> str:
        """Everything it has written."""
        return self._child.log.read_text() if self._child.log.exists() else ""

    async def start(self) -> None:
        """Start it, and return once /readyz answers 200."""
        await self._child.start()

    def kill(self) -> None:
        """SIGKILL: as a crash of the machine would."""
        self._child.kill()

    def pause(self) -> None:
        """SIGSTOP: as a long garbage collection or a stalled disk would."""
        self._child.pause()

    def resume(self) -> None:
        """SIGCONT."""
        self._child.resume()

    def terminate(self) -> None:
        """SIGTERM, without waiting."""
        self._child.signal(self._child.program.stop_signal)

    async def exited(self, within: float = 15.0) -> int:
        """Wait for its end and return the exit status."""
        async with asyncio.timeout(within):
            return await self._child.exited()

    async def stop(self, timeout: float = 10.0) -> bool:
        """SIGTERM and wait. Returns whether it stopped by itself in time."""
        return await self._child.stop(timeout)

    async def restart(self) -> None:
        """Kill it and start it again on the same port."""
        self.kill()
        await self.start()


class Stack:
    """The services of one test, sharing a database, a broker and the sandbox."""

    def __init__(self, environment: Mapping[str, str], logs: Path) -> None:
        self._environment = dict(environment)
        self._logs = logs
        self._services: dict[str, Service] = {}

    @property
    def environment(self) -> Mapping[str, str]:
        """What every service of this stack is configured with, unless told otherwise."""
        return self._environment

    def __getitem__(self, name: str) -> Service:
        return self._services[name]

    async def start(self, *kinds: str, **environment: str) -> list[Service]:
        """Start one process each of these services, together; `environment` overrides for all of them.

        A second one of a kind is named `executor-2`, and so on.
        """
        started = [self.add(kind, **environment) for kind in kinds]
        await asyncio.gather(*(service.start() for service in started))
        return started

    def add(self, kind: str, **environment: str) -> Service:
        """A service that the test starts itself."""
        count = sum(service.kind == kind for service in self._services.values())
        name = kind if count == 0 else f"{kind}-{count + 1}"
        service = Service(kind, name, self._environment | environment, self._logs)
        self._services[name] = service
        return service

    def of_kind(self, kind: str) -> Iterable[Service]:
        """Every process of a service."""
        return [service for service in self._services.values() if service.kind == kind]

    def logs(self) -> str:
        """What all of them wrote, for the report of a failed test."""
        return "\n".join(
            f"----- {service.name}\n{service.log[-4000:]}" for service in self._services.values()
        )

    def close(self) -> None:
        """End everything at once; a test that cares how a service stops calls `stop` itself."""
        for service in self._services.values():
            service.kill()
