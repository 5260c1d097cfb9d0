"""The `demo` job of docker-compose.yml, run against services that run here."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from carillon.client import Api, Sandbox
from carillon.seed import HOOK
from common.secrets.crypto import new_api_key
from tests.support.polling import eventually
from tests.support.stack import Service, Stack

SCRIPT = Path(__file__).parents[2] / "deploy" / "plant.py"

pytestmark = pytest.mark.timeout(240)


async def _plant(environment: dict[str, str]) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SCRIPT)),
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_the_demo_team_is_seeded_once_and_its_deliveries_arrive(
    stack: Stack, sandbox_server: Service, tmp_path: Path
) -> None:
    key = new_api_key()
    folder = tmp_path / "recordings"
    settings = {"DEMO_API_KEY": key, "RECORDING_STORE_URL": folder.as_uri()}
    await stack.start("api", "scheduler", "executor", "notifier", **settings)
    environment = {
        "DATABASE_URL": stack.environment["DATABASE_URL"],
        "API_ORIGIN": stack["api"].url,
        "SANDBOX_ORIGIN": sandbox_server.url,
        "DEMO_API_KEY": key,
    }
    assert await _plant(environment) == (0, "")
    async with Api.connected(stack["api"].url, key) as api, Sandbox.connected(sandbox_server.url) as sandbox:
        planted = [automation["id"] for automation in await api.everything("automations")]
        assert planted
        # As `docker compose up` does again after a restart; the sandbox has forgotten nothing by then or all.
        assert await _plant(environment) == (0, "")
        assert [automation["id"] for automation in await api.everything("automations")] == planted

        async def arrived() -> bool:
            return any(
                message["kind"] == "webhook" and message["hook"] == HOOK and message["signature"] == "valid"
                for message in await sandbox.received()
            )

        await eventually(arrived, within=90, every=0.2, what="a signed report at the webhook")

        async def stored() -> bool:
            recordings = await api.everything("recordings")
            return any(recording["status"] == "UPLOADED" for recording in recordings)

        await eventually(stored, within=60, every=0.2, what="a recording in the library")
        assert [path for path in folder.glob("*/library/*/*/*") if path.is_file()]


async def test_without_a_key_the_job_says_what_to_do() -> None:
    status, output = await _plant({"DEMO_API_KEY": "", "SANDBOX_ORIGIN": "", "API_ORIGIN": ""})
    assert status == 1
    assert "new_env.py --demo" in output
