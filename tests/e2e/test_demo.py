"""`carillon demo` checks each step it prints, and fails if one does not happen."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from carillon.kafka import KAFKA_VERSION, install
from tests.support.command import run

WARM_WITHIN = 90.0

pytestmark = pytest.mark.timeout(300)


async def test_the_demo_completes_and_leaves_nothing(tmp_path: Path, backend: str, cache: Path) -> None:
    options = []
    if backend == "kafka":
        install(cache / f"kafka-{KAFKA_VERSION}")
        (tmp_path / ".carillon").mkdir()
        (tmp_path / ".carillon" / "cache").symlink_to(cache)
        options = ["--broker", "kafka"]
    begun = time.monotonic()
    status, output = await run("demo", *options, cwd=tmp_path, within=WARM_WITHIN)
    assert status == 0, output
    assert time.monotonic() - begun < WARM_WITHIN
    for part in (
        "a scheduled report ran",
        "Telegram chat received it",
        "its signature is valid",
        "one trace leads from the slot to the webhook",
        "a Zoom recording was found",
        "everything has stopped",
    ):
        assert part in output
    assert not list((tmp_path / ".carillon").glob("demo-*"))


async def test_the_demo_fails_with_the_reason_and_keeps_the_logs(tmp_path: Path) -> None:
    status, output = await run("demo", cwd=tmp_path, within=90, environment={"RUN_TIMEOUT": "minus one"})
    assert status == 1
    assert "carillon: executor" in output
    assert "RUN_TIMEOUT" in output
    [kept] = (tmp_path / ".carillon").glob("demo-*")
    assert (kept / "logs" / "executor-1.log").exists()
    assert str(kept.relative_to(tmp_path)) in output
