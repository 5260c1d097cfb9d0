"""The first step: the platform's files come into the store, one by one, each noted as soon as it is there.

The fault of one file is that file's alone: the others are fetched all the same, and delivered without it once
no further attempt is worth making.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from common import telemetry
from common.errors import Consequence, PlatformError
from common.recordings import layout
from common.recordings.artifacts import DownloadedFile, MissingFile
from common.recordings.store import RecordingStore
from executor.aftermath.table import Condemned
from executor.recordings.processing.claims import SourceAccount
from executor.recordings.processing.failures import describe
from executor.recordings.processing.pipeline import Needed, is_stored, needed
from executor.recordings.processing.progress import Work
from executor.recordings.steps.download import PLATFORM, Downloader
from platforms.calls.credentials import Credential

_OF_ONE_FILE = (
    Consequence.TRANSIENT,
    Consequence.GONE,
    Consequence.SPLIT,
    Consequence.PERM,
    Consequence.INVALID,
)
"""What can be wrong with a single file, most hopeful first; the account and its limits concern all."""


class AccountCredential(Credential, Protocol):
    """The token of a recording's account."""

    @property
    def blamed(self) -> int | None:
        """The version of the token an error is about; None when it is unknown."""
        ...


Credentials = Callable[[SourceAccount], AccountCredential]
"""How the token of a recording's account is come by."""


class Downloading:
    """Brings every file that is needed into the store. `can_transcribe`: transcription is configured."""

    def __init__(
        self,
        downloader: Downloader,
        store: RecordingStore,
        credentials: Credentials,
        *,
        can_transcribe: bool,
    ) -> None:
        self._downloader = downloader
        self._store = store
        self._credentials = credentials
        self._can_transcribe = can_transcribe

    async def run(self, work: Work, *, now: datetime) -> None:
        """Download what is not there yet.

        Raises the most hopeful of its files' errors, because the next attempt is decided by it.
        """
        recording = work.recording
        wanted = needed(recording.files, recording.processing, can_transcribe=self._can_transcribe)
        if not wanted:
            raise PlatformError(
                "the recording has no file of the kinds that are asked for",
                Consequence.INVALID,
                platform=PLATFORM,
                code="no_files",
            )
        credential = self._credentials(recording.account)
        faults: list[PlatformError] = []
        for each in wanted:
            if await self._has(work, each):
                continue
            try:
                await self._take(work, each, credential)
            except PlatformError as error:
                if error.consequence not in _OF_ONE_FILE:
                    raise
                faults.append(error)
                code, message = describe(error, recording.secrets)
                missing = MissingFile(kind=each.file.kind, code=code, message=message)
                await work.save(work.artifacts.with_missing(each.file.id, missing))
        if faults:
            work.can_go_on_without_missing = len(faults) < len(wanted)
            raise min(faults, key=lambda error: _OF_ONE_FILE.index(error.consequence))

    async def _has(self, work: Work, each: Needed) -> bool:
        if not is_stored(each.file, work.artifacts):
            return False
        stored = work.artifacts.files[each.file.id]
        if await self._store.size(stored.path) != stored.bytes:
            return False
        if stored.is_wanted != each.is_wanted:
            changed = stored.model_copy(update={"is_wanted": each.is_wanted})
            await work.save(work.artifacts.with_file(each.file.id, changed))
        return True

    async def _take(self, work: Work, each: Needed, credential: AccountCredential) -> None:
        recording, file = work.recording, each.file
        path = layout.download_path(
            recording.tenant_id, recording.id, kind=file.kind, file_id=file.id, told=file.extension
        )
        try:
            written = await self._downloader.fetch(
                file, path, credential, download_token=recording.download_token
            )
        except PlatformError as error:
            version = credential.blamed
            if error.consequence is Consequence.REAUTH and version is not None:
                work.dead_token = Condemned(recording.account.connection_id, version, error.detail)
            raise
        telemetry.RECORDING_BYTES.labels("download").inc(written.bytes)
        stored = DownloadedFile(
            path=path,
            bytes=written.bytes,
            sha256=written.sha256,
            kind=file.kind,
            extension=layout.extension_of(file.kind, file.extension),
            announced_bytes=file.bytes,
            is_wanted=each.is_wanted,
            starts_at=file.starts_at,
        )
        await work.save(work.artifacts.without_file(file.id).with_file(file.id, stored))
