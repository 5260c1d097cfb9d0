"""Whatever happens to an executor, another finishes its recordings, and does nothing twice in vain."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import pytest

from common.events import RecordingFailed, RecordingProcessed, RecordingProcessingRequested
from common.models import RecordingStatus
from common.recordings.artifacts import Artifacts
from common.work.places import Stopping
from executor.recordings.processing.outcomes import Superseded
from tests.support.outbox import Announcements
from tests.support.polling import eventually
from tests.support.recording_harness import RecordingHarness, RecordingWorker, artifacts_of
from tests.support.waiting import waiting

FILES = [{"file_type": "MP4"}, {"file_type": "M4A"}]
NOTES = 17
"""How often the progress of such a recording is written down, its end included."""


class Crash:
    """Stops a worker for good just before its `number`th note: what it did until then is done, not said."""

    def __init__(self, worker: RecordingWorker, number: int) -> None:
        self.reached = asyncio.Event()
        self._notes = iter(range(1, 1_000))
        self._number = number
        worker.outcomes.before = self._before

    async def _before(self, _status: RecordingStatus, _artifacts: Artifacts) -> None:
        if next(self._notes) == self._number:
            self.reached.set()
            await asyncio.Event().wait()


async def asked_for(harness: RecordingHarness) -> Counter[str]:
    """How often Zoom's files and the transcription endpoint were asked for, by kind of path."""
    answer = await harness.http.get(f"{harness.origin}/_sandbox/stats")
    platforms: dict[str, dict[str, dict[str, int]]] = answer.raise_for_status().json()["platforms"]
    calls: Counter[str] = Counter()
    for name in ("zoom", "transcription"):
        for path, by_status in platforms.get(name, {}).items():
            if "/files/" in path or "transcriptions" in path:
                calls["heard" if name == "transcription" else "files"] += sum(by_status.values())
    return calls


@pytest.mark.parametrize("number", range(1, NOTES + 1))
async def test_a_recording_resumes_where_its_worker_died(
    harness: RecordingHarness, number: int, announced: Announcements
) -> None:
    """Killed after the work of one step and before its record, wherever that is."""
    recording_id = await harness.record(files=FILES)
    async with harness.working("executor-1") as first:
        crash = Crash(first, number)
        await first.processing.take(waiting(recording_id))
        await asyncio.wait_for(crash.reached.wait(), 20)
    await harness.let_leases_expire()
    async with harness.working("executor-2") as second:
        await second.processing.sweep()
        [row] = await harness.ended(recording_id)
    assert (row["status"], row["attempt"], row["worker"]) == ("UPLOADED", 2, None)
    artifacts = artifacts_of(row)
    assert len(artifacts.files) == 2
    assert len(artifacts.transcripts) == 1
    [upload] = artifacts.uploads.values()
    assert [sent.is_done for sent in upload.files.values()] == [True] * 4
    # Nothing but what was cut off is done again, and what is there is what is known.
    calls = await asked_for(harness)
    assert calls["files"] <= 3
    assert calls["heard"] <= 2
    assert calls["files"] + calls["heard"] <= 4
    stored = await harness.store.paths_below(str(harness.team.tenant_id))
    assert sorted(stored) == sorted(artifacts.paths())
    assert len(await announced.of(RecordingProcessed)) == 1


async def test_rename_between_attempts_keeps_track_of_all_copies(
    harness: RecordingHarness,
) -> None:
    """Its files have gone to one folder when they are to go to another: both are to be cleaned up one day."""
    recording_id = await harness.record("Weekly call", files=FILES)
    async with harness.working("executor-1") as first:
        crash = Crash(first, NOTES - 3)
        await first.processing.take(waiting(recording_id))
        await asyncio.wait_for(crash.reached.wait(), 20)
    await harness.world.sql.execute("UPDATE recording SET topic = 'Weekly call (moved)'")
    await harness.let_leases_expire()
    async with harness.working("executor-2") as second:
        await second.processing.sweep()
        [row] = await harness.ended(recording_id)
    assert row["status"] == "UPLOADED"
    stored = await harness.store.paths_below(str(harness.team.tenant_id))
    assert len([path for path in stored if "/Weekly call/" in path]) == 4
    assert len([path for path in stored if "/Weekly call (moved)/" in path]) == 4
    assert sorted(stored) == sorted(artifacts_of(row).paths())


async def test_the_notes_that_a_crash_can_come_before_are_all_of_them(harness: RecordingHarness) -> None:
    recording_id = await harness.record(files=FILES)
    notes = 0

    async def count(*_: object) -> None:
        nonlocal notes
        notes += 1

    async with harness.working() as worker:
        worker.outcomes.before = count
        await harness.process(worker, recording_id)
    assert notes == NOTES


async def test_an_event_does_not_cut_short_the_wait_for_the_next_attempt(harness: RecordingHarness) -> None:
    recording_id = await harness.record(files=FILES)
    await harness.zoom.fault(kind="status", code=503, match={"path": "/zoom/files/*"}, times=2)
    async with harness.working() as worker:
        [before] = await harness.process(worker, recording_id)
        await worker.processing.take(waiting(recording_id))
        await worker.processing.sweep()
        after = await harness.world.row("recording", recording_id)
    assert before["available_at"] == after["available_at"]
    assert after["attempt"] == 1


