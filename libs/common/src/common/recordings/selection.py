"""What a job does with a recording it finds. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from common.models import RecordingStatus
from common.recordings.matching import Template

UNMATCHED = "no template of the job matches"
"""Reason of a recording that a job has skipped."""
STARTABLE = frozenset({RecordingStatus.INITIALIZED, RecordingStatus.SKIPPED, RecordingStatus.FAILED})
"""States from which processing can start; in every other it is under way or done."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A recording's progress. `is_under_way`: it is being processed, or queued."""

    status: RecordingStatus = RecordingStatus.INITIALIZED
    status_reason: str | None = None
    automation_id: UUID | None = None
    is_under_way: bool = False


class Verdict(StrEnum):
    """`started`: its template takes it. `held`: a template takes it, and a person is to start it.

    `unmatched`: it is skipped. `waiting`: its files are not all there. `blank`, `filtered`: it is left alone.
    """

    STARTED = "started"
    HELD = "held"
    UNMATCHED = "unmatched"
    WAITING = "waiting"
    BLANK = "blank"
    FILTERED = "filtered"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a job takes: recordings in these states, with content unless `blank` is True.

    A recording that another job has skipped for want of a template is as good as new to this one: the jobs
    of a team do not know of each other's templates.
    """

    statuses: Collection[RecordingStatus]
    blank: bool
    automation_id: UUID | None

    def includes(self, standing: Standing) -> bool:
        """Whether a recording of this standing is for the job."""
        if standing.is_under_way or standing.status not in STARTABLE:
            return False
        return standing.status in self.statuses or (
            RecordingStatus.INITIALIZED in self.statuses
            and standing.status is RecordingStatus.SKIPPED
            and standing.status_reason == UNMATCHED
            and standing.automation_id not in (None, self.automation_id)
        )


def decide(
    wanted: Wanted, standing: Standing, template: Template | None, *, is_blank: bool, is_ready: bool
) -> Verdict:
    """What becomes of a recording for which `template` is the first that matches."""
    if not wanted.includes(standing):
        return Verdict.FILTERED
    if is_blank and not wanted.blank:
        return Verdict.BLANK
    if template is None:
        return Verdict.UNMATCHED
    if not is_ready:
        return Verdict.WAITING
    return Verdict.STARTED if template.processing.auto_process else Verdict.HELD
