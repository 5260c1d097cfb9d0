"""The embedded PostgreSQL starts on whatever its predecessor left, and stops without losing anything."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from carillon.child import Child, NotReady
from carillon.ports import free_port
from carillon.postgres import Postgres, UnusableDataFolder
from tests.support.command import is_alive
from tests.support.polling import eventually


@pytest.fixture
def postgres(tmp_path: Path) -> Postgres:
    return Postgres(tmp_path / "data", free_port(), "secret", durable=False)


@pytest.fixture
async def server(postgres: Postgres, tmp_path: Path) -> AsyncIterator[Child]:
    child = Child(postgres.program(), tmp_path / "postgres.log")
    await child.start()
    yield child
    child.kill()


async def _rows(postgres: Postgres) -> list[int]:
    db = await asyncpg.connect(postgres.url())
    try:
        return [row["x"] for row in await db.fetch("SELECT x FROM kept ORDER BY x")]
    finally:
        await db.close()


async def _keep(postgres: Postgres, value: int) -> None:
    db = await asyncpg.connect(postgres.url())
    try:
        await db.execute("CREATE TABLE IF NOT EXISTS kept (x int)")
        await db.execute("INSERT INTO kept VALUES ($1)", value)
    finally:
        await db.close()


async def test_it_asks_for_the_password(postgres: Postgres, server: Child) -> None:
    wrong = Postgres(postgres.data, postgres.port, "wrong")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(wrong.url())


async def test_data_survives_a_stop_and_a_kill(postgres: Postgres, server: Child) -> None:
    await _keep(postgres, 1)
    assert await server.stop(timeout=5)
    await server.start()
    await _keep(postgres, 2)
    server.kill()
    await server.start()
    assert await _rows(postgres) == [1, 2]


async def test_it_stops_at_once_with_connected_clients(postgres: Postgres, server: Child) -> None:
    db = await asyncpg.connect(postgres.url())
    assert await server.stop(timeout=5)
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await db.fetchval("SELECT 1")


async def test_a_stale_lock_file_with_a_reused_pid_does_not_stop_it(
    postgres: Postgres, server: Child
) -> None:
    await _keep(postgres, 1)
    lock = (postgres.data / "postmaster.pid").read_text()
    server.kill()
    (postgres.data / "postmaster.pid").write_text(lock.replace(str(server.pid), str(os.getppid()), 1))
    await server.start()
    assert await _rows(postgres) == [1]


async def test_a_server_left_running_is_replaced(postgres: Postgres, server: Child, tmp_path: Path) -> None:
    await _keep(postgres, 1)
    left = psutil.Process(server.pid)
    left.send_signal(signal.SIGHUP)  # reloads its settings; a sign of life, and it stays
    again = Child(Postgres(postgres.data, free_port(), "secret").program(), tmp_path / "again.log")
    try:
        await again.start()
        await asyncio.wait_for(server.exited(), 5)
        assert again.is_alive
    finally:
        again.kill()


async def test_data_of_another_version_is_refused(postgres: Postgres, server: Child) -> None:
    assert await server.stop(timeout=5)
    (postgres.data / "PG_VERSION").write_text("17\n")
    with pytest.raises(UnusableDataFolder, match="made by PostgreSQL 17"):
        await server.start()


async def test_an_interrupted_first_start_is_repeated(postgres: Postgres, tmp_path: Path) -> None:
    postgres.data.mkdir()
    (postgres.data / "half").touch()
    child = Child(postgres.program(), tmp_path / "postgres.log")
    try:
        await child.start()
        assert not (postgres.data / "half").exists()
    finally:
        child.kill()


async def test_a_port_in_use_is_reported_with_the_servers_message(
    postgres: Postgres, server: Child, tmp_path: Path
) -> None:
    other = Postgres(tmp_path / "other", postgres.port, "secret", durable=False)
    child = Child(other.program(), tmp_path / "other.log")
    with pytest.raises(NotReady, match="Address already in use"):
        await child.start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as another user")
async def test_as_root_it_runs_as_nobody_even_behind_a_closed_folder(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    postgres = Postgres(closed / "data", free_port(), "secret", durable=False)
    child = Child(postgres.program(), tmp_path / "postgres.log")
    try:
        await child.start()
        await _keep(postgres, 1)
        assert psutil.Process(child.pid).username() == "nobody"
        assert closed.stat().st_mode & 0o777 == 0o700
    finally:
        child.kill()


async def test_no_process_is_left_after_a_kill(server: Child) -> None:
    workers = psutil.Process(server.pid).children(recursive=True)
    assert workers
    server.kill()
    await eventually(lambda: not any(is_alive(worker) for worker in workers))
