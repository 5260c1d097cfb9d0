"""`carillon up` as its user meets it: it starts, delivers, heals, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from carillon.ports import free_port
from common.settings import KafkaSettings
from tests.support.command import Command, is_alive, run
from tests.support.polling import eventually

READY_WITHIN = 90.0
DELIVERY_WITHIN = 60.0
STOP_WITHIN = 10.0
PROCESSES = {"postgres", "broker", "sandbox", "api", "scheduler", "executor", "executor-2", "notifier"}

Start = Callable[..., Coroutine[Any, Any, Command]]

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts `carillon up` in this test's folder."""
    started: list[Command] = []

    async def start_up(port: int, *options: str) -> Command:
        command = await Command.start(["up", "--port", str(port), *options], cwd=tmp_path)
        started.append(command)
        return command

    yield start_up
    for command in started:
        await command.close()


async def _stop(command: Command) -> None:
    """Ctrl-C, and check that it takes less than ten seconds and leaves no process."""
    everything = [psutil.Process(command.pid), *psutil.Process(command.pid).children(recursive=True)]
    begun = time.monotonic()
    command.interrupt()
    assert await command.ended(within=STOP_WITHIN) == 0, command.output
    assert time.monotonic() - begun < STOP_WITHIN
    assert not [process for process in everything if is_alive(process)]


async def test_a_report_is_delivered_and_a_restart_keeps_everything(start: Start, tmp_path: Path) -> None:
    port = free_port()
    command = await start(port)
    await command.says("Carillon runs", within=READY_WITHIN)
    key = (await command.says(r"API key +(\S+)", within=1)).group(1)
    await command.says("delivered to Telegram chat", within=DELIVERY_WITHIN)
    await command.says("delivered to webhook northwind: signature valid", within=DELIVERY_WITHIN)
    assert command.children().keys() == PROCESSES
    assert "Open the demo" in await _console(port)

    before = await _automations(port, key)
    assert len(before) == 6
    await _stop(command)
    assert "stopping" in command.output

    again = await start(port)
    await again.says("Carillon runs", within=READY_WITHIN)
    assert (await again.says(r"API key +(\S+)", within=1)).group(1) == key
    after = await _automations(port, key)
    assert {item["id"] for item in after} == {item["id"] for item in before}
    await again.says("delivered to Telegram chat", within=DELIVERY_WITHIN)
    await _stop(again)


async def test_killed_processes_restart_and_reports_continue(start: Start, tmp_path: Path) -> None:
    command = await start(free_port())
    await command.says("delivered to Telegram chat", within=READY_WITHIN + DELIVERY_WITHIN)
    for name, victim in command.children().items():
        victim.kill()
        shown = {"executor": "executor-[12]", "executor-2": "executor-[12]"}.get(name, name)
        await command.says(f"{shown} was ended by SIGKILL", within=5)

    def all_are_back() -> bool:
        return command.children().keys() == PROCESSES

    await eventually(all_are_back, within=60)
    lines = command.line_count
    await command.says("delivered to Telegram chat", within=DELIVERY_WITHIN + 30, after=lines)
    await command.says("delivered to webhook northwind", within=DELIVERY_WITHIN + 30, after=lines)
    await _stop(command)


async def test_a_second_instance_in_the_folder_names_the_first(start: Start, tmp_path: Path) -> None:
    port = free_port()
    command = await start(port)
    await command.says("Carillon runs", within=READY_WITHIN)
    status, output = await run("up", "--port", str(free_port()), cwd=tmp_path)
    assert status == 1
    assert output == (
        f"carillon: carillon is running in .carillon already: http://localhost:{port} "
        f"(stop it with `kill {command.pid}`)"
    )
    status, output = await run("clean", cwd=tmp_path)
    assert status == 1
    assert "is running" in output
    await _stop(command)
    status, output = await run("clean", cwd=tmp_path)
    assert (status, output) == (0, "")
    assert not (tmp_path / ".carillon").exists()


async def test_a_kill_leaves_no_process_and_the_next_start_cleans_up(start: Start, tmp_path: Path) -> None:
    port = free_port()
    command = await start(port)
    await command.says("Carillon runs", within=READY_WITHIN)
    children = psutil.Process(command.pid).children(recursive=True)
    command.kill()
    await eventually(lambda: not any(is_alive(child) for child in children), within=STOP_WITHIN)
    again = await start(port)
    await again.says("Carillon runs", within=READY_WITHIN)
    await _stop(again)


