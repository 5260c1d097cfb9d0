"""What becomes of a recording that a job finds."""

from __future__ import annotations

from uuid import uuid4

import pytest

from common.models import RecordingStatus
from common.recordings.matching import Template
from common.recordings.rules import MatchingRules
from common.recordings.selection import UNMATCHED, Standing, Verdict, Wanted, decide
from common.recordings.settings import ProcessingSettings

JOB, OTHER = uuid4(), uuid4()
NEW = Wanted({RecordingStatus.INITIALIZED}, blank=False, automation_id=JOB)
TEMPLATE = Template(uuid4(), 1, "Lectures", MatchingRules())
BY_HAND = Template(uuid4(), 2, "By hand", MatchingRules(), ProcessingSettings(auto_process=False))


@pytest.mark.parametrize(
    ("template", "is_blank", "is_ready", "verdict"),
    [
        (TEMPLATE, False, True, Verdict.STARTED),
        (BY_HAND, False, True, Verdict.HELD),
        (None, False, True, Verdict.UNMATCHED),
        (None, False, False, Verdict.UNMATCHED),
        (TEMPLATE, False, False, Verdict.WAITING),
        (TEMPLATE, True, True, Verdict.BLANK),
        (None, True, True, Verdict.BLANK),
    ],
)
def test_a_new_recording(template: Template | None, is_blank: bool, is_ready: bool, verdict: Verdict) -> None:
    assert decide(NEW, Standing(), template, is_blank=is_blank, is_ready=is_ready) is verdict


def test_blank_recordings_are_taken_if_the_job_includes_them() -> None:
    wanted = Wanted({RecordingStatus.INITIALIZED}, blank=True, automation_id=JOB)

    assert decide(wanted, Standing(), TEMPLATE, is_blank=True, is_ready=True) is Verdict.STARTED


@pytest.mark.parametrize("status", RecordingStatus)
def test_recordings_in_progress_or_done_are_never_taken(status: RecordingStatus) -> None:
    everything = Wanted(set(RecordingStatus), blank=True, automation_id=JOB)
    can_start = status in {"INITIALIZED", "SKIPPED", "FAILED"}

    assert everything.includes(Standing(status)) is can_start
    assert not everything.includes(Standing(status, is_under_way=True))


@pytest.mark.parametrize(
    ("standing", "included"),
    [
        (Standing(RecordingStatus.FAILED), False),
        (Standing(RecordingStatus.SKIPPED), False),
        (Standing(RecordingStatus.SKIPPED, UNMATCHED, OTHER), True),
        (Standing(RecordingStatus.SKIPPED, UNMATCHED, JOB), False),
        (Standing(RecordingStatus.SKIPPED, UNMATCHED, None), False),
        (Standing(RecordingStatus.SKIPPED, "not needed", OTHER), False),
    ],
)
def test_a_recording_unmatched_by_another_job_counts_as_new(standing: Standing, included: bool) -> None:
    assert NEW.includes(standing) is included
