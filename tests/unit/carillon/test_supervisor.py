"""Programs are started in order, restarted when they die, and stopped in time."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from carillon.child import NotReady
from carillon.supervisor import Change, Incident, Supervisor, restart_delay
from tests.support.polling import eventually
from tests.unit.carillon.programs import STUBBORN, exists, program, state_of

TELLS_ITS_PID = """
import os, pathlib, signal, sys
sign = pathlib.Path(sys.argv[1])
sign.with_suffix(".pid").write_text(str(os.getpid()))
sign.touch()
signal.pause()
"""


class Reports(list[tuple[str, Change]]):
    """What a supervisor said, in order."""

    def __call__(self, incident: Incident) -> None:
        self.append((incident.program, incident.change))


@pytest.fixture
def reports() -> Reports:
    return Reports()


@pytest.fixture
async def supervisor(tmp_path: Path, reports: Reports) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(tmp_path / "logs", reports)
    yield supervisor
    supervisor.kill()


def test_restarts_back_off_and_never_stop() -> None:
    delays = [restart_delay(failures) for failures in range(12)]
    assert delays == sorted(delays)
    assert delays[0] < 0.5
    assert delays[-1] == delays[-2] == 10.0


async def test_a_killed_program_runs_again(tmp_path: Path, supervisor: Supervisor, reports: Reports) -> None:
    await supervisor.start(program("worker", tmp_path))
    first = supervisor.pids()["worker"]
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: ("worker", Change.RESTARTED) in reports)
    assert supervisor.pids()["worker"] != first
    assert reports == [
        ("worker", Change.READY),
        ("worker", Change.ENDED),
        ("worker", Change.RESTARTED),
    ]


async def test_a_failed_restart_is_retried(tmp_path: Path, supervisor: Supervisor, reports: Reports) -> None:
    obstacle = tmp_path / "obstacle"

    async def check() -> None:
        if obstacle.exists():
            raise RuntimeError("the disk is full")

    await supervisor.start(program("worker", tmp_path, after_start=check))
    obstacle.touch()
    os.kill(supervisor.pids()["worker"], signal.SIGKILL)
    await eventually(lambda: reports.count(("worker", Change.FAILED)) >= 2)
    obstacle.unlink()
    await eventually(lambda: ("worker", Change.RESTARTED) in reports)


async def test_clients_are_paused_until_their_server_is_ready(
    tmp_path: Path, supervisor: Supervisor, reports: Reports
) -> None:
    may_finish = asyncio.Event()
    may_finish.set()

    async def create_topics() -> None:
        await may_finish.wait()

    server = program("broker", tmp_path, after_start=create_topics, holds=frozenset({"client"}))
    await supervisor.start(server)
    await supervisor.start(program("client", tmp_path))
    client = supervisor.pids()["client"]
    may_finish.clear()
    os.kill(supervisor.pids()["broker"], signal.SIGKILL)
    await eventually(lambda: state_of(client) == "T", what="the client is frozen")
    may_finish.set()
    await eventually(lambda: ("broker", Change.RESTARTED) in reports)
    await eventually(lambda: state_of(client) == "S", what="the client goes on")
    assert supervisor.pids()["client"] == client


async def test_a_client_that_dies_while_paused_waits_for_its_server(
    tmp_path: Path, supervisor: Supervisor, reports: Reports
) -> None:
    may_finish = asyncio.Event()
    may_finish.set()

    async def create_topics() -> None:
        await may_finish.wait()

    server = program("broker", tmp_path, after_start=create_topics, holds=frozenset({"client"}))
    await supervisor.start(server)
    await supervisor.start(program("client", tmp_path))
    may_finish.clear()
    os.kill(supervisor.pids()["broker"], signal.SIGKILL)
    client = supervisor.pids()["client"]
    await eventually(lambda: state_of(client) == "T", what="the client is frozen")
    os.kill(client, signal.SIGKILL)
    await eventually(lambda: ("client", Change.ENDED) in reports)
    may_finish.set()
    await eventually(lambda: ("client", Change.RESTARTED) in reports)
    assert reports.index(("broker", Change.RESTARTED)) < reports.index(("client", Change.RESTARTED))


async def test_clients_resume_if_their_server_does_not_return(
    tmp_path: Path, supervisor: Supervisor, reports: Reports
) -> None:
    obstacle = tmp_path / "obstacle"

    async def check() -> None:
        if obstacle.exists():
            raise RuntimeError("the port was taken")

    server = program("broker", tmp_path, after_start=check, holds=frozenset({"client"}))
    await supervisor.start(server)
    await supervisor.start(program("client", tmp_path))
    client = supervisor.pids()["client"]
    obstacle.touch()
    os.kill(supervisor.pids()["broker"], signal.SIGKILL)
    await eventually(lambda: ("broker", Change.FAILED) in reports)
    await eventually(lambda: state_of(client) == "S", what="the client goes on")
    os.kill(client, signal.SIGKILL)
    await eventually(lambda: ("client", Change.RESTARTED) in reports)
    assert ("broker", Change.RESTARTED) not in reports


async def test_programs_stop_in_reverse_order(tmp_path: Path, supervisor: Supervisor) -> None:
    order = tmp_path / "order"
    tells = f"""
import pathlib, signal, sys
def leave(*_):
    with open({str(order)!r}, "a") as file:
        file.write(pathlib.Path(sys.argv[1]).stem + " ")
    sys.exit()
signal.signal(signal.SIGTERM, leave)
pathlib.Path(sys.argv[1]).touch()
signal.pause()
"""
    for name in ("database", "sandbox", "service"):
        await supervisor.start(program(name, tmp_path, tells))
    assert await supervisor.stop([5.0]) == []
    assert order.read_text().split() == ["service", "sandbox", "database"]


async def test_stop_names_what_had_to_be_killed_and_leaves_nothing(
    tmp_path: Path, supervisor: Supervisor
) -> None:
    await supervisor.start(program("polite", tmp_path), program("stubborn", tmp_path, STUBBORN))
    pids = supervisor.pids().values()
    assert await supervisor.stop([0.3]) == ["stubborn"]
    assert not any(exists(pid) for pid in pids)


async def test_stop_while_a_program_is_being_restarted_leaves_nothing(
    tmp_path: Path, supervisor: Supervisor, reports: Reports
) -> None:
    started: list[int] = []

    async def never() -> None:
        if started:
            started.append(int((tmp_path / "worker.pid").read_text()))
            await asyncio.Event().wait()

    await supervisor.start(program("worker", tmp_path, TELLS_ITS_PID, after_start=never))
    started.append(supervisor.pids()["worker"])
    os.kill(started[0], signal.SIGKILL)
    await eventually(lambda: len(started) == 2)
    await supervisor.stop([1.0])
    assert not exists(started[1])


async def test_the_reason_why_one_program_does_not_start_is_raised(
    tmp_path: Path, supervisor: Supervisor
) -> None:
    with pytest.raises(NotReady, match="broken ended with status 7"):
        await supervisor.start(
            program("fine", tmp_path), program("broken", tmp_path, "import sys; sys.exit(7)")
        )
    await supervisor.stop([1.0])
    assert supervisor.pids() == {}
