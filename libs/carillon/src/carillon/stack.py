"""The whole of Carillon on this machine, started and stopped as one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
from aiokafka.errors import KafkaError
from sqlalchemy.exc import SQLAlchemyError

from carillon.errors import Obstacle
from carillon.kafka import install, is_installed, unavailable
from carillon.plan import Options, Plan, make_plan
from carillon.preflight import folder_problem, port_problem
from carillon.seed import OWNER, TEAM
from carillon.state import Secrets
from carillon.supervisor import Incident, Supervisor
from common.broker import ensure_topics
from common.database.migrate import upgrade_async
from common.errors import ConfigurationError
from common.tenants import bootstrap

# Seconds for the services, for the sandbox, for the servers: within ten together.
_PATIENCE = (5.0, 1.0, 2.0)


class Stack:
    """PostgreSQL, broker, sandbox and services as children of this process."""

    def __init__(
        self,
        plan: Plan,
        secrets: Secrets,
        supervisor: Supervisor,
        logs: Path,
        progress: Callable[[str], None],
    ) -> None:
        self.plan = plan
        self.secrets = secrets
        self.logs = logs
        self._supervisor = supervisor
        self._progress = progress

    def pids(self) -> dict[str, int]:
        """Process ids by name."""
        return self._supervisor.pids()

    async def start(self) -> None:
        """Start everything; returns when every part answers that it is ready."""
        if self.plan.servers:
            self._progress("starting " + " and ".join(server.name for server in self.plan.servers))
        await self._supervisor.start(*self.plan.servers)
        if not self.plan.brings_broker:
            await self._create_topics()
        self._progress("bringing the database up to date")
        await asyncio.gather(self._prepare_database(), self._supervisor.start(self.plan.sandbox))
        self._progress("starting the services")
        await self._supervisor.start(*self.plan.services)

    async def stop(self) -> list[str]:
        """Stop everything within ten seconds; returns what had to be killed."""
        return await self._supervisor.stop(_PATIENCE)

    def kill(self) -> None:
        """End everything at once."""
        self._supervisor.kill()

    async def _create_topics(self) -> None:
        try:
            await ensure_topics(self.plan.kafka)
        except (KafkaError, OSError) as error:
            where = self.plan.kafka.kafka_bootstrap_servers
            raise Obstacle(f"cannot use the Kafka at {where} (KAFKA_BOOTSTRAP_SERVERS): {error}") from error

    async def _prepare_database(self) -> None:
        url, key = self.plan.database_url, self.secrets.api_key
        try:
            await upgrade_async(url)
            await bootstrap(url, tenant_name=TEAM, user_email=OWNER, api_key=key, key_name="demo")
        except (asyncpg.PostgresError, SQLAlchemyError, OSError, ConfigurationError) as error:
            raise Obstacle(f"cannot prepare the database: {error}") from error


@contextlib.asynccontextmanager
async def running(
    options: Options, report: Callable[[Incident], None], progress: Callable[[str], None]
) -> AsyncIterator[Stack]:
    """A started stack for the length of the block. Raises Obstacle, NotReady, StateInUse."""
    url = f"http://localhost:{options.port}" if options.port else "on ports of its own"
    await asyncio.to_thread(_require_folder, options)
    with options.state.claimed(url):
        await asyncio.to_thread(_require_port_and_tools, options)
        if options.runs_apache_kafka and not is_installed(options.kafka_libraries):
            progress("fetching Apache Kafka by Maven: once, about a minute")
            await asyncio.to_thread(install, options.kafka_libraries)
        secrets = options.state.secrets()
        logs = options.state.logs.absolute()
        stack = Stack(make_plan(options, secrets), secrets, Supervisor(logs, report), logs, progress)
        try:
            await stack.start()
            yield stack
        finally:
            progress("stopping")
            try:
                await stack.stop()
            finally:
                stack.kill()  # whatever is left when the stop itself is cut short


def _require_folder(options: Options) -> None:
    problem = folder_problem(options.state.root, options.state.postgres)
    if problem is not None:
        raise Obstacle(problem)


def _require_port_and_tools(options: Options) -> None:
    problem = unavailable() if options.runs_apache_kafka else None
    if problem is None and options.port is not None:
        other = options.port + 1
        remedy = f"choose another: carillon up --port {other} (make up PORT={other})"
        problem = port_problem(options.port, options.host, remedy=remedy)
    if problem is not None:
        raise Obstacle(problem)
