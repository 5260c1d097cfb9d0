"""A recording's way from the platform to where it is wanted, against the sandbox, on a real database."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from common.events import RecordingFailed, RecordingProcessed
from common.ids import new_id
from common.recordings.artifacts import TranscriptSource
from executor.recordings.processing.attempts import NO_STORE
from executor.recordings.steps.transcribing import NOBODY_TO_LISTEN, NOT_ASKED_FOR
from tests.support.outbox import Announcements
from tests.support.polling import eventually
from tests.support.recording_harness import RecordingHarness, artifacts_of, content_of

FILM, SOUND = {"file_type": "MP4"}, {"file_type": "M4A"}
SPOKEN = {
    "file_type": "TRANSCRIPT",
    "text": "WEBVTT\n\n1\n00:00:01.000 --> 00:00:04.000\nDana: Good morning\n\n2\n"
    "00:00:05.000 --> 00:00:07.000\nAlex: <i>Morning</i> &amp; welcome\n",
}


def sent_names(row: asyncpg.Record) -> Counter[str]:
    """What went to the targets: part and extension of each file."""
    uploads = artifacts_of(row).uploads.values()
    return Counter(
        f"{name.split('_')[2]}.{name.rpartition('.')[2]}"
        for upload in uploads
        for name, sent in upload.files.items()
        if sent.is_done
    )


async def heard(harness: RecordingHarness) -> list[Mapping[str, Any]]:
    """What the speech-to-text endpoint was asked."""
    answer = await harness.http.get(
        f"{harness.origin}/_sandbox/received", params={"kind": "transcription", "limit": 100}
    )
    received: list[Mapping[str, Any]] = answer.raise_for_status().json()["messages"]
    return received


async def test_a_recording_is_downloaded_transcribed_and_stored(
    harness: RecordingHarness, announced: Announcements
) -> None:
    recording_id = await harness.record("Weekly/../call", files=[FILM, SOUND, SPOKEN])
    async with harness.working() as worker:
        [row] = await harness.process(worker, recording_id)
    assert (row["status"], row["attempt"], row["error_message"]) == ("UPLOADED", 1, None)
    assert row["completed_at"] is not None
    assert row["available_at"] is row["lease_expires_at"] is None
    artifacts = artifacts_of(row)
    assert sorted(file.kind for file in artifacts.files.values()) == ["audio", "transcript", "video"]
    for file in artifacts.files.values():
        content = await content_of(harness.store, file.path)
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.bytes, file.sha256)
    assert sent_names(row) == Counter(["audio.m4a", "transcript.txt", "transcript.vtt", "video.mp4"])
    [upload] = artifacts.uploads.values()
    library = f"{harness.team.tenant_id}/library/"
    places = [sent.place for sent in upload.files.values()]
    assert all(place.startswith(library) and ".." not in place.split("/") for place in places)
    text = next(place for place in places if place.endswith(".txt"))
    assert await content_of(harness.store, text) == b"Dana: Good morning\nAlex: Morning & welcome\n"
    [event] = await announced.of(RecordingProcessed)
    assert (event.recording_id, event.status, event.uploads) == (recording_id, "UPLOADED", 1)
    assert event.trace_id == row["trace_id"]


async def test_only_the_files_asked_for_are_uploaded(harness: RecordingHarness) -> None:
    """What is taken for the transcript's sake alone goes nowhere."""
    recording_id = await harness.record(files=[FILM, SOUND], processing={"file_types": ["video"]})
    async with harness.working() as worker:
        [row] = await harness.process(worker, recording_id)
    assert row["status"] == "UPLOADED"
    assert sent_names(row) == Counter(["video.mp4", "transcript.vtt", "transcript.txt"])
    [transcript] = artifacts_of(row).transcripts.values()
    assert transcript.source is TranscriptSource.ENDPOINT


async def test_speech_becomes_text_where_the_platform_has_none(harness: RecordingHarness) -> None:
    before = len(await heard(harness))
    recording_id = await harness.record(
        files=[FILM, SOUND], processing={"transcription": {"language": "de-AT", "prompt": "Carillon"}}
    )
    async with harness.working() as worker:
        [row] = await harness.process(worker, recording_id)
    asked = (await heard(harness))[before:]
    [request] = asked
    assert request["params"] == {
        "model": "whisper-1",
        "response_format": "vtt",
        "language": "de",
        "prompt": "Carillon",
    }
    artifacts = artifacts_of(row)
    audio = next(file for file in artifacts.files.values() if file.kind == "audio")
    assert (request["file"], request["size"]) == ("recording.m4a", audio.bytes)
    [transcript] = artifacts.transcripts.values()
    assert (transcript.model, transcript.language) == ("whisper-1", "de-AT")
    assert (await content_of(harness.store, transcript.vtt.path)).startswith(b"WEBVTT\n")
    text = (await content_of(harness.store, transcript.text.path)).decode()
    assert text.strip()
    assert "-->" not in text


