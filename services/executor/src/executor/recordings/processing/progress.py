"""One recording in the hands of this worker: how far it has come, written down at every step."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from common.models import RecordingStatus
from common.recordings.artifacts import Artifacts, Retries
from executor.aftermath.table import Condemned
from executor.recordings.processing.claims import ClaimedRecording
from executor.recordings.processing.outcomes import RecordingOutcomes
from executor.recordings.processing.pipeline import Step


class Work:
    """What a step works on. `artifacts` is what the database has of it, never more.

    Every method raises `executor.recordings.processing.outcomes.Superseded`.
    """

    def __init__(self, recording: ClaimedRecording, outcomes: RecordingOutcomes) -> None:
        self.recording = recording
        self.status = recording.status
        self.artifacts = recording.artifacts
        self.uncounted = recording.uncounted
        self.dead_token: Condemned | None = None
        """The account's token, once the platform has said that it is dead."""
        self.can_go_on_without_missing = False
        """What failed is the fault of single files, and others of the recording are there to be delivered."""
        self._outcomes = outcomes

    @property
    def counted_attempts(self) -> int:
        """Attempts at the present step that count, this one included."""
        return max(1, self.recording.attempt - self.uncounted)

    async def save(self, artifacts: Artifacts) -> None:
        """Keep what a step has done so far."""
        await self._outcomes.note(self.recording, self.status, artifacts, self.uncounted)
        self.artifacts = artifacts

    async def begin(self, step: Step) -> None:
        """The step is under way."""
        if self.status is not step.begun:
            await self._to(step.begun, self.artifacts)

    async def complete(self, step: Step) -> None:
        """The step is done; the next one has attempts of its own."""
        await self._to(step.done, self.artifacts.with_retries(Retries()), self.recording.attempt - 1)

    async def start_over(self) -> None:
        """What was stored has to be looked at again, from the first file on."""
        await self._to(RecordingStatus.INITIALIZED, self.artifacts)

    async def _to(self, status: RecordingStatus, artifacts: Artifacts, uncounted: int | None = None) -> None:
        uncounted = self.uncounted if uncounted is None else uncounted
        await self._outcomes.note(self.recording, status, artifacts, uncounted)
        self.status, self.artifacts, self.uncounted = status, artifacts, uncounted


class StepWork(Protocol):
    """What does one step, from wherever it was left."""

    async def run(self, work: Work, *, now: datetime) -> None:
        """Do what is left of it; raises CarillonError."""
        ...
