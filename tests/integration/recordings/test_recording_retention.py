"""Old recordings' files go, all of them, and only they."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from common.database.pool import ConnectionPool
from common.recordings.layout import folder
from common.recordings.retention import note_deleted, old_recordings
from common.recordings.store import RecordingStore, StoreFault
from scheduler.cleanup import Cleanup, Retention
from scheduler.lease import StaleTerm
from scheduler.stored_files import StoredFiles
from tests.support.leaders import depose, lead
from tests.support.recording_harness import RecordingHarness, artifacts_of

FILES = [{"file_type": "MP4"}]
DAY = timedelta(days=1)
START = (datetime.min.replace(tzinfo=UTC), UUID(int=0))


async def processed(
    harness: RecordingHarness, *topics: str, days_ago: float = 100, **more: Any
) -> list[UUID]:
    """Recordings that were processed so long ago."""
    ids = [await harness.record(topic, files=FILES, **more) for topic in topics]
    async with harness.working(transcription_base_url=None) as worker:
        await harness.process(worker, *ids)
    await harness.world.sql.execute(
        "UPDATE recording SET completed_at = now() - $2::interval WHERE id = ANY($1::uuid[])",
        ids,
        days_ago * DAY,
    )
    return ids


async def clean(harness: RecordingHarness, *, batch: int = 100) -> dict[str, int]:
    lease, term = await lead(harness.pool)
    retention = Retention(
        runs=90 * DAY, logs=30 * DAY, deliveries=60 * DAY, tokens=30 * DAY, recordings=90 * DAY
    )
    files = StoredFiles(harness.pool, lease, harness.store, batch=batch)
    cleanup = Cleanup(harness.pool, lease, retention=retention, interval=86_400, stored_files=files)
    done = await cleanup.run(term)
    await lease.resign(term)
    return done


async def stored(harness: RecordingHarness) -> set[str]:
    return set(await harness.store.paths_below(str(harness.team.tenant_id)))


async def test_files_whose_time_is_over_go_and_the_rest_stays(
    harness: RecordingHarness, tmp_path: Path
) -> None:
    old = await processed(harness, "Old", "Older", "Oldest")
    [young] = await processed(harness, "Young", days_ago=80)
    kept = set(artifacts_of(await harness.world.row("recording", young)).paths())
    # A worker that was killed between a file and its note leaves one that no artifact tells of.
    await harness.store.put_bytes(f"{folder(harness.team.tenant_id, old[0])}/left-behind.mp4", b"x")
    done = await clean(harness, batch=2)
    assert done["recording_files"] == 3
    assert await stored(harness) == kept
    for recording_id in old:
        row = await harness.world.row("recording", recording_id)
        assert row["files_deleted_at"] is not None
        artifacts = artifacts_of(row)
        assert row["status"] == "UPLOADED"
        assert {**artifacts.files, **artifacts.transcripts, **artifacts.uploads} == {}
    assert (await harness.world.row("recording", young))["files_deleted_at"] is None
    # Nothing but the files of the one that stays, and no empty folder.
    left = [path for path in (tmp_path / "store").rglob("*") if path.is_dir() and not any(path.iterdir())]
    assert left == []
    assert (await clean(harness))["recording_files"] == 0


async def test_retention_skips_a_restarted_recording_which_downloads_again(
    harness: RecordingHarness, pool: ConnectionPool
) -> None:
    [recording_id] = await processed(harness, "Old", processing={"auto_upload": False})
    async with pool.acquire() as db:
        old = await old_recordings(db, datetime.now(UTC), after=START, limit=5)
    assert [each.id for each in old] == [recording_id]
    await harness.world.sql.execute(
        "UPDATE recording SET available_at = now(), processing = '{\"auto_upload\": true}'"
    )
    async with pool.acquire() as db:
        assert await old_recordings(db, datetime.now(UTC), after=START, limit=5) == []
        # Its files were deleted in the meantime, and that is not noted any more.
        await harness.store.delete(sorted(await stored(harness)))
        assert await note_deleted(db, old) == 0
    async with harness.working(transcription_base_url=None) as worker:
        [row] = await harness.process(worker, recording_id)
        assert (row["status"], row["error_code"]) == ("INITIALIZED", "not_stored")
        await harness.let_wait_pass()
        await worker.processing.sweep()
        [row] = await harness.ended(recording_id)
    assert (row["status"], row["files_deleted_at"]) == ("UPLOADED", None)
    assert await stored(harness) == set(artifacts_of(row).paths())


async def test_a_recording_can_be_restarted_after_its_files_were_deleted(harness: RecordingHarness) -> None:
    [recording_id] = await processed(harness, "Old")
    await clean(harness)
    await harness.world.sql.execute(
        "UPDATE recording SET status = 'INITIALIZED', attempt = 0, available_at = now(), completed_at = NULL"
    )
    async with harness.working(transcription_base_url=None) as worker:
        [row] = await harness.process(worker, recording_id)
    assert (row["status"], row["files_deleted_at"]) == ("UPLOADED", None)
    assert await stored(harness) == set(artifacts_of(row).paths())


async def test_an_unavailable_store_is_retried_by_the_next_pass(
    harness: RecordingHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    [recording_id] = await processed(harness, "Old")

    async def away(*_: object) -> None:
        raise StoreFault("a file could not be deleted")

    with monkeypatch.context() as patch:
        patch.setattr(RecordingStore, "delete", away)
        assert (await clean(harness))["recording_files"] == 0
    assert (await harness.world.row("recording", recording_id))["files_deleted_at"] is None
    assert (await clean(harness))["recording_files"] == 1


async def test_a_deposed_leader_notes_nothing(harness: RecordingHarness) -> None:
    [recording_id] = await processed(harness, "Old")
    lease, term = await lead(harness.pool)
    await depose(harness.pool)
    with pytest.raises(StaleTerm):
        await StoredFiles(harness.pool, lease, harness.store).forget(term, datetime.now(UTC))
    assert (await harness.world.row("recording", recording_id))["files_deleted_at"] is None


async def test_uploads_to_other_targets_stay_recorded(harness: RecordingHarness) -> None:
    [recording_id] = await processed(harness, "Old")
    await harness.world.sql.execute(
        "UPDATE recording SET artifacts = jsonb_set(artifacts, '{uploads,s3:1:x}',"
        ' \'{"type": "s3", "begun_at": "2026-11-01T00:00:00Z"}\')'
    )
    await clean(harness)
    row = await harness.world.row("recording", recording_id)
    assert list(artifacts_of(row).uploads) == ["s3:1:x"]


async def test_artifacts_that_cannot_be_read_do_not_keep_the_files(harness: RecordingHarness) -> None:
    [recording_id] = await processed(harness, "Old", processing={"auto_upload": False})
    await harness.world.sql.execute("UPDATE recording SET artifacts = '{\"files\": 7}'")
    assert (await clean(harness))["recording_files"] == 1
    assert await stored(harness) == set()
    assert (await harness.world.row("recording", recording_id))["artifacts"] == {}
