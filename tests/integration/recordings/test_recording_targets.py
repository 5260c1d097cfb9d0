"""Where recordings go: a bucket that keeps them, a webhook that checks them, the team's own library."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer

from common.models import S3, RecordingStatus
from common.recordings.artifacts import Artifacts
from common.secrets.crypto import new_webhook_secret
from executor.recordings.targets.webhook import TYPE
from tests.support.file_receiver import FileReceiver, Taken, file_receiver
from tests.support.recording_harness import RecordingHarness, artifacts_of, content_of
from tests.support.waiting import waiting

FILES = [
    {"file_type": "MP4", "size": 300_000},
    {"file_type": "M4A"},
    {"file_type": "TRANSCRIPT", "text": "WEBVTT\n\n00:00.000 --> 00:02.000\nDana: Grüß Gott\n"},
]
BUCKET = "team-recordings"
KEY = {"access_key_id": "AKIDTEAM", "secret_access_key": "team-secret-4711"}


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """An S3-compatible server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_server: str) -> Any:
    """An empty bucket, seen through another library than the one under test."""
    resource = boto3.resource(
        "s3",
        endpoint_url=s3_server,
        region_name="us-east-1",
        aws_access_key_id="reader",
        aws_secret_access_key="reader",
    )
    made = resource.create_bucket(Bucket=BUCKET)
    made.objects.all().delete()
    return made


@pytest.fixture
async def receiver() -> AsyncIterator[FileReceiver]:
    async with file_receiver() as listening:
        yield listening


async def connect_bucket(harness: RecordingHarness, server: str, **settings: Any) -> UUID:
    return await harness.world.connection(
        harness.team,
        S3,
        credentials=json.dumps(KEY),
        settings={"bucket": BUCKET, "endpoint": server, "region": "us-east-1", **settings},
    )


def s3_target(connection_id: UUID, prefix: str = "{year}/{topic}") -> dict[str, Any]:
    return {"upload": [{"type": "s3", "connection_id": str(connection_id), "prefix": prefix}]}


async def test_a_bucket_is_given_every_file(harness: RecordingHarness, s3_server: str, bucket: Any) -> None:
    connection_id = await connect_bucket(harness, s3_server)
    recording_id = await harness.record(
        "Q3: ../../Müller & Söhne 100%?", files=FILES, processing=s3_target(connection_id)
    )
    async with harness.working() as worker:
        [row] = await harness.process(worker, recording_id)
    assert (row["status"], row["error_message"]) == ("UPLOADED", None)
    found = {item.key: item.get() for item in bucket.objects.all()}
    artifacts = artifacts_of(row)
    [upload] = artifacts.uploads.values()
    assert sorted(found) == sorted(sent.place for sent in upload.files.values())
    year = row["started_at"].year
    assert {key.rpartition("/")[0] for key in found} == {f"{year}/Q3: .. .. Müller & Söhne 100%?"}
    digests = {hashlib.sha256(item["Body"].read()).hexdigest() for item in found.values()}
    stored = {file.sha256 for file in artifacts.files.values() if file.kind != "transcript"}
    [transcript] = artifacts.transcripts.values()
    assert digests == stored | {transcript.vtt.sha256, transcript.text.sha256}
    assert {item["ContentType"] for item in found.values()} == {
        "video/mp4",
        "audio/mp4",
        "text/vtt",
        "text/plain; charset=utf-8",
    }


