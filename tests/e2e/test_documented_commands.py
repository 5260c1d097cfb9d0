"""Every command of README.md and docs/ is run as written, except for addresses, ports and the key.

The comment above a block says which of these tests runs it. Docker and kubectl are replaced by stand-ins that
record their arguments, because no container engine can be expected here.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from carillon.ports import free_port
from common.settings import KafkaSettings
from tests.support.documents import ROOT, blocks, script
from tests.support.polling import eventually

BIN = Path(sys.executable).parent

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


class Shell:
    """A script that bash runs as a person at a terminal would, in a process group of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._output: list[str] = []
        self._reader = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, text: str, *, environment: Mapping[str, str], cwd: Path = ROOT) -> Shell:
        """Run a script that ends at the first command that fails."""
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", f"set -euo pipefail\n{text}"),
            cwd=cwd,
            env={**os.environ, **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        return cls(process)

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return "".join(self._output)

    async def says(self, pattern: str, *, within: float) -> re.Match[str]:
        """Wait until it has printed something that matches."""

        def found() -> re.Match[str] | None:
            match = re.search(pattern, self.output)
            if match is None and self._reader.done():
                pytest.fail(f"it ended without saying {pattern!r}:\n{self.output}")
            return match

        match = await eventually(found, within=within, what=f"{pattern} in:\n{self.output}")
        assert match is not None
        return match

    async def ended(self, within: float) -> int:
        """Wait for its end; the exit status."""
        async with asyncio.timeout(within):
            await self._reader
            return await self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Signal the script and everything it started, as a terminal does."""
        os.killpg(self._process.pid, number)

    async def close(self) -> None:
        """End whatever is left."""
        if self._process.returncode is None:
            self.signal(signal.SIGKILL)
        await self._process.wait()
        await self._reader

    async def _read(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self._output.append(line.decode(errors="replace"))


async def _run(text: str, *, within: float, environment: Mapping[str, str], cwd: Path = ROOT) -> str:
    shell = await Shell.start(text, environment=environment, cwd=cwd)
    try:
        assert await shell.ended(within) == 0, shell.output
        return shell.output
    finally:
        await shell.close()


@dataclass(frozen=True, slots=True)
class Running:
    """A stack that `make up` has started."""

    console_port: str
    sandbox_port: str
    api_key: str
    environment: Mapping[str, str]

    def here(self, text: str) -> str:
        """A block with the addresses and the key of this stack."""
        places = {"localhost:8000": f"localhost:{self.console_port}", "car_…": self.api_key}
        places |= {f"{host}:8090": f"127.0.0.1:{self.sandbox_port}" for host in ("localhost", "127.0.0.1")}
        for written, meant in places.items():
            assert written in text, f"the pages do not contain {written} any more"
            text = text.replace(written, meant)
        return text


async def _install_heartbeat(folder: Path) -> Path:
    """Install the handler of docs/handlers.md by its documented command, into a temporary folder."""
    for block in blocks():
        if block.file:
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
    target = folder / "installed"
    command = script("install")
    elsewhere = f"--python {BIN / 'python'} --target {target} --offline --no-build-isolation"
    for written, meant in {
        ".tools/bin/uv": shlex.quote(str(_uv())),
        "--python .venv/bin/python": elsewhere,
    }.items():
        assert written in command
        command = command.replace(written, meant)
    await _run(command, within=60, environment={}, cwd=folder)
    return target


def _uv() -> Path:
    return next(path for path in (ROOT / ".tools/bin/uv", ROOT / ".tools/packages/bin/uv") if path.exists())


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    """`make up`, with the handler of docs/handlers.md installed."""
    handler = await _install_heartbeat(tmp_path)
    environment = {
        "PORT": str(free_port()),
        "CARILLON_STATE": str(tmp_path / "state"),
        "PYTHONPATH": str(handler),
        "COLUMNS": "200",
    }
    shell = await Shell.start(script("up"), environment=environment)
    try:
        await shell.says(r"Carillon runs", within=180)
        await shell.says(r"Logs +\S", within=5)
        key = re.search(r"API key +(\S+)", shell.output)
        sandbox = re.search(r"Sandbox +\S+?:(\d+)", shell.output)
        assert key
        assert sandbox
        yield Running(environment["PORT"], sandbox[1], key[1], environment)
        shell.signal(signal.SIGINT)
        await shell.ended(within=20)
    finally:
        await shell.close()


async def test_the_first_automation_runs_and_so_does_the_handler(running: Running) -> None:
    output = await _run(running.here(script("terminal")), within=120, environment=running.environment)
    assert "next_run" in output
    assert "Numbers before the stand-up" in output
    documents = _documents(output)
    received = [message for document in documents for message in document.get("messages", [])]
    [arrived, *_] = [message for message in received if message["hook"] == "first"]
    report = json.loads(arrived["body"])
    assert report["type"] == "report.completed"
    assert report["data"]

    # The last automation that the script creates is of the page's own type; run it by the same command.
    heartbeat = output.split()[-1]
    again = f"{shlex.quote(str(BIN / 'carillon'))} automations run {heartbeat}"
    run = json.loads(await _run(again, within=30, environment=running.environment))

    async def completed() -> bool:
        shown = await _run(
            f"{shlex.quote(str(BIN / 'carillon'))} runs show {run['id']}",
            within=30,
            environment=running.environment,
        )
        document = json.loads(shown)
        assert document["status"] not in {"failed", "cancelled"}, shown
        return document["status"] == "completed" and "answered 200 in" in shown

    await eventually(completed, within=60, every=0.5)


async def test_the_suite_of_handlers_passes_with_a_handler_of_a_users(tmp_path: Path) -> None:
    """A team tests Carillon in the environment where its own handlers are installed."""
    handler = await _install_heartbeat(tmp_path)
    suite = "tests/conformance/test_handlers.py::test_every_handler_has_a_driver tests/unit/executor/handlers"
    command = f"{shlex.quote(sys.executable)} -m pytest -q -p no:cacheprovider {suite}"
    output = await _run(command, within=180, environment={"PYTHONPATH": str(handler)})
    assert " passed" in output


async def test_the_demo_passes(tmp_path: Path) -> None:
    output = await _run(script("demo"), within=240, environment={"CARILLON_STATE": str(tmp_path / "state")})
    assert "everything has stopped" in output


async def test_own_servers_are_prepared_and_each_service_is_a_process(
    database_url: str, kafka: KafkaSettings, tmp_path: Path
) -> None:
    prepared = script("servers")
    written = {
        r"DATABASE_URL=\S+": f"DATABASE_URL={database_url}",
        r"KAFKA_BOOTSTRAP_SERVERS=\S+": f"KAFKA_BOOTSTRAP_SERVERS={kafka.kafka_bootstrap_servers}",
    }
    services = script("services")
    ports = {port: str(free_port()) for port in re.findall(r"PORT=(\d+)", services)}
    assert len(ports) == 4
    written |= {rf"PORT={port}\b": f"PORT={here}" for port, here in ports.items()}
    text = f"{prepared}echo prepared\n{services}"
    for pattern, meant in written.items():
        text, count = re.subn(pattern, meant.replace("\\", r"\\"), text)
        assert count == 1, pattern
    environment = {
        "KAFKA_PROFILE": kafka.kafka_profile.value,
        "KAFKA_TOPIC_PREFIX": f"{kafka.kafka_topic_prefix}own.",
    }
    shell = await Shell.start(text, environment=environment)
    try:
        await shell.says(r"car_\S+\s+prepared", within=60)
        for port in ports.values():
            await eventually(partial(_is_ready, int(port)), within=60, every=0.2, what=f"readiness at {port}")
        shell.signal(signal.SIGTERM)
        await shell.ended(within=30)
    finally:
        await shell.close()


def _documents(text: str) -> list[dict[str, Any]]:
    """The JSON objects in what a terminal shows, one after the other and between other things."""
    decoder, found, at = json.JSONDecoder(), [], text.find("{")
    while at >= 0:
        document, at = decoder.raw_decode(text, at)
        found.append(document)
        at = text.find("{", at)
    return found


async def _is_ready(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    status = await reader.readline()
    writer.close()
    return b" 200 " in status


STAND_IN = """\
#!/bin/sh
printf '%s\\n' "$(basename "$0")" "$@" >> "$ASKED"
echo ---- >> "$ASKED"
"""


async def test_docker_and_kubectl_get_existing_files_and_services(tmp_path: Path) -> None:
    checkout, tools, asked = tmp_path / "checkout", tmp_path / "tools", tmp_path / "asked"
    shutil.copytree(ROOT / "deploy", checkout / "deploy", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "docker-compose.yml", checkout)
    (checkout / ".venv").symlink_to(BIN.parent)
    tools.mkdir()
    for name in ("docker", "kubectl"):
        (tools / name).write_text(STAND_IN)
        (tools / name).chmod(0o755)
    environment = {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "ASKED": str(asked)}
    await _run(script("stand-ins"), within=60, environment=environment, cwd=checkout)

    assert "DEMO_API_KEY=car_" in (checkout / ".env").read_text()
    compose = yaml.safe_load((checkout / "docker-compose.yml").read_text())
    profiles = {
        profile for service in compose["services"].values() for profile in service.get("profiles", [])
    }
    commands = [command.splitlines() for command in asked.read_text().split("----\n") if command]
    seen = set()
    for program, *words in commands:
        if (program, words[0]) == ("docker", "compose"):
            _check_compose(words[1:], profiles, set(compose["services"]))
            seen.add(" ".join(word for word in words if word in {"compose", "up", "run"}))
        elif (program, words[0]) == ("docker", "build"):
            built = dict(pairwise(words))
            assert (checkout / built["--file"]).is_file()
            seen.add(built["--build-arg"])
        elif "apply" in words:
            assert (checkout / words[words.index("--kustomize") + 1] / "kustomization.yaml").is_file()
            seen.add("apply")
        elif "secret" in words:
            given = {word.split("=")[1] for word in words if word.startswith("--from-literal=")}
            assert given == _secrets_the_pods_need(checkout)
            seen.add("secret")
    services = {f"SERVICE={name}" for name in ("api", "scheduler", "executor", "notifier")}
    assert seen == services | {"compose up", "compose run", "apply", "secret"}


def _check_compose(words: list[str], profiles: set[str], services: set[str]) -> None:
    known = {"--profile", "--build", "--rm", "up", "run"}
    while words:
        word = words.pop(0)
        if word == "--profile":
            assert words.pop(0) in profiles
        elif word in services:
            return  # what follows is the command that runs inside
        else:
            assert word in known, word


def _secrets_the_pods_need(checkout: Path) -> set[str]:
    found = set()
    for path in (checkout / "deploy" / "kubernetes").glob("*.yaml"):
        found |= set(re.findall(r"secretKeyRef: { name: carillon, key: (\w+) }", path.read_text()))
    return found | {"ENCRYPTION_KEYS"}
