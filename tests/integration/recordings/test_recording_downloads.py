"""Downloading from a platform that has its moods: what is stored is the file, or nothing is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.errors import Consequence
from common.events import RecordingFailed, TokenReauthRequired
from common.recordings.settings import FileKind
from executor.recordings.processing.retries import LOOK_AGAIN, NOT_READY
from platforms.oauth.base import Stored, TokenSet
from platforms.zoom import ZOOM_USER
from tests.support.fake_grants import ScriptedGrant, refusal
from tests.support.outbox import Announcements
from tests.support.recording_harness import RecordingHarness, artifacts_of, content_of

FILES = [{"file_type": "MP4", "size": 200_000}]
PLAIN: dict[str, Any] = {"transcription_base_url": None}
FILE_PATH = {"path": "/zoom/files/*"}


async def nothing_stored(harness: RecordingHarness) -> bool:
    return await harness.store.paths_below(str(harness.team.tenant_id)) == []


async def renewing(stored: Stored, _number: int) -> TokenSet:
    return TokenSet("sandbox-zoom-renewed", refresh_token="refresh-2")


@pytest.mark.parametrize("habit", [200, 401])
async def test_an_expired_token_is_renewed_once_and_the_file_is_had(
    harness: RecordingHarness, habit: int
) -> None:
    grant = ScriptedGrant(script=renewing)
    harness.grants = {grant.kind: grant}
    await harness.zoom.habit(download_refusal=habit)
    await harness.connect("expired-token", refresh_token="refresh-1")
    recording_id = await harness.record(files=FILES)
    async with harness.working(**PLAIN) as worker:
        [row] = await harness.process(worker, recording_id)
    assert (row["status"], row["attempt"], len(grant.sent)) == ("UPLOADED", 1, 1)


async def test_a_token_that_cannot_be_renewed_fails_and_asks_the_owner(
    harness: RecordingHarness, announced: Announcements
) -> None:
    async def dead(_stored: Stored, _number: int) -> TokenSet:
        raise refusal(Consequence.REAUTH, "invalid_grant")

    grant = ScriptedGrant(script=dead)
    harness.grants = {grant.kind: grant}
    connection_id = await harness.connect("expired-token", refresh_token="refresh-1")
    recording_id = await harness.record(files=FILES)
    async with harness.working(**PLAIN) as worker:
        [row] = await harness.process(worker, recording_id)
    assert (row["status"], row["error_code"]) == ("FAILED", "reauth:invalid_grant")
    connection = await harness.world.row("connection", connection_id)
    assert connection["status"] == "reauth_required"
    assert len(await announced.of(TokenReauthRequired)) == 1
    assert await nothing_stored(harness)


async def test_a_renewed_token_that_is_refused_condemns_the_account(
    harness: RecordingHarness, announced: Announcements
) -> None:
    async def useless(_stored: Stored, _number: int) -> TokenSet:
        return TokenSet("expired-again", refresh_token="refresh-2")

    harness.grants = {ZOOM_USER: ScriptedGrant(script=useless)}
    await harness.zoom.habit(download_refusal=401)
    connection_id = await harness.connect("expired-token", refresh_token="refresh-1")
    recording_id = await harness.record(files=FILES)
    async with harness.working(**PLAIN) as worker:
        [row] = await harness.process(worker, recording_id)
    assert (row["status"], row["error_code"]) == ("FAILED", "reauth:124")
    assert (await harness.world.row("connection", connection_id))["status"] == "reauth_required"
    assert len(await announced.of(TokenReauthRequired)) == 1


@pytest.mark.parametrize(("habit", "code"), [(200, "perm:sign_in_page"), (403, "perm:200")])
async def test_an_account_that_may_not_have_the_file_fails_and_keeps_its_connection(
    harness: RecordingHarness, habit: int, code: str
) -> None:
    harness.grants = {
        ZOOM_USER: ScriptedGrant(
            script=lambda *_: _tokens(TokenSet("unscoped-again", refresh_token="refresh-2"))
        )
    }
    await harness.zoom.habit(download_refusal=habit)
    connection_id = await harness.connect("unscoped-token", refresh_token="refresh-1")
    recording_id = await harness.record(files=FILES)
    async with harness.working(**PLAIN) as worker:
        [row] = await harness.process(worker, recording_id)
    assert (row["status"], row["error_code"]) == ("FAILED", code)
    assert (await harness.world.row("connection", connection_id))["status"] == "active"
    assert await nothing_stored(harness)


async def _tokens(tokens: TokenSet) -> TokenSet:
    return tokens


async def test_the_download_token_opens_the_files_without_the_account(harness: RecordingHarness) -> None:
    await harness.connect("expired-token", status="reauth_required")
    recording_id = await harness.record(files=FILES)
    uuid = await harness.world.sql.fetchval("SELECT external_id FROM recording")
    token = await harness.zoom.download_token(uuid)
    sealed = harness.ring.seal(
        token, tenant_id=harness.team.tenant_id, row_id=recording_id, column="download_token"
    )
    await harness.world.sql.execute(
        "UPDATE recording SET download_token_sealed = $1, download_token_expires_at = $2",
        sealed,
        datetime.now(UTC) + timedelta(hours=1),
    )
    async with harness.working(**PLAIN) as worker:
        [row] = await harness.process(worker, recording_id)
    assert row["status"] == "UPLOADED"
    assert row["download_token_sealed"] is None, "a secret that is used up is kept"


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"kind": "truncated"}, "transient:broken_off"),
        ({"kind": "reset"}, "transient:broken_off"),
        ({"kind": "html"}, "transient:unreadable"),
        ({"kind": "status", "code": 502, "body": "Bad Gateway"}, "transient:unreadable"),
        ({"kind": "slow", "seconds": 30}, "transient:broken_off"),
    ],
    ids=["truncated", "reset", "page", "502", "slow"],
)
async def test_an_incomplete_download_is_not_stored_and_is_retried(
    harness: RecordingHarness, fault: dict[str, Any], code: str
) -> None:
    recording_id = await harness.record(files=FILES)
    await harness.zoom.fault(**fault, match=FILE_PATH)
    async with harness.working(platform_timeout=0.5, **PLAIN) as worker:
        [row] = await harness.process(worker, recording_id)
        assert (row["status"], row["error_code"]) == ("DOWNLOADING", code)
        assert artifacts_of(row).files == {}
        assert await nothing_stored(harness)
        await harness.let_wait_pass()
        await worker.processing.sweep()
        [row] = await harness.ended(recording_id)
    assert (row["status"], row["attempt"]) == ("UPLOADED", 2)


@pytest.mark.parametrize("difference", [37, -5])
async def test_sizes_that_differ_from_zooms_list_are_noted(
    harness: RecordingHarness, difference: int
) -> None:
    await harness.zoom.habit(size_difference=difference)
    recording_id = await harness.record(files=[*FILES, {"file_type": "TRANSCRIPT"}])
    async with harness.working(**PLAIN) as worker:
        [row] = await harness.process(worker, recording_id)
    assert (row["status"], row["attempt"], artifacts_of(row).missing) == ("UPLOADED", 1, {})
    stored = artifacts_of(row).files.values()
    assert [file.bytes - file.announced_bytes for file in stored] == [difference] * 2
    [film] = [file for file in stored if file.kind is FileKind.VIDEO]
    assert len(await content_of(harness.store, film.path)) == film.bytes == 200_000


@pytest.mark.parametrize(
    ("fault", "attempts", "code"),
    [
        ({"kind": "status", "code": 502, "body": "Bad Gateway"}, 2, "transient:unreadable"),
        ({"kind": "truncated"}, 2, "transient:broken_off"),
        ({"kind": "code", "code": "200"}, 1, "perm:200"),
    ],
    ids=["502", "truncated", "forbidden"],
)
async def test_the_fault_of_one_file_does_not_hold_up_the_others(
    harness: RecordingHarness, fault: dict[str, Any], attempts: int, code: str
) -> None:
    """Until there is hope the recording waits; after that it is delivered without the file, and says so."""
    recording_id = await harness.record(
        files=[{"file_type": "M4A"}, *FILES], processing={"upload": [{"type": "store"}]}
    )
    await harness.zoom.fault(**fault, match={"path": "/zoom/files/*.m4a*"}, times=attempts)
    async with harness.working(max_attempts=2, **PLAIN) as worker:
        [row] = await harness.process(worker, recording_id)
        for _ in range(attempts - 1):
            assert (row["status"], row["error_code"]) == ("DOWNLOADING", code)
            assert [file.kind for file in artifacts_of(row).files.values()] == [FileKind.VIDEO]
            await harness.let_wait_pass()
            await worker.processing.sweep()
            [row] = await harness.ended(recording_id)
    artifacts = artifacts_of(row)
    assert (row["status"], row["attempt"], row["error_code"]) == ("UPLOADED", attempts, None)
    [missing] = artifacts.missing.values()
    assert (missing.kind, missing.code) == (FileKind.AUDIO, code)
    [upload] = artifacts.uploads.values()
    assert [(name[-4:], sent.is_done) for name, sent in upload.files.items()] == [(".mp4", True)]


async def test_a_recording_of_which_no_file_can_be_had_fails(harness: RecordingHarness) -> None:
    recording_id = await harness.record(files=[{"file_type": "M4A"}, *FILES])
    await harness.zoom.fault(kind="code", code="200", match=FILE_PATH, times=2)
    async with harness.working(**PLAIN) as worker:
        [row] = await harness.process(worker, recording_id)
    assert (row["status"], row["error_code"]) == ("FAILED", "perm:200")
    assert len(artifacts_of(row).missing) == 2


async def test_a_recording_that_zoom_does_not_have_yet_is_waited_for(
    harness: RecordingHarness, announced: Announcements
) -> None:
    recording_id = await harness.record(files=FILES)
    await harness.zoom.fault(
        kind="code", code="3301", match={"platform": "zoom", "path": "/zoom/rec/download/*"}, times=3
    )
    async with harness.working(max_attempts=1, **PLAIN) as worker:
        [row] = await harness.process(worker, recording_id)
        for _ in range(2):
            assert (row["status"], row["error_code"]) == ("DOWNLOADING", "gone:3301")
            wait = row["available_at"] - datetime.now(UTC)
            assert LOOK_AGAIN - timedelta(seconds=10) < wait <= LOOK_AGAIN
            await harness.let_wait_pass()
            await worker.processing.sweep()
            [row] = await harness.ended(recording_id)
        assert all(event.retry_at for event in await announced.of(RecordingFailed))
        await harness.let_wait_pass()
        await worker.processing.sweep()
        [row] = await harness.ended(recording_id)
    assert (row["status"], row["attempt"]) == ("UPLOADED", 4)


async def test_a_recording_that_zoom_never_has_fails_after_two_hours(
    harness: RecordingHarness, announced: Announcements
) -> None:
    recording_id = await harness.record(files=FILES)
    await harness.zoom.fault(kind="code", code="3301", match={"path": "/zoom/rec/download/*"}, times=2)
    async with harness.working(**PLAIN) as worker:
        [row] = await harness.process(worker, recording_id)
        since = artifacts_of(row).retries.missing_since
        assert since is not None
        await harness.world.sql.execute(
            "UPDATE recording"
            " SET artifacts = jsonb_set(artifacts, '{retries,missing_since}', to_jsonb($1::text))",
            (since - NOT_READY).isoformat(),
        )
        await harness.let_wait_pass()
        await worker.processing.sweep()
        [row] = await harness.ended(recording_id)
    assert (row["status"], row["error_code"]) == ("FAILED", "gone:3301")
    assert [event.retry_at is None for event in await announced.of(RecordingFailed)] == [False, True]


async def test_restarting_a_recording_keeps_downloaded_files(
    harness: RecordingHarness,
) -> None:
    recording_id = await harness.record(files=[*FILES, {"file_type": "M4A"}])
    await harness.zoom.fault(kind="status", code=404, match={"path": "/zoom/files/*.m4a*"}, times=1)
    async with harness.working(**PLAIN) as worker:
        [row] = await harness.process(worker, recording_id)
        [film] = artifacts_of(row).files.values()
        await harness.zoom.fault(kind="status", code=500, match={"path": "/zoom/files/*.mp4*"}, times=1)
        await harness.let_wait_pass()
        await worker.processing.sweep()
        [row] = await harness.ended(recording_id)
    assert row["status"] == "UPLOADED", "the film was fetched again"
    assert film in artifacts_of(row).files.values()
    assert len(await content_of(harness.store, film.path)) == 200_000


@pytest.fixture(autouse=True)
async def _without_faults(harness: RecordingHarness) -> Any:
    yield
    await harness.http.delete(f"{harness.origin}/_sandbox/faults")