@pytest.mark.parametrize(
    ("processing", "overrides", "note"),
    [
        ({"skip_transcription": True}, {}, NOT_ASKED_FOR),
        ({}, {"transcription_base_url": None}, NOBODY_TO_LISTEN),
    ],
    ids=["not asked for", "nobody to listen"],
)
async def test_without_a_transcript_the_rest_is_done_with_a_note(
    harness: RecordingHarness, processing: Mapping[str, Any], overrides: Mapping[str, Any], note: str
) -> None:
    recording_id = await harness.record(files=[FILM, SOUND], processing=processing)
    async with harness.working(**overrides) as worker:
        [row] = await harness.process(worker, recording_id)
    artifacts = artifacts_of(row)
    assert (row["status"], artifacts.transcript_note) == ("UPLOADED", note)
    assert artifacts.transcripts == {}
    assert sent_names(row) == Counter(["audio.m4a", "video.mp4"])


async def test_without_upload_it_ends_with_the_transcript(
    harness: RecordingHarness, announced: Announcements
) -> None:
    recording_id = await harness.record(processing={"auto_upload": False})
    async with harness.working() as worker:
        [row] = await harness.process(worker, recording_id)
    assert (row["status"], artifacts_of(row).uploads) == ("TRANSCRIBED", {})
    [event] = await announced.of(RecordingProcessed)
    assert (event.status, event.uploads) == ("TRANSCRIBED", 0)


async def test_a_meeting_that_was_stopped_and_went_on_has_parts(harness: RecordingHarness) -> None:
    recording_id = await harness.record(files=[FILM, FILM, SOUND, SOUND])
    async with harness.working() as worker:
        [row] = await harness.process(worker, recording_id)
    assert sent_names(row) == Counter(
        [
            *("video.mp4", "video-2.mp4", "audio.m4a", "audio-2.m4a"),
            *("transcript.vtt", "transcript-2.vtt", "transcript.txt", "transcript-2.txt"),
        ]
    )


async def test_without_a_store_recordings_fail_and_say_so(
    harness: RecordingHarness, announced: Announcements
) -> None:
    recording_id = await harness.record()
    async with harness.working(has_store=False) as worker:
        [row] = await harness.process(worker, recording_id)
    assert (row["status"], row["error_code"], row["error_message"]) == ("FAILED", "unprocessable", NO_STORE)
    [event] = await announced.of(RecordingFailed)
    assert event.retry_at is None


async def test_settings_that_cannot_be_read_fail_and_name_the_field(harness: RecordingHarness) -> None:
    recording_id = await harness.record()
    await harness.world.sql.execute('UPDATE recording SET processing = \'{"auto_upload": "perhaps"}\'')
    async with harness.working() as worker:
        [row] = await harness.process(worker, recording_id)
    assert (row["status"], row["error_code"]) == ("FAILED", "unprocessable")
    assert "auto_upload" in row["error_message"]


async def test_sound_that_is_too_large_to_be_heard_fails_with_the_reason(harness: RecordingHarness) -> None:
    recording_id = await harness.record(files=[FILM, {**SOUND, "size": 5_000}])
    async with harness.working(transcription_max_bytes=4_000) as worker:
        [row] = await harness.process(worker, recording_id)
    assert (row["status"], row["error_code"]) == ("FAILED", "split:too_large")
    assert "TRANSCRIPTION_MAX_BYTES" in row["error_message"]


async def test_a_refused_key_fails_without_showing_it(harness: RecordingHarness) -> None:
    recording_id = await harness.record(files=[FILM, SOUND])
    async with harness.working(transcription_api_key="revoked-key-4711-TAIL") as worker:
        [row] = await harness.process(worker, recording_id)
    assert (row["status"], row["error_code"]) == ("FAILED", "invalid:invalid_api_key")
    assert "TAIL" not in row["error_message"]
    assert "TRANSCRIPTION_API_KEY" in row["error_message"]


