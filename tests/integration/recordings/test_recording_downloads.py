"""Downloading from a platform that has its moods: what is stored is the file, or nothing is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.errors import Consequence
from common.events import RecordingFailed, TokenReauthRequired
from common.models import ConnectionKind
from common.oauth.base import Stored, TokenSet
from executor.recordings.processing.retries import LOOK_AGAIN, NOT_READY
from tests.support.grants import ScriptedGrant, refusal
from tests.support.outbox import Announcements
from tests.support.recording_workers import Studio, artifacts_of, content_of

FILES = [{"file_type": "MP4", "size": 200_000}]
PLAIN: dict[str, Any] = {"transcription_base_url": None}
FILE_PATH = {"path": "/zoom/files/*"}


async def nothing_stored(studio: Studio) -> bool:
    return await studio.store.paths_below(str(studio.team.tenant_id)) == []


async def renewing(stored: Stored, _number: int) -> TokenSet:
    return TokenSet("sandbox-zoom-renewed", refresh_token="refresh-2")


@pytest.mark.parametrize("habit", [200, 401])
async def test_an_expired_token_is_renewed_once_and_the_file_is_had(studio: Studio, habit: int) -> None:
    grant = ScriptedGrant(script=renewing)
    studio.grants = {grant.kind: grant}
    await studio.zoom.habit(download_refusal=habit)
    await studio.connect("expired-token", refresh_token="refresh-1")
    recording_id = await studio.record(files=FILES)
    async with studio.working(**PLAIN) as worker:
        [row] = await studio.process(worker, recording_id)
    assert (row["status"], row["attempt"], len(grant.sent)) == ("UPLOADED", 1, 1)


async def test_a_token_that_cannot_be_renewed_fails_and_asks_the_owner(
    studio: Studio, announced: Announcements
) -> None:
    async def dead(_stored: Stored, _number: int) -> TokenSet:
        raise refusal(Consequence.REAUTH, "invalid_grant")

    grant = ScriptedGrant(script=dead)
    studio.grants = {grant.kind: grant}
    connection_id = await studio.connect("expired-token", refresh_token="refresh-1")
    recording_id = await studio.record(files=FILES)
    async with studio.working(**PLAIN) as worker:
        [row] = await studio.process(worker, recording_id)
    assert (row["status"], row["error_code"]) == ("FAILED", "reauth:invalid_grant")
    connection = await studio.world.row("connection", connection_id)
    assert connection["status"] == "reauth_required"
    assert len(await announced.of(TokenReauthRequired)) == 1
    assert await nothing_stored(studio)


async def test_a_renewed_token_that_is_refused_condemns_the_account(
    studio: Studio, announced: Announcements
) -> None:
    async def useless(_stored: Stored, _number: int) -> TokenSet:
        return TokenSet("expired-again", refresh_token="refresh-2")

    studio.grants = {ConnectionKind.ZOOM_USER: ScriptedGrant(script=useless)}
    await studio.zoom.habit(download_refusal=401)
    connection_id = await studio.connect("expired-token", refresh_token="refresh-1")
    recording_id = await studio.record(files=FILES)
    async with studio.working(**PLAIN) as worker:
        [row] = await studio.process(worker, recording_id)
    assert (row["status"], row["error_code"]) == ("FAILED", "reauth:124")
    assert (await studio.world.row("connection", connection_id))["status"] == "reauth_required"
    assert len(await announced.of(TokenReauthRequired)) == 1


@pytest.mark.parametrize(("habit", "code"), [(200, "perm:sign_in_page"), (403, "perm:200")])
async def test_an_account_that_may_not_have_the_file_fails_and_keeps_its_connection(
    studio: Studio, habit: int, code: str
) -> None:
    studio.grants = {
        ConnectionKind.ZOOM_USER: ScriptedGrant(
            script=lambda *_: _tokens(TokenSet("unscoped-again", refresh_token="refresh-2"))
        )
    }
    await studio.zoom.habit(download_refusal=habit)
    connection_id = await studio.connect("unscoped-token", refresh_token="refresh-1")
    recording_id = await studio.record(files=FILES)
    async with studio.working(**PLAIN) as worker:
        [row] = await studio.process(worker, recording_id)
    assert (row["status"], row["error_code"]) == ("FAILED", code)
    assert (await studio.world.row("connection", connection_id))["status"] == "active"
    assert await nothing_stored(studio)


async def _tokens(tokens: TokenSet) -> TokenSet:
    return tokens


async def test_the_download_token_opens_the_files_without_the_account(studio: Studio) -> None:
    await studio.connect("expired-token", status="reauth_required")
    recording_id = await studio.record(files=FILES)
    uuid = await studio.world.sql.fetchval("SELECT external_id FROM recording")
    token = await studio.zoom.download_token(uuid)
    sealed = studio.ring.seal(
        token, tenant_id=studio.team.tenant_id, row_id=recording_id, column="download_token"
    )
    await studio.world.sql.execute(
        "UPDATE recording SET download_token_sealed = $1, download_token_expires_at = $2",
        sealed,
        datetime.now(UTC) + timedelta(hours=1),
    )
    async with studio.working(**PLAIN) as worker:
        [row] = await studio.process(worker, recording_id)
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
async def test_what_is_not_the_whole_file_is_not_stored_and_tried_again(
    studio: Studio, fault: dict[str, Any], code: str
) -> None:
    recording_id = await studio.record(files=FILES)
    await studio.zoom.fault(**fault, match=FILE_PATH)
    async with studio.working(platform_timeout=0.5, **PLAIN) as worker:
        [row] = await studio.process(worker, recording_id)
        assert (row["status"], row["error_code"]) == ("DOWNLOADING", code)
        assert artifacts_of(row).files == {}
        assert await nothing_stored(studio)
        await studio.let_wait_pass()
        await worker.processing.sweep()
        [row] = await studio.ended(recording_id)
    assert (row["status"], row["attempt"]) == ("UPLOADED", 2)


async def test_a_file_of_another_size_than_zoom_told_is_not_taken(studio: Studio) -> None:
    def lie(document: dict[str, Any]) -> None:
        document["recording_files"][0]["file_size"] += 1

    recording_id = await studio.record(files=FILES, change=lie)
    async with studio.working(**PLAIN) as worker:
        [row] = await studio.process(worker, recording_id)
    assert (row["status"], row["error_code"]) == ("DOWNLOADING", "transient:wrong_size")
    assert await nothing_stored(studio)


async def test_a_recording_that_zoom_does_not_have_yet_is_waited_for(
    studio: Studio, announced: Announcements
) -> None:
    recording_id = await studio.record(files=FILES)
    await studio.zoom.fault(
        kind="code", code="3301", match={"platform": "zoom", "path": "/zoom/rec/download/*"}, times=3
    )
    async with studio.working(max_attempts=1, **PLAIN) as worker:
        [row] = await studio.process(worker, recording_id)
        for _ in range(2):
            assert (row["status"], row["error_code"]) == ("DOWNLOADING", "gone:3301")
            wait = row["available_at"] - datetime.now(UTC)
            assert LOOK_AGAIN - timedelta(seconds=10) < wait <= LOOK_AGAIN
            await studio.let_wait_pass()
            await worker.processing.sweep()
            [row] = await studio.ended(recording_id)
        assert all(event.retry_at for event in await announced.of(RecordingFailed))
        await studio.let_wait_pass()
        await worker.processing.sweep()
        [row] = await studio.ended(recording_id)
    assert (row["status"], row["attempt"]) == ("UPLOADED", 4)


async def test_a_recording_that_zoom_never_has_fails_after_two_hours(
    studio: Studio, announced: Announcements
) -> None:
    recording_id = await studio.record(files=FILES)
    await studio.zoom.fault(kind="code", code="3301", match={"path": "/zoom/rec/download/*"}, times=2)
    async with studio.working(**PLAIN) as worker:
        [row] = await studio.process(worker, recording_id)
        since = artifacts_of(row).retries.missing_since
        assert since is not None
        await studio.world.sql.execute(
            "UPDATE recording"
            " SET artifacts = jsonb_set(artifacts, '{retries,missing_since}', to_jsonb($1::text))",
            (since - NOT_READY).isoformat(),
        )
        await studio.let_wait_pass()
        await worker.processing.sweep()
        [row] = await studio.ended(recording_id)
    assert (row["status"], row["error_code"]) == ("FAILED", "gone:3301")
    assert [event.retry_at is None for event in await announced.of(RecordingFailed)] == [False, True]


async def test_files_that_are_there_are_not_fetched_again_when_it_is_started_anew(studio: Studio) -> None:
    recording_id = await studio.record(files=[*FILES, {"file_type": "M4A"}])
    await studio.zoom.fault(kind="status", code=404, match={"path": "/zoom/files/*.m4a*"}, times=1)
    async with studio.working(**PLAIN) as worker:
        [row] = await studio.process(worker, recording_id)
        [film] = artifacts_of(row).files.values()
        await studio.zoom.fault(kind="status", code=500, match={"path": "/zoom/files/*.mp4*"}, times=1)
        await studio.let_wait_pass()
        await worker.processing.sweep()
        [row] = await studio.ended(recording_id)
    assert row["status"] == "UPLOADED", "the film was fetched again"
    assert film in artifacts_of(row).files.values()
    assert len(await content_of(studio.store, film.path)) == 200_000


@pytest.fixture(autouse=True)
async def _without_faults(studio: Studio) -> Any:
    yield
    await studio.http.delete(f"{studio.origin}/_sandbox/faults")