async def test_uploading_twice_to_a_bucket_stores_one_object(
    harness: RecordingHarness, s3_server: str, bucket: Any
) -> None:
    """Killed between the upload and its record."""
    connection_id = await connect_bucket(harness, s3_server)
    recording_id = await harness.record(files=FILES, processing=s3_target(connection_id))
    reached = asyncio.Event()

    async def die(status: RecordingStatus, artifacts: Artifacts) -> None:
        sent = [each for upload in artifacts.uploads.values() for each in upload.files.values()]
        if any(each.is_done for each in sent):
            reached.set()
            await asyncio.Event().wait()

    async with harness.working("executor-1") as first:
        first.outcomes.before = die
        await first.processing.take(waiting(recording_id))
        await asyncio.wait_for(reached.wait(), 20)
    await harness.let_leases_expire()
    async with harness.working("executor-2") as second:
        await second.processing.sweep()
        [row] = await harness.ended(recording_id)
    [upload] = artifacts_of(row).uploads.values()
    assert len(list(bucket.objects.all())) == len(upload.files) == 4


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"bucket": "no-such-bucket"}, "invalid:NoSuchBucket"),
        ({"bucket": ""}, "invalid:incomplete"),
        ({"endpoint": "http://10.0.0.7:9000"}, "invalid:blocked_address"),
        ({"endpoint": "http://169.254.169.254"}, "invalid:blocked_address"),
        ({"endpoint": "http://127.0.0.1:9"}, "transient:no_answer"),
        ({"endpoint": "file:///etc"}, "invalid:blocked_address"),
    ],
    ids=["no bucket", "no name", "private", "metadata", "nobody there", "a file"],
)
async def test_an_unusable_bucket_is_reported_with_the_reason(
    harness: RecordingHarness, s3_server: str, bucket: Any, change: dict[str, Any], code: str
) -> None:
    connection_id = await connect_bucket(harness, s3_server, **change)
    recording_id = await harness.record(files=FILES, processing=s3_target(connection_id))
    async with harness.working() as worker:
        [row] = await harness.process(worker, recording_id)
    assert row["error_code"] == code
    assert row["status"] == ("UPLOADING" if code.startswith("transient") else "FAILED")
    assert KEY["secret_access_key"] not in str(dict(row))
    assert "Signature" not in str(dict(row))


async def test_carillons_own_keys_are_not_sent_to_a_teams_bucket(
    harness: RecordingHarness, receiver: FileReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "OPERATOR",
        "AWS_SECRET_ACCESS_KEY": "operator-secret",
        "AWS_SESSION_TOKEN": "operator-session",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
    }.items():
        monkeypatch.setenv(name, value)
    seen: list[str] = []
    receiver.answers = [(200, {})] * 9
    origin = receiver.url.partition("/files")[0]

    async def note(request: httpx.Request) -> None:
        if request.url.port == httpx.URL(origin).port:
            seen.append(str(request.url))

    harness.http.event_hooks["request"].append(note)
    connection_id = await connect_bucket(harness, origin)
    recording_id = await harness.record(files=FILES, processing=s3_target(connection_id))
    async with harness.working() as worker:
        [row] = await harness.process(worker, recording_id)
    assert row["status"] == "UPLOADED"
    assert len(seen) == len(receiver.taken) == 4
    assert all("AKIDTEAM" in url and "OPERATOR" not in url and "operator" not in url for url in seen)
    assert all(f"{origin}/{BUCKET}/" in url for url in seen)