async def test_a_result_after_a_lost_lease_is_rejected(
    harness: RecordingHarness, announced: Announcements
) -> None:
    """A worker that is paused in the middle, and wakes when another has finished."""
    recording_id = await harness.record(files=FILES)
    reached, wake = asyncio.Event(), asyncio.Event()

    async def pause(status: RecordingStatus, _artifacts: Artifacts) -> None:
        if status is RecordingStatus.TRANSCRIBING:
            reached.set()
            await wake.wait()

    async with harness.working("executor-1") as first, harness.working("executor-2") as second:
        first.outcomes.before = pause
        await first.processing.take(waiting(recording_id))
        await asyncio.wait_for(reached.wait(), 20)
        await harness.let_leases_expire()
        await second.processing.sweep()
        [row] = await harness.ended(recording_id)
        first.outcomes.before = None
        wake.set()
        await first.processing.drain(10)
        after = await harness.world.row("recording", recording_id)
    assert dict(after) == dict(row)
    assert len(await announced.of(RecordingProcessed)) == 1


async def test_a_late_result_of_every_kind_is_rejected(harness: RecordingHarness) -> None:
    recording_id = await harness.record(files=FILES)
    async with harness.working("executor-1") as first, harness.working("executor-2") as second:
        [stale] = await first.claims.claim({recording_id: None})
        await harness.let_leases_expire()
        [again] = await second.claims.waiting(waited_seconds=0, without=[], limit=1)
        assert await second.claims.claim({again.id: None})
        outcomes, artifacts = first.outcomes, stale.artifacts
        with pytest.raises(Superseded):
            await outcomes.note(stale, RecordingStatus.DOWNLOADED, artifacts, 0)
        with pytest.raises(Superseded):
            await outcomes.finish(stale, RecordingStatus.UPLOADED, artifacts)
        with pytest.raises(Superseded):
            await outcomes.hand_back(stale, artifacts.retries, 1)
    row = await harness.world.row("recording", recording_id)
    assert (row["status"], row["worker"], row["attempt"]) == ("INITIALIZED", "executor-2", 2)


async def test_stopping_hands_back_recordings_in_progress_in_time(
    harness: RecordingHarness, announced: Announcements
) -> None:
    recording_id = await harness.record(files=FILES)
    await announced.clear()
    await harness.zoom.fault(kind="slow", seconds=60, match={"path": "/transcription/*"})
    async with harness.working("executor-1") as first:
        await first.processing.take(waiting(recording_id))

        async def is_transcribing() -> bool:
            row = await harness.world.row("recording", recording_id)
            return bool(row["status"] == "TRANSCRIBING")

        await eventually(is_transcribing)
        first.processing.close()
        started = time.monotonic()
        await first.processing.drain(2.3)
        assert time.monotonic() - started < 3
        row = await harness.world.row("recording", recording_id)
        assert (row["status"], row["worker"], row["error_message"]) == ("TRANSCRIBING", None, None)
        with pytest.raises(Stopping):
            await first.processing.take(waiting(recording_id))
    # Somebody else is told at once, and goes on with the files that are there; no attempt is used up.
    [event] = await announced.of(RecordingProcessingRequested)
    async with harness.working("executor-2", max_attempts=1) as second:
        [row] = await harness.process(second, event.recording_id)
    assert (row["status"], row["attempt"]) == ("UPLOADED", 2)
    assert (await asked_for(harness))["files"] == 2


async def test_files_missing_from_the_store_are_downloaded_again(harness: RecordingHarness) -> None:
    recording_id = await harness.record(files=FILES)

    async def lose(status: RecordingStatus, artifacts: Artifacts) -> None:
        if status is RecordingStatus.TRANSCRIBED:
            worker.outcomes.before = None
            await harness.store.delete([file.path for file in artifacts.files.values()])

    async with harness.working() as worker:
        worker.outcomes.before = lose
        [row] = await harness.process(worker, recording_id)
        assert (row["status"], row["error_code"]) == ("INITIALIZED", "not_stored")
        await harness.let_wait_pass()
        await worker.processing.sweep()
        [row] = await harness.ended(recording_id)
    assert row["status"] == "UPLOADED"
    assert sorted(await harness.store.paths_below(str(harness.team.tenant_id))) == sorted(
        artifacts_of(row).paths()
    )


async def test_a_worker_that_always_dies_does_not_go_on_for_ever(
    harness: RecordingHarness, announced: Announcements
) -> None:
    recording_id = await harness.record(files=FILES)
    async with harness.working(max_attempts=3) as worker:
        await worker.claims.claim({recording_id: None})
        for _ in range(2):
            await harness.let_leases_expire()
            [again] = await worker.claims.waiting(waited_seconds=0, without=[], limit=5)
            assert await worker.claims.claim({again.id: None})
        await harness.let_leases_expire()
        await worker.processing.sweep()
        [row] = await harness.ended(recording_id)
    assert (row["status"], row["error_code"]) == ("FAILED", "exhausted")
    assert [event.retry_at for event in await announced.of(RecordingFailed)] == [None]


async def test_a_restarted_recording_has_all_its_attempts(harness: RecordingHarness) -> None:
    recording_id = await harness.record(files=FILES)
    retries: dict[str, Any] = {"retries": {"missing_since": "2026-11-01T00:00:00Z"}}
    await harness.world.sql.execute("UPDATE recording SET artifacts = $1, uncounted = 7", retries)
    async with harness.working() as worker:
        [claimed] = await worker.claims.claim({recording_id: None})
    assert (claimed.uncounted, claimed.artifacts.retries.missing_since) == (0, None)


@pytest.fixture(autouse=True)
async def _without_faults(harness: RecordingHarness) -> Any:
    """A fault that a test did not use up must not outlast it."""
    yield
    await harness.http.delete(f"{harness.origin}/_sandbox/faults")
