"""The file store: a folder and a bucket behave alike, and what breaks off leaves nothing."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from common.errors import ConfigurationError
from common.recordings import store as store_module
from common.recordings.store import NotStored, RecordingStore, StoreFault
from tests.support.polling import eventually

BUCKET = "carillon-recordings"
PATH = "team/recordings/one/video.mp4"
PIECE = bytes(range(256)) * 256


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    """An S3-compatible server."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An empty bucket, and the environment in which the store finds it."""
    for name, value in {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "operator",
        "AWS_SECRET_ACCESS_KEY": "operator-secret",
    }.items():
        monkeypatch.setenv(name, value)
    made = boto3.resource("s3", endpoint_url=s3_server, region_name="us-east-1").create_bucket(Bucket=BUCKET)
    made.objects.all().delete()
    return made


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> RecordingStore:
    if request.param == "folder":
        return RecordingStore.open((tmp_path / "store with a space").as_uri())
    request.getfixturevalue("bucket")
    return RecordingStore.open(f"s3://{BUCKET}/some/prefix")


async def pieces(count: int, *, then: BaseException | None = None) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield PIECE
    if then is not None:
        raise then


async def content(store: RecordingStore, path: str) -> bytes:
    return b"".join([piece async for piece in store.read(path)])


async def test_stored_content_can_be_read_back(store: RecordingStore) -> None:
    """More than two parts, so that a bucket gets them one by one."""
    written = await store.put(PATH, pieces(300))
    whole = PIECE * 300
    assert (written.bytes, written.sha256) == (len(whole), hashlib.sha256(whole).hexdigest())
    assert await store.size(PATH) == len(whole)
    assert await content(store, PATH) == whole
    assert await store.paths_below("team") == [PATH]


@pytest.mark.parametrize("count", [0, 1])
async def test_small_and_empty_files_are_files(store: RecordingStore, count: int) -> None:
    written = await store.put(PATH, pieces(count))
    assert (written.bytes, await store.size(PATH)) == (count * len(PIECE), count * len(PIECE))


class Cut(Exception):
    """What a download breaks off with."""


@pytest.mark.parametrize("count", [0, 3, 200])
async def test_an_interrupted_upload_leaves_nothing_and_raises_its_error(
    store: RecordingStore, count: int
) -> None:
    with pytest.raises(Cut):
        await store.put(PATH, pieces(count, then=Cut()))
    assert await store.size(PATH) is None
    assert await store.paths_below("team") == []


async def test_an_interrupted_upload_keeps_the_previous_object(store: RecordingStore) -> None:
    await store.put_bytes(PATH, b"before")
    with pytest.raises(Cut):
        await store.put(PATH, pieces(150, then=Cut()))
    assert await content(store, PATH) == b"before"
    await store.put(PATH, pieces(1))
    assert await content(store, PATH) == PIECE


async def test_a_copy_outlives_its_original(store: RecordingStore) -> None:
    await store.put_bytes(PATH, b"film")
    to = "team/library/2026-11-03/Müller & Söhne 100% #1/film.mp4"
    await store.copy(PATH, to)
    await store.put_bytes(PATH, b"another film")
    await store.copy(PATH, to + ".2")
    await store.delete([PATH])
    assert (await content(store, to), await content(store, to + ".2")) == (b"film", b"another film")
    assert sorted(await store.paths_below("team/library")) == [to, to + ".2"]


async def test_a_copy_that_is_too_large_for_the_bucket_is_read_and_written(
    store: RecordingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "MAX_COPY", 10)
    await store.put(PATH, pieces(20))
    await store.copy(PATH, "team/copy")
    assert await content(store, "team/copy") == PIECE * 20


async def test_missing_objects(store: RecordingStore) -> None:
    assert await store.size("team/nothing") is None
    assert await store.paths_below("nobody") == []
    with pytest.raises(NotStored):
        await content(store, "team/nothing")
    with pytest.raises(NotStored):
        await store.copy("team/nothing", "team/else")
    await store.put_bytes(PATH, b"x")
    await store.delete(["team/nothing", PATH, "team/nothing too"])
    assert await store.paths_below("team") == []
    await store.delete([])