def signature_of(taken: Taken, secret: str, content: bytes) -> str:
    """As a receiver computes it, with nothing of ours."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{taken.headers['webhook-id']}.{taken.headers['webhook-timestamp']}.".encode() + content
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


async def test_a_webhook_gets_a_message_and_then_the_files(
    harness: RecordingHarness, receiver: FileReceiver
) -> None:
    secret = new_webhook_secret()
    destination_id = await harness.world.webhook(harness.team, receiver.url, secret)
    recording_id = await harness.record(
        "Weekly – Müller",
        files=FILES,
        processing={"upload": [{"type": "webhook", "destination_id": str(destination_id)}]},
    )
    async with harness.working() as worker:
        [row] = await harness.process(worker, recording_id)
    assert row["status"] == "UPLOADED"
    told, *files = receiver.taken
    assert told.headers["webhook-signature"] == signature_of(told, secret, told.body)
    event = told.json
    assert event["type"] == TYPE
    assert event["data"]["recording_id"] == str(recording_id)
    assert (event["data"]["topic"], event["data"]["transcript"]) == ("Weekly – Müller", "Dana: Grüß Gott\n")
    assert [each["webhook_id"] for each in event["data"]["files"]] == [
        file.headers["webhook-id"] for file in files
    ]
    assert len(files) == 4
    for told_of, file in zip(event["data"]["files"], files, strict=True):
        document = file.headers["carillon-file"]
        assert file.headers["webhook-signature"] == signature_of(file, secret, document.encode())
        said = json.loads(document)
        assert (said["bytes"], said["sha256"]) == (file.size, file.sha256)
        assert file.headers["content-length"] == str(file.size)
        assert file.headers["content-type"] == said["content_type"] == told_of["content_type"]
        assert file.headers["carillon-recording-id"] == str(recording_id)
        assert file.headers["carillon-file-name"] == said["name"] == told_of["name"]
        assert "traceparent" in file.headers
    ids = {taken.headers["webhook-id"] for taken in receiver.taken}
    assert len(ids) == 5


async def test_a_webhook_that_fails_half_way_is_given_the_rest_under_the_same_ids(
    harness: RecordingHarness, receiver: FileReceiver
) -> None:
    destination_id = await harness.world.webhook(harness.team, receiver.url, new_webhook_secret())
    recording_id = await harness.record(
        files=FILES, processing={"upload": [{"type": "webhook", "destination_id": str(destination_id)}]}
    )
    receiver.answers = [(204, {}), (204, {}), (503, {"retry-after": "120"}), (204, {}), (500, {})]
    async with harness.working(max_attempts=2) as worker:
        [row] = await harness.process(worker, recording_id)
        assert (row["status"], row["error_code"]) == ("UPLOADING", "rate:503")
        for _ in range(2):
            await harness.let_wait_pass()
            await worker.processing.sweep()
            [row] = await harness.ended(recording_id)
    assert (row["status"], row["attempt"]) == ("UPLOADED", 3)
    ids = [taken.headers["webhook-id"] for taken in receiver.taken]
    assert len(ids) == 7
    assert len(set(ids)) == 5
    assert ids[2] == ids[3]
    assert ids[4] == ids[5]
    assert row["error_message"] is None


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        ((410, {}), "FAILED", "gone:410"),
        ((404, {}), "UPLOADING", "transient:404"),
        ((302, {"location": "/"}), "UPLOADING", "transient:302"),
    ],
)
async def test_the_webhooks_response_decides_about_retry(
    harness: RecordingHarness,
    receiver: FileReceiver,
    answer: tuple[int, dict[str, str]],
    status: str,
    code: str,
) -> None:
    destination_id = await harness.world.webhook(harness.team, receiver.url, new_webhook_secret())
    recording_id = await harness.record(
        files=FILES, processing={"upload": [{"type": "webhook", "destination_id": str(destination_id)}]}
    )
    receiver.answers = [answer]
    async with harness.working() as worker:
        [row] = await harness.process(worker, recording_id)
    assert (row["status"], row["error_code"]) == (status, code)
    assert "password" not in row["error_message"]
    assert len(receiver.taken) == 1


async def test_a_failing_target_does_not_repeat_the_other_uploads(
    harness: RecordingHarness, receiver: FileReceiver
) -> None:
    destination_id = await harness.world.webhook(harness.team, receiver.url, new_webhook_secret())
    webhook = {"type": "webhook", "destination_id": str(destination_id)}
    recording_id = await harness.record(
        files=FILES, processing={"upload": [{"type": "store", "prefix": "{template}{topic}"}, webhook]}
    )
    receiver.answers = [(500, {})]
    async with harness.working() as worker:
        [row] = await harness.process(worker, recording_id)
        first = artifacts_of(row)
        assert [upload.completed_at is not None for upload in first.uploads.values()] == [True, False]
        await harness.let_wait_pass()
        await worker.processing.sweep()
        [row] = await harness.ended(recording_id)
    uploads = artifacts_of(row).uploads
    assert row["status"] == "UPLOADED"
    assert uploads["store:{template}{topic}"] == first.uploads["store:{template}{topic}"]
    for sent in uploads["store:{template}{topic}"].files.values():
        assert len(await content_of(harness.store, sent.place)) == sent.bytes