async def test_ctrl_c_during_start_leaves_nothing(start: Start) -> None:
    command = await start(free_port())
    await command.says("starting the services", within=READY_WITHIN)
    await _stop(command)


async def test_a_port_in_use_is_one_line_with_a_remedy(tmp_path: Path) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        status, output = await run("up", "--port", str(port), cwd=tmp_path)
    assert status == 1
    assert output.startswith(f"carillon: port {port} is in use by ")
    assert f"(process {os.getpid()})" in output
    assert f"carillon up --port {port + 1}" in output
    assert len(output.splitlines()) == 1


async def test_data_of_another_version_is_one_line_with_a_remedy(tmp_path: Path) -> None:
    data = tmp_path / ".carillon" / "postgres"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("12\n")
    status, output = await run("up", "--port", str(free_port()), cwd=tmp_path)
    assert status == 1
    assert "was made by PostgreSQL 12" in output
    assert len(output.splitlines()) == 1


async def test_configured_servers_replace_the_embedded_ones(
    tmp_path: Path, database_url: str, kafka: KafkaSettings
) -> None:
    command = await Command.start(
        ["up", "--port", str(free_port())],
        cwd=tmp_path,
        environment={
            "DATABASE_URL": database_url,
            "KAFKA_BOOTSTRAP_SERVERS": kafka.kafka_bootstrap_servers,
            "KAFKA_PROFILE": kafka.kafka_profile.value,
            "KAFKA_TOPIC_PREFIX": "named.",
        },
    )
    try:
        await command.says("delivered to Telegram chat", within=READY_WITHIN + DELIVERY_WITHIN)
        assert command.children().keys() == PROCESSES - {"postgres", "broker"}
        assert not (tmp_path / ".carillon" / "postgres").exists()
        await _stop(command)
    finally:
        await command.close()


async def test_unreachable_servers_are_named(tmp_path: Path) -> None:
    nowhere = free_port()
    status, output = await run(
        "up",
        "--port",
        str(free_port()),
        cwd=tmp_path,
        environment={"DATABASE_URL": f"postgresql://u:secret@127.0.0.1:{nowhere}/carillon"},
    )
    assert status == 1
    assert "carillon: cannot prepare the database" in output
    assert "secret" not in output


async def test_commands_use_the_running_instance(start: Start, tmp_path: Path) -> None:
    command = await start(free_port())
    await command.says("Carillon runs", within=READY_WITHIN)

    status, output = await run("automations", "list", cwd=tmp_path, environment={"COLUMNS": "200"})
    assert status == 0
    assert "Morning numbers" in output
    identifier = next(line.split()[0] for line in output.splitlines() if "Morning numbers" in line)

    status, output = await run("automations", "run", identifier, cwd=tmp_path)
    assert status == 0
    run_id = json.loads(output)["id"]

    async def completed() -> bool:
        status, output = await run("runs", "show", run_id, cwd=tmp_path)
        return status == 0 and json.loads(output)["status"] == "completed"

    await eventually(completed, within=30, every=0.5)

    (tmp_path / "wrong.json").write_text('{"name": ""}')
    status, output = await run("automations", "create", "wrong.json", cwd=tmp_path)
    assert status == 1
    assert output.startswith("carillon: ")
    assert "/name" in output
    await _stop(command)


async def test_a_command_without_a_running_instance_is_an_error(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    status, output = await run("automations", "list", "--url", url, "--api-key", "car_x", cwd=tmp_path)
    assert status == 1
    assert "is `carillon up` running there?" in output


async def _console(port: int) -> str:
    """What a browser that opens the printed address shows."""
    browser = {"Accept": "text/html"}
    async with httpx.AsyncClient(follow_redirects=True, headers=browser, timeout=30) as client:
        answer = await client.get(f"http://localhost:{port}")
        answer.raise_for_status()
        return answer.text


async def _automations(port: int, key: str) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers) as client:
        answer = await client.get("/api/automations")
        items: list[dict[str, Any]] = answer.json()["items"]
        return items