async def test_a_small_file_is_read_at_once_and_a_large_one_is_not(store: RecordingStore) -> None:
    await store.put(PATH, pieces(20))
    assert await store.read_bytes(PATH, limit=20 * len(PIECE)) == PIECE * 20
    assert await store.read_bytes(PATH, limit=20 * len(PIECE) - 1) is None


@pytest.mark.parametrize("path", ["../outside", "team/../../outside", "a//b", "team/./x"])
async def test_a_path_that_leads_elsewhere_is_refused(store: RecordingStore, path: str) -> None:
    with pytest.raises(StoreFault):
        await store.put_bytes(path, b"x")


async def test_a_process_that_was_cut_off_leaves_nothing_that_lasts(tmp_path: Path) -> None:
    """What a killed process had written of a file is found by whoever writes it again, or deletes it."""
    store = RecordingStore.open(tmp_path.as_uri())
    for name in ("video.mp4#1", "video.mp4#23", "video.mp4#x", "video.mp4.other#1"):
        (tmp_path / PATH).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / PATH).with_name(name).write_bytes(b"half")
    await store.put(PATH, pieces(1))
    left = {path.name for path in (tmp_path / PATH).parent.iterdir()}
    assert left == {"video.mp4", "video.mp4#x", "video.mp4.other#1"}
    (tmp_path / PATH).with_name("video.mp4#1").write_bytes(b"half")
    await store.delete([PATH])
    assert {path.name for path in (tmp_path / PATH).parent.iterdir()} == left - {"video.mp4"}


async def test_partial_uploads_are_listed_when_a_folder_is_emptied(tmp_path: Path) -> None:
    """A download that was cut off by a kill, and never came to be repeated."""
    store = RecordingStore.open(tmp_path.as_uri())
    begun = tmp_path / f"{PATH}#1"
    begun.parent.mkdir(parents=True)
    begun.write_bytes(b"half")
    beside = begun.with_name("not an object#x")
    beside.write_bytes(b"")
    found = await store.paths_below(PATH.partition("/")[0])
    assert PATH in found
    assert not [path for path in found if path.endswith("#1")]
    await store.delete(found)
    assert not begun.exists()
    assert await store.paths_below("nowhere") == []


async def test_a_put_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    store = RecordingStore.open(tmp_path.as_uri())
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(300):
            yield PIECE
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(store.put(PATH, endless()))
    await asyncio.wait_for(begun.wait(), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await eventually(lambda: [path for path in tmp_path.rglob("*") if path.is_file()] == [])


async def test_a_bucket_keeps_no_parts_of_an_interrupted_upload(bucket: Any) -> None:
    with pytest.raises(Cut):
        await RecordingStore.open(f"s3://{BUCKET}").put(PATH, pieces(300, then=Cut()))
    told = await asyncio.to_thread(bucket.meta.client.list_multipart_uploads, Bucket=BUCKET)
    assert "Uploads" not in told


async def test_a_store_that_is_away_is_a_fault_that_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-4711")
    store = RecordingStore.open(f"s3://{BUCKET}")
    calls: list[Callable[[], Any]] = [
        lambda: store.size(PATH),
        lambda: store.put_bytes(PATH, b"x"),
        lambda: store.put(PATH, pieces(1)),
        lambda: content(store, PATH),
        lambda: store.delete([PATH]),
        lambda: store.paths_below("team"),
    ]
    for call in calls:
        with pytest.raises(StoreFault) as caught:
            await call()
        assert not caught.value.permanent
        assert "secret-4711" not in caught.value.detail
    assert await store.check() is not None


def test_a_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    RecordingStore.open((tmp_path / "a" / "b").as_uri())
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "url", ["", "/var/recordings", "file://elsewhere/x", "gs://bucket", "s3://", "https://x", "file:x"]
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        RecordingStore.open(url)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigurationError):
        RecordingStore.open((tmp_path / "file" / "below").as_uri())