async def test_an_endpoint_that_asks_to_wait_is_waited_for_and_uses_up_no_attempt(
    harness: RecordingHarness, announced: Announcements
) -> None:
    recording_id = await harness.record(files=[FILM, SOUND])
    await harness.zoom.fault(kind="rate_limit", match={"platform": "transcription"}, retry_after=90)
    async with harness.working(max_attempts=1) as worker:
        [row] = await harness.process(worker, recording_id)
        assert (row["status"], row["error_code"]) == ("TRANSCRIBING", "rate:rate_limit_exceeded")
        wait = row["available_at"] - datetime.now(UTC)
        assert timedelta(seconds=85) < wait <= timedelta(seconds=92)
        [event] = await announced.of(RecordingFailed)
        assert (event.step, event.retry_at) == ("transcribe", row["available_at"])
        await harness.let_wait_pass()
        await worker.processing.sweep()
        [row] = await harness.ended(recording_id)
    assert (row["status"], row["attempt"], row["error_code"]) == ("UPLOADED", 2, None)


async def test_a_step_is_retried_until_its_attempts_are_used_up(
    harness: RecordingHarness, announced: Announcements
) -> None:
    recording_id = await harness.record(files=[FILM, SOUND])
    await harness.zoom.fault(kind="server_error", match={"platform": "transcription"}, times=10)
    async with harness.working(max_attempts=3) as worker:
        [row] = await harness.process(worker, recording_id)
        waits = [row["available_at"] - datetime.now(UTC)]
        for _ in range(2):
            assert row["status"] == "TRANSCRIBING"
            await harness.let_wait_pass()
            await worker.processing.sweep()
            [row] = await harness.ended(recording_id)
            if row["available_at"]:
                waits.append(row["available_at"] - datetime.now(UTC))
    # A step that was done leaves the next one all of its attempts: the first one did both.
    assert (row["status"], row["attempt"], row["error_code"]) == ("FAILED", 3, "transient:500")
    assert [event.retry_at is None for event in await announced.of(RecordingFailed)] == [False, False, True]
    assert timedelta(seconds=14) < waits[0] < waits[1] + timedelta(seconds=1) < timedelta(seconds=62)


async def test_a_step_has_a_time_limit(harness: RecordingHarness) -> None:
    recording_id = await harness.record(files=[FILM])
    await harness.zoom.fault(kind="slow", seconds=30, match={"path": "/zoom/files/*"})
    async with harness.working(step_timeout=0.3) as worker:
        [row] = await harness.process(worker, recording_id)
    assert (row["status"], row["error_code"]) == ("DOWNLOADING", "step_timeout")
    assert row["available_at"] is not None


@pytest.mark.parametrize("kind", ["s3", "webhook"])
async def test_another_teams_targets_cannot_be_used(harness: RecordingHarness, kind: str) -> None:
    other = await harness.world.team("Somebody else")
    destination_id = await harness.world.webhook(other, f"{harness.origin}/hooks/other", "whsec_" + "A" * 32)
    target: dict[str, Any] = {"type": "webhook", "destination_id": str(destination_id)}
    if kind == "s3":
        target = {"type": "s3", "connection_id": str(new_id())}
    recording_id = await harness.record(processing={"upload": [target]})
    async with harness.working() as worker:
        [row] = await harness.process(worker, recording_id)
    assert (row["status"], row["error_code"]) == ("FAILED", "invalid:unusable")
    assert "there is no" in row["error_message"]


async def test_several_recordings_at_once_and_never_more_than_there_are_places(
    harness: RecordingHarness,
) -> None:
    recording_ids = [await harness.record(f"Call {number}", files=[FILM]) for number in range(5)]
    async with harness.working(concurrency=2, transcription_base_url=None) as worker:
        most = 0

        async def count(*_: object) -> None:
            nonlocal most
            most = max(most, 2 - worker.processing.shares[0].free)

        worker.outcomes.before = count
        rows = await harness.process(worker, *recording_ids)
        # A place is given back just after the end was committed, so the row may be read before.
        await eventually(lambda: worker.processing.shares[0].free == 2)
    assert [row["status"] for row in rows] == ["UPLOADED"] * 5
    assert most == 2


async def test_spans_and_events_continue_the_trace_of_the_request(
    harness: RecordingHarness, announced: Announcements
) -> None:
    recording_id = await harness.record()
    stored: str = await harness.world.sql.fetchval("SELECT traceparent FROM recording")
    async with harness.working() as worker:
        await harness.process(worker, recording_id)
    records = await announced.records()
    assert {record.headers["traceparent"].split("-")[1] for record in records} == {stored.split("-")[1]}
