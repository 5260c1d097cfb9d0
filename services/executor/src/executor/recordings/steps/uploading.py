"""The third step: every target is given every file, and each file that has arrived is noted at once.

Sending happens at least once: what a crash cut off between arriving and being noted is sent again, to the
same path or with the same message id.
"""

from __future__ import annotations

from datetime import datetime

from common import telemetry
from common.recordings.artifacts import Artifacts, Sent, Upload
from common.recordings.settings import UploadTarget
from executor.recordings.processing.progress import Work
from executor.recordings.steps.upload_names import OutgoingFile, key_of, outgoing
from executor.recordings.targets.base import Parcel, Target
from executor.recordings.targets.opening import Targets


class Uploading:
    """Sends a recording to where its settings say, one target after the other."""

    def __init__(self, targets: Targets) -> None:
        self._targets = targets

    async def run(self, work: Work, *, now: datetime) -> None:
        """Send what has not arrived yet."""
        files = outgoing(work.recording, work.artifacts)
        for settings in work.recording.processing.upload:
            if not _is_complete(work.artifacts, key_of(settings), files):
                target = await self._targets.open(work.recording.tenant_id, settings)
                await self._fill(work, settings, target, files, now)

    async def _fill(
        self, work: Work, settings: UploadTarget, target: Target, files: list[OutgoingFile], now: datetime
    ) -> None:
        key = key_of(settings)
        places = target.places(work.recording, files)
        upload = _planned(work.artifacts.uploads.get(key), settings.type, files, dict(places), now)
        # Recorded before the first byte is sent, because clean-up must find what a crash leaves behind.
        await work.save(work.artifacts.with_upload(key, upload))
        parcel = Parcel(work.recording, work.artifacts, files, places, upload.begun_at)
        if not upload.announced:
            await target.announce(parcel)
            upload = upload.model_copy(update={"announced": True})
            await work.save(work.artifacts.with_upload(key, upload))
        for file in files:
            if not upload.files[file.name].is_done:
                await target.send(parcel, file)
                telemetry.RECORDING_BYTES.labels("upload").inc(file.bytes)
                upload = upload.with_sent(file.name)
                await work.save(work.artifacts.with_upload(key, upload))
        await work.save(work.artifacts.with_upload(key, upload.model_copy(update={"completed_at": now})))


def _is_complete(artifacts: Artifacts, key: str, files: list[OutgoingFile]) -> bool:
    """Whether the target has all of these files: a restarted recording may have others."""
    upload = artifacts.uploads.get(key)
    if upload is None or upload.completed_at is None:
        return False
    return all((sent := upload.files.get(file.name)) is not None and sent.is_done for file in files)


def _planned(
    before: Upload | None, kind: str, files: list[OutgoingFile], places: dict[str, str], now: datetime
) -> Upload:
    """What the target will have been given: what it has, as far as that is the same, and the rest."""
    had = {} if before is None else dict(before.files)
    planned = {
        file.name: sent
        if (sent := had.get(file.name)) is not None
        and (sent.place, sent.bytes) == (places[file.name], file.bytes)
        else Sent(place=places[file.name], bytes=file.bytes)
        for file in files
    }
    # What went elsewhere before is still there, and must be found by clean-up: under its name, or
    # under its place where the name stands for another one now, as after a meeting was renamed.
    kept = {
        name if name not in planned else sent.place: sent
        for name, sent in had.items()
        if name not in planned or sent.place != planned[name].place
    }
    if before is None:
        return Upload(type=kind, begun_at=now, files={**kept, **planned})
    return before.model_copy(update={"files": {**kept, **planned}, "completed_at": None})
