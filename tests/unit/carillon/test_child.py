"""A child process is ready, stopped or killed as a whole, and does not outlive its parent."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from carillon.child import Child, NotReady, processor_seconds
from tests.support.polling import eventually
from tests.unit.carillon.programs import STAYS, STUBBORN, exists, program

PARENT = """
import asyncio, sys
from pathlib import Path
from tests.unit.carillon.programs import STAYS, program
from carillon.child import Child

async def main():
    folder = Path(sys.argv[1])
    child = Child(program("orphan", folder), folder / "orphan.log")
    await child.start()
    print(child.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""
WITH_GRANDCHILD = (
    """
import subprocess, sys
grandchild = subprocess.Popen(["sleep", "60"])
print(grandchild.pid, flush=True)
"""
    + STAYS
)


@pytest.fixture
async def children() -> AsyncIterator[list[Child]]:
    started: list[Child] = []
    yield started
    for child in started:
        child.kill()


async def test_start_returns_once_the_program_is_ready(tmp_path: Path, children: list[Child]) -> None:
    child = Child(program("worker", tmp_path), tmp_path / "worker.log")
    children.append(child)
    await child.start()
    assert (tmp_path / "worker.ready").exists()
    assert child.is_alive


async def test_a_program_that_exits_early_is_reported_with_its_output(tmp_path: Path) -> None:
    source = "import sys; print('no such database'); sys.exit(3)"
    child = Child(program("worker", tmp_path, source), tmp_path / "worker.log")
    with pytest.raises(NotReady, match=r"(?s)worker ended with status 3.*no such database"):
        await child.start()
    assert not child.is_alive


async def test_a_program_that_is_never_ready_is_ended(tmp_path: Path) -> None:
    source = "import os, signal; print(os.getpid(), flush=True); signal.pause()"
    log = tmp_path / "worker.log"
    child = Child(program("worker", tmp_path, source, start_timeout=0.5), log)
    with pytest.raises(NotReady, match=r"was not ready after \d+\.?\d* s"):
        await child.start()
    assert not exists(int(log.read_text()))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the processor time of a process here")
async def test_a_program_that_gets_on_with_its_start_is_waited_for(
    tmp_path: Path, children: list[Child]
) -> None:
    source = "import time\nwhile time.process_time() < 1.6: pass\n" + STAYS
    child = Child(program("worker", tmp_path, source, start_timeout=1.5), tmp_path / "worker.log")
    children.append(child)
    await child.start()
    assert processor_seconds(child.pid) >= 1.5


async def test_stop_sends_sigterm_first(tmp_path: Path, children: list[Child]) -> None:
    child = Child(program("worker", tmp_path), tmp_path / "worker.log")
    children.append(child)
    await child.start()
    assert await child.stop(timeout=5)
    assert await child.exited() == -signal.SIGTERM


async def test_stop_kills_a_program_that_ignores_sigterm(tmp_path: Path, children: list[Child]) -> None:
    child = Child(program("worker", tmp_path, STUBBORN), tmp_path / "worker.log")
    children.append(child)
    await child.start()
    assert not await child.stop(timeout=0.2)
    assert await child.exited() == -signal.SIGKILL


async def test_a_frozen_program_stops_too(tmp_path: Path, children: list[Child]) -> None:
    child = Child(program("worker", tmp_path), tmp_path / "worker.log")
    children.append(child)
    await child.start()
    child.pause()
    assert await child.stop(timeout=5)


async def test_a_programs_children_end_with_it(tmp_path: Path, children: list[Child]) -> None:
    log = tmp_path / "worker.log"
    child = Child(program("worker", tmp_path, WITH_GRANDCHILD), log)
    children.append(child)
    await child.start()
    grandchild = int(log.read_text())
    assert exists(grandchild)
    child.kill()
    await eventually(lambda: not exists(grandchild))


async def test_a_child_does_not_outlive_its_killed_parent(tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    assert parent.stdout is not None
    orphan = int(await parent.stdout.readline())
    assert exists(orphan)
    parent.kill()
    await parent.wait()
    await eventually(lambda: not exists(orphan))
