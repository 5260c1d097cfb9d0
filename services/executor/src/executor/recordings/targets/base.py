"""What a target is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from common.errors import RemoteError
from common.recordings.artifacts import Artifacts
from executor.recordings.processing.claims import ClaimedRecording
from executor.recordings.steps.upload_names import OutgoingFile


class UploadFailed(RemoteError):
    """A target did not take a file, or not now."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """What one target is to be given. `begun_at` is the same at every try, and `places` are where the files
    go there, by name: paths, or the ids of messages."""

    recording: ClaimedRecording
    artifacts: Artifacts
    files: Sequence[OutgoingFile]
    places: Mapping[str, str]
    begun_at: datetime


class Target(ABC):
    """A place that files can be sent to, ready to be used. Methods raise UploadFailed and StoreFault."""

    @abstractmethod
    def places(self, recording: ClaimedRecording, files: Sequence[OutgoingFile]) -> Mapping[str, str]:
        """Where each file goes, by name: the same at every try."""

    async def announce(self, parcel: Parcel) -> None:
        """Tell the receiver what comes, before the first file. Most need not be told."""
        return

    @abstractmethod
    async def send(self, parcel: Parcel, file: OutgoingFile) -> None:
        """Send one file, in place of what an earlier try may have left."""
