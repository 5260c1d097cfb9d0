"""The file store: a folder, or an S3-compatible bucket, behind one interface (obstore).

Files go in and come out as streams of bounded pieces. An object exists whole or not at all: an interrupted
upload leaves nothing readable.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from common.errors import CarillonError, ConfigurationError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore

PART = 8 * 1024 * 1024
"""Bytes of one part of an upload. A bucket takes 10,000 parts, so that a file may have 80 GB."""
PARTS_AT_ONCE = 2
"""Parts of one file on their way at a time: with `PART`, what bounds an upload's memory."""
PIECE = 256 * 1024
"""Least number of bytes of a piece that is read, but for the last."""
RETRIES = 3
"""Of one request to a bucket, within a few seconds; further retries are the caller's decision."""
MAX_COPY = 5 * 1024**3
"""Bytes a bucket copies by itself; what is larger is read and written."""
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT", "AWS_ENDPOINT_URL")
_LEFTOVER = re.compile(r"#\d+$")


class StoreFault(CarillonError):
    """The store does not answer, or refuses what is asked of it."""

    permanent = False


class NotStored(CarillonError):
    """There is no such object in the store (any more)."""

    permanent = False


@dataclass(frozen=True, slots=True)
class Written:
    """What was put into the store."""

    bytes: int
    sha256: str


class RecordingStore:
    """Objects by path. Every method raises StoreFault."""

    def __init__(self, store: ObjectStore, *, folder: Path | None = None) -> None:
        """`folder` is where a store of local files has them."""
        self._store = store
        self._folder = folder

    @classmethod
    def open(cls, url: str) -> Self:
        """The store of `RECORDING_STORE_URL`: `file:///folder`, or `s3://bucket/prefix` with endpoint, region
        and keys in AWS's own environment variables. Raises ConfigurationError."""
        parts = urlsplit(url)
        if parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path.startswith("/"):
            return cls._of_folder(Path(unquote(parts.path)))
        if parts.scheme == "s3" and parts.netloc:
            return cls._of_bucket(parts.netloc, unquote(parts.path).strip("/"))
        raise ConfigurationError("RECORDING_STORE_URL: want file:///folder or s3://bucket/prefix")

    @classmethod
    def _of_folder(cls, folder: Path) -> Self:
        try:
            # Mode 0700, because other users of this machine must not read recordings.
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return cls(LocalStore(folder, automatic_cleanup=True), folder=folder)
        except (OSError, ValueError, BaseError) as error:
            raise ConfigurationError(
                f"RECORDING_STORE_URL: the folder cannot be used: {type(error).__name__}"
            ) from error

    @classmethod
    def _of_bucket(cls, bucket: str, prefix: str) -> Self:
        endpoints = (os.environ.get(name, "") for name in _ENDPOINTS)
        named = next((endpoint for endpoint in endpoints if endpoint), "")
        options: ClientConfig = {"allow_http": named.startswith("http://")}
        try:
            return cls(
                S3Store(
                    bucket,
                    prefix=prefix or None,
                    client_options=options,
                    retry_config={"max_retries": RETRIES},
                )
            )
        except (ValueError, BaseError) as error:
            # The library's own text repeats settings, which may hold keys.
            raise ConfigurationError(
                f"RECORDING_STORE_URL: the bucket cannot be used: {type(error).__name__}"
            ) from error

    async def put(self, path: str, content: AsyncIterable[bytes]) -> Written:
        """Store what `content` yields, in place of what is there.

        Whatever `content` raises is raised, and then nothing is stored.
        """
        if self._folder is not None:
            await asyncio.to_thread(_remove_leftovers, self._folder / path)
        metered = _Metered(content)
        try:
            await obstore.put_async(
                self._store,
                path,
                metered.pieces(),
                chunk_size=PART,
                max_concurrency=PARTS_AT_ONCE,
                use_multipart=True,
            )
        except (BaseError, OSError, ValueError) as error:
            if metered.failure is not None:
                raise metered.failure from None
            raise _fault("stored", error) from error
        return metered.written()

    async def put_bytes(self, path: str, content: bytes) -> Written:
        """Store a small object."""
        try:
            await obstore.put_async(self._store, path, content, use_multipart=False)
        except (BaseError, OSError, ValueError) as error:
            raise _fault("stored", error) from error
        return Written(len(content), hashlib.sha256(content).hexdigest())

    async def size(self, path: str) -> int | None:
        """How many bytes an object has; None when there is none."""
        try:
            found = await obstore.head_async(self._store, path)
        except FileNotFoundError:
            return None
        except (BaseError, OSError, ValueError) as error:
            raise _fault("looked up", error) from error
        return found["size"]

    async def read(self, path: str) -> AsyncIterator[bytes]:
        """An object, piece by piece; raises NotStored."""
        try:
            found = await obstore.get_async(self._store, path)
            async for piece in found.stream(min_chunk_size=PIECE):
                yield bytes(piece)
        except FileNotFoundError as error:
            raise NotStored("a file of the recording is not in the store any more") from error
        except (BaseError, OSError, ValueError) as error:
            raise _fault("read", error) from error

    async def read_bytes(self, path: str, *, limit: int) -> bytes | None:
        """A small object; None when it has more than `limit` bytes. Raises NotStored."""
        content = bytearray()
        async for piece in self.read(path):
            content += piece
            if len(content) > limit:
                return None
        return bytes(content)

    async def copy(self, path: str, to: str) -> None:
        """The same object at another path, in place of what is there; raises NotStored."""
        size = await self.size(path)
        if size is None:
            raise NotStored("a file of the recording is not in the store any more")
        if size > MAX_COPY and self._folder is None:
            await self.put(to, self.read(path))
            return
        try:
            await obstore.copy_async(self._store, path, to, overwrite=True)
        except FileNotFoundError as error:
            raise NotStored("a file of the recording is not in the store any more") from error
        except (BaseError, OSError, ValueError) as error:
            raise _fault("copied", error) from error

    async def paths_below(self, folder: str) -> list[str]:
        """Every object below a folder, also those of which a killed process had written only a part."""
        paths: set[str] = set()
        try:
            with suppress(FileNotFoundError):  # nothing was ever put there
                async for batch in obstore.list(self._store, folder):
                    paths.update(found["path"] for found in batch)
        except (BaseError, OSError, ValueError) as error:
            raise _fault("listed", error) from error
        if self._folder is not None:
            paths.update(await asyncio.to_thread(_begun_below, self._folder, folder))
        return sorted(paths)

    async def delete(self, paths: Sequence[str]) -> None:
        """Delete objects; those that are not there are left out."""
        if not paths:
            return
        try:
            if self._folder is None:
                await obstore.delete_async(self._store, list(paths))
                return
            for path in paths:
                await asyncio.to_thread(_remove_leftovers, self._folder / path)
                with suppress(FileNotFoundError):
                    await obstore.delete_async(self._store, path)
        except (BaseError, OSError, ValueError) as error:
            raise _fault("deleted", error) from error

    async def check(self) -> str | None:
        """What is wrong with the store; None when it answers."""
        try:
            await self.size("health")
        except StoreFault as fault:
            return fault.detail
        return None


