"""`carillon up` as a person runs it: a process with output, children and a Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

CARILLON = Path(sys.executable).parent / "carillon"
_SERVERS = {"postgres": "postgres", "tansu": "broker", "java": "broker"}


class Command:
    """A `carillon` command that is running. Leave nothing behind: `close` at the end."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lines: list[str] = []
        self._news = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(
        cls, arguments: Sequence[str], *, cwd: Path, environment: Mapping[str, str] | None = None
    ) -> Command:
        """Start it, as a person at a shell would."""
        process = await asyncio.create_subprocess_exec(
            *(str(CARILLON), *arguments),
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        return cls(process)

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return "\n".join(self._lines)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def says(self, pattern: str, *, within: float, after: int = 0) -> re.Match[str]:
        """Wait until a line from number `after` on matches."""
        try:
            async with asyncio.timeout(within), self._news:
                while True:
                    for line in self._lines[after:]:
                        match = re.search(pattern, line)
                        if match:
                            return match
                    assert not self._reader.done(), f"it ended without saying {pattern!r}:\n{self.output}"
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"it did not say {pattern!r} within {within:g} s:\n{self.output}") from None

    @property
    def line_count(self) -> int:
        """How many lines it has printed."""
        return len(self._lines)

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """SIGKILL to the command alone."""
        self._process.kill()

    async def ended(self, within: float) -> int:
        """Wait for its end; the exit status."""
        async with asyncio.timeout(within):
            await self._reader
            return await self._process.wait()

    def children(self) -> dict[str, psutil.Process]:
        """What it runs, by name; the two executors are `executor` and `executor-2`."""
        found: dict[str, psutil.Process] = {}
        for child in psutil.Process(self.pid).children():
            try:
                words = child.cmdline()
            except psutil.NoSuchProcess:  # it ends just now
                continue
            if not words:
                continue
            name = words[words.index("-m") + 1] if "-m" in words else _SERVERS.get(Path(words[0]).name)
            if name is not None:
                found[name if name not in found else f"{name}-2"] = child
        return found

    async def close(self) -> None:
        """End it and what it runs, whatever state it is in."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await self._reader

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            async with self._news:
                self._lines.append(line.decode().rstrip())
                self._news.notify_all()
        async with self._news:
            self._news.notify_all()


def is_alive(process: psutil.Process) -> bool:
    """Whether a process still does anything; one that only waits for its parent to notice does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


async def run(
    *arguments: str, cwd: Path, environment: Mapping[str, str] | None = None, within: float = 60.0
) -> tuple[int, str]:
    """Run a command to its end: exit status and output."""
    command = await Command.start(arguments, cwd=cwd, environment=environment)
    try:
        return await command.ended(within), command.output
    finally:
        await command.close()
