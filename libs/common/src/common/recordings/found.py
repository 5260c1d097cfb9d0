"""A recording as any platform describes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from common.recordings import files as recorded
from common.recordings.files import RecordedFile


@dataclass(frozen=True, slots=True)
class FoundRecording:
    """One recorded meeting.

    `external_id` is the platform's for this occurrence, `meeting_id` the one all occurrences share.
    """

    external_id: str
    meeting_id: str
    topic: str
    host: str
    started_at: datetime
    timezone: str
    duration_minutes: int
    total_bytes: int
    files: Sequence[RecordedFile]

    @property
    def is_blank(self) -> bool:
        """Whether nothing was recorded."""
        return recorded.is_blank(self.files)

    def is_ready(self, now: datetime) -> bool:
        """Whether processing can start."""
        return recorded.is_ready(self.files, started_at=self.started_at, now=now)
