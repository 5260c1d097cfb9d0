"""Recordings through real executors and a real broker: killed, stopped, and without their events."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from common.recordings.store import RecordingStore
from tests.support.polling import eventually
from tests.support.recording_harness import RecordingHarness, artifacts_of
from tests.support.stack import Service, Stack

pytestmark = pytest.mark.slow

FILES = [{"file_type": "MP4"}, {"file_type": "M4A"}]
DRAIN = 2.5


@pytest.fixture
def environment(harness: RecordingHarness, tmp_path: Path) -> dict[str, str]:
    """Settings of executors that process this harness's recordings."""
    return {
        "RECORDING_STORE_URL": (tmp_path / "store").as_uri(),
        "ZOOM_BASE_URL": harness.zoom.base_url,
        "TRANSCRIPTION_BASE_URL": f"{harness.origin}/transcription",
        "TRANSCRIPTION_API_KEY": "sandbox-transcription-key",
        "OUTBOUND_ALLOWED_HOSTS": "127.0.0.1",
        "RECEIVER_ALLOWED_HOSTS": "127.0.0.1",
        "DRAIN_TIMEOUT": str(DRAIN),
        "LEASE_SECONDS": "3",
        "SWEEP_AFTER": "60",
    }


async def finished(harness: RecordingHarness, *recording_ids: Any) -> bool:
    left = await harness.world.sql.fetch(
        "SELECT status, worker, attempt, error_message, available_at, lease_expires_at FROM recording"
        " WHERE id = ANY($1::uuid[]) AND completed_at IS NULL",
        recording_ids,
    )
    assert [dict(row) for row in left] == []
    return True


async def held_by(harness: RecordingHarness, recording_id: Any, executors: list[Service]) -> Service | None:
    """Which of the executors waits for the transcript of the recording now."""
    answer = await harness.http.get(f"{harness.origin}/_sandbox/faults")
    if answer.raise_for_status().json()["faults"]:
        # The one slow answer has not been asked for yet; it would be another executor's.
        return None
    row = await harness.world.row("recording", recording_id)
    if row["status"] != "TRANSCRIBING" or row["worker"] is None:
        return None
    pid = int(row["worker"].rsplit("-", 2)[1])
    return next((executor for executor in executors if executor.pid == pid), None)


async def test_events_bring_recordings_to_executors(
    harness: RecordingHarness, stack: Stack, environment: dict[str, str]
) -> None:
    """Sweeping only comes after a minute here: it is the broker that brings them."""
    await stack.start("scheduler", "executor", **environment)
    ids = [await harness.record(f"Call {number}", files=FILES) for number in range(6)]
    await eventually(lambda: finished(harness, *ids), within=25)
    rows = [await harness.world.row("recording", recording_id) for recording_id in ids]
    assert {(row["status"], row["attempt"]) for row in rows} == {("UPLOADED", 1)}
    assert "recording_store" in (await harness.http.get(f"{stack['executor'].url}/readyz")).json()["checks"]
    metrics = (await harness.http.get(f"{stack['executor'].url}/metrics")).text
    assert 'carillon_recording_steps_total{outcome="done",step="upload"} 6.0' in metrics


async def test_a_killed_executors_recording_is_finished_by_another(
    harness: RecordingHarness, stack: Stack, environment: dict[str, str], tmp_path: Path
) -> None:
    environment = {**environment, "SWEEP_AFTER": "1"}
    await stack.start("scheduler", **environment)
    executors = await stack.start("executor", "executor", **environment)
    await harness.zoom.fault(kind="slow", seconds=60, match={"platform": "transcription"}, times=1)
    recording_id = await harness.record(files=FILES)
    holder = await eventually(lambda: held_by(harness, recording_id, executors), within=20)
    assert holder is not None
    holder.kill()
    await eventually(lambda: finished(harness, recording_id), within=25)
    row = await harness.world.row("recording", recording_id)
    assert (row["status"], row["attempt"]) == ("UPLOADED", 2)
    store = RecordingStore.open((tmp_path / "store").as_uri())
    assert sorted(await store.paths_below(str(harness.team.tenant_id))) == sorted(artifacts_of(row).paths())


async def test_a_stopped_executor_hands_back_and_leaves_in_time(
    harness: RecordingHarness, stack: Stack, environment: dict[str, str]
) -> None:
    """The other one is told by an event: it sweeps only once a minute."""
    await stack.start("scheduler", **environment)
    executors = await stack.start("executor", "executor", **environment)
    await harness.zoom.fault(kind="slow", seconds=60, match={"platform": "transcription"}, times=1)
    recording_id = await harness.record(files=FILES)
    holder = await eventually(lambda: held_by(harness, recording_id, executors), within=20)
    assert holder is not None
    started = time.monotonic()
    assert await holder.stop(DRAIN + 5), "it had to be killed"
    assert time.monotonic() - started < DRAIN + 3
    await eventually(lambda: finished(harness, recording_id), within=20)
    row = await harness.world.row("recording", recording_id)
    assert (row["status"], row["attempt"], row["error_message"]) == ("UPLOADED", 2, None)
    assert row["uncounted"] == 1


async def test_without_a_store_the_executor_says_so(
    harness: RecordingHarness, stack: Stack, environment: dict[str, str]
) -> None:
    del environment["RECORDING_STORE_URL"]
    await stack.start("scheduler", "executor", **environment)
    assert "RECORDING_STORE_URL is not set" in stack["executor"].log
    recording_id = await harness.record(files=FILES)
    await eventually(lambda: finished(harness, recording_id), within=20)
    row = await harness.world.row("recording", recording_id)
    assert row["status"] == "FAILED"
    assert "RECORDING_STORE_URL" in row["error_message"]


async def test_no_token_is_in_the_executors_log(
    harness: RecordingHarness, stack: Stack, environment: dict[str, str]
) -> None:
    await harness.connect("sandbox-zoom-never-to-be-seen")
    await stack.start("scheduler", "executor", **environment, LOG_LEVEL="DEBUG")
    recording_id = await harness.record(files=FILES)
    await eventually(lambda: finished(harness, recording_id), within=20)
    log = stack["executor"].log
    assert str(recording_id) in log
    for secret in ("never-to-be-seen", "sandbox-transcription-key", "Signature="):
        assert secret not in log


@pytest.fixture(autouse=True)
async def _without_faults(harness: RecordingHarness) -> Any:
    yield
    await harness.http.delete(f"{harness.origin}/_sandbox/faults")
