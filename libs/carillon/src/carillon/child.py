"""One child process: started, watched, stopped, and never left behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from carillon.errors import Obstacle
from carillon.identity import Identity
from carillon.launch import launched

_LOG_LIMIT = 16 * 1024 * 1024
_PROGRESS = 1 / 30
"""Processor time within `start_timeout`, as a share of it, that shows that a program gets on with its start.
One that only waits and asks again uses less."""
_LONGEST_START = 10
"""Times `start_timeout` after which a program is not ready however busy it is."""
_TELL_EVERY = 10.0
"""Seconds between two lines about a program that is still starting: an ordinary start takes less."""


class NotReady(Obstacle):
    """A program ended before it was ready, or did not become ready in time; carries its last log lines."""

    def __init__(self, name: str, reason: str, log: Path) -> None:
        self.name = name
        self.log = log
        super().__init__(f"{name} {reason}; its log, {log}, ends:\n{tail(log)}")


async def nothing() -> None:
    """Do nothing: the default of a program's `prepare` and `after_start`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run, and how to tell that it is ready.

    `prepare` runs before each start, `after_start` each time it has become ready. `holds` names the programs
    that stand still while this one starts again. Should this process die, the child gets `orphan_signal`.
    """

    name: str
    command: tuple[str, ...]
    is_ready: Callable[[], Awaitable[bool]]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    identity: Identity | None = None
    prepare: Callable[[], Awaitable[None]] = nothing
    after_start: Callable[[], Awaitable[None]] = nothing
    holds: frozenset[str] = frozenset()
    stop_signal: signal.Signals = signal.SIGTERM
    orphan_signal: signal.Signals = signal.SIGKILL
    start_timeout: float = 30.0
    """Seconds without progress after which a program is taken not to start: a busy machine makes it slow."""


class Child:
    """A running program, in a process group of its own."""

    def __init__(
        self, program: Program, log: Path, *, waits: Callable[[str], object] = lambda _words: None
    ) -> None:
        """`waits` is told every few seconds of a long start how it goes."""
        self.program = program
        self.log = log
        self._waits = waits
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id, which is also its process group's."""
        return self._running.pid

    @property
    def is_alive(self) -> bool:
        """Started, and not yet gone."""
        return self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        """Start it and return once it is ready. Raises NotReady, with nothing left running."""
        await self.program.prepare()
        self._spawn()
        try:
            await self._until_ready()
            await self.program.after_start()
        except BaseException:
            self.kill()
            raise

    async def exited(self) -> int:
        """Wait for its end. Returns the exit status, negative for a signal."""
        process = self._running
        if process.poll() is None:
            await _process_end(process)
        return process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its whole process group, if it is still there."""
        if self.is_alive:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def pause(self) -> None:
        """Freeze it where it stands (SIGSTOP)."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it and everything it started, at once (SIGKILL)."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    async def stop(self, timeout: float) -> bool:
        """Ask it to stop; kill what is left after `timeout` seconds. Returns whether it stopped by itself."""
        self.signal(self.program.stop_signal)
        self.resume()
        try:
            async with asyncio.timeout(timeout):
                await self.exited()
            return True
        except TimeoutError:
            return False
        finally:
            self.kill()

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"{self.program.name} has not been started")
        return self._process

    def _spawn(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".1.log"))
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                launched(
                    self.program.command,
                    orphan_signal=self.program.orphan_signal,
                    identity=self.program.identity,
                ),
                env=dict(self.program.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    async def _until_ready(self) -> None:
        clock, patience = asyncio.get_running_loop().time, self.program.start_timeout
        began = moved = told = clock()
        used = processor_seconds(self.pid)
        while not await self.program.is_ready():
            if not self.is_alive:
                status = await self.exited()
                raise NotReady(self.program.name, f"ended with status {status}", self.log)
            now, uses = clock(), processor_seconds(self.pid)
            if uses - used >= patience * _PROGRESS:
                moved, used = now, uses
            if now - moved > patience or now - began > patience * _LONGEST_START:
                reason = f"was not ready after {now - began:.3g} s ({uses:.1f} s of processor time)"
                raise NotReady(self.program.name, reason, self.log)
            if now - told > _TELL_EVERY:
                told = now
                self._waits(f"is still starting after {now - began:.0f} s ({uses:.1f} s of processor time)")
            await asyncio.sleep(0.02)


def processor_seconds(pid: int) -> float:
    """Processor time a process has used; 0 where it is gone, or where this is not Linux."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log file."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 16_384))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


async def serves(port: int, path: str = "/readyz") -> bool:
    """Whether an HTTP server on this machine answers 200 there."""
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
                status = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
    return status.split(b" ")[1:2] == [b"200"]


async def accepts(port: int) -> bool:
    """Whether something on this machine accepts connections on this port."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def _process_end(process: subprocess.Popen[bytes]) -> None:
    if sys.platform != "linux":
        await asyncio.to_thread(process.wait)
        return
    loop = asyncio.get_running_loop()
    descriptor = os.pidfd_open(process.pid)
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
