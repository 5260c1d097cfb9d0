"""Carillon's own file store: a copy under names for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from common.recordings import layout
from common.recordings.settings import StoreTarget
from common.recordings.store import RecordingStore
from executor.recordings.processing.claims import ClaimedRecording
from executor.recordings.steps.upload_names import OutgoingFile, prefixed
from executor.recordings.targets.base import Parcel, Target


class OwnStore(Target):
    """A folder of the team's library."""

    def __init__(self, store: RecordingStore, target: StoreTarget) -> None:
        self._store = store
        self._prefix = target.prefix

    def places(self, recording: ClaimedRecording, files: Sequence[OutgoingFile]) -> Mapping[str, str]:
        """Paths below the team's own folder."""
        library = layout.library(recording.tenant_id)
        return {name: f"{library}/{path}" for name, path in prefixed(recording, self._prefix, files).items()}

    async def send(self, parcel: Parcel, file: OutgoingFile) -> None:
        """Copied within the store."""
        await self._store.copy(file.path, parcel.places[file.name])