class _Metered:
    """Pieces on their way into the store: counted and hashed, and what broke them off remembered."""

    def __init__(self, content: AsyncIterable[bytes]) -> None:
        self._content = content
        self._bytes = 0
        self._digest = hashlib.sha256()
        self.failure: Exception | None = None

    async def pieces(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._content:
                self._bytes += len(piece)
                self._digest.update(piece)
                yield piece
        except Exception as error:
            self.failure = error
            raise

    def written(self) -> Written:
        return Written(self._bytes, self._digest.hexdigest())


def _remove_leftovers(path: Path) -> None:
    """Remove what a process that was killed had written of this object: it is not listed, and would stay."""
    if not path.parent.is_dir():
        return
    for found in path.parent.glob(f"{_glob_escaped(path.name)}#*"):
        if _LEFTOVER.fullmatch(found.name.removeprefix(path.name)):
            found.unlink(missing_ok=True)


def _begun_below(root: Path, folder: str) -> list[str]:
    """Objects that such processes began and no other has written since: the library does not list them."""
    return [
        _LEFTOVER.sub("", found.relative_to(root).as_posix())
        for found in (root / folder).rglob("*#*")
        if _LEFTOVER.search(found.name) and found.is_file()
    ]


def _glob_escaped(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def _fault(done: str, error: Exception) -> StoreFault:
    # The library's text holds paths, endpoints and pieces of requests.
    return StoreFault(f"a file could not be {done}: {type(error).__name__}")
