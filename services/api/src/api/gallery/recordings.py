"""Templates of recording jobs."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from api.gallery.base import Category, Draft, GalleryTemplate, Hour, Parameters, TimeZone
from api.quotas.limits import JOB_TYPE
from common.automation_config.recording_sync import MAX_SYNC_DAYS
from common.automation_config.values import unique
from common.strict import Flag, WholeNumber
from platforms.zoom import PLATFORM as ZOOM


class NightlyRecordings(Parameters):
    """Questions of the nightly recording job."""

    templates: Annotated[tuple[WholeNumber, ...], AfterValidator(unique)] = Field(
        min_length=1, max_length=100, description="The numbers of the recording templates, best match first"
    )
    sync_days: WholeNumber = Field(default=2, ge=1, le=MAX_SYNC_DAYS, description="Days to look back")
    transcribe: Flag = Field(default=True, description="Write a transcript of each recording")
    hour: Hour = 3
    timezone: TimeZone = "UTC"


def _nightly_recordings(answers: NightlyRecordings) -> Draft:
    return Draft(
        schedule={"type": "daily", "hour": answers.hour, "minute": 0, "timezone": answers.timezone},
        config={
            "template_ids": list(answers.templates),
            "sync_config": {"sync_days": answers.sync_days},
            "processing_config": {} if answers.transcribe else {"skip_transcription": True},
        },
        platforms=(ZOOM,),
    )


RECORDINGS = (
    GalleryTemplate(
        "nightly-recordings",
        "Recordings overnight",
        "Takes new Zoom recordings, matches them to your recording templates, transcribes and keeps each.",
        Category.RECORDINGS,
        JOB_TYPE,
        (ZOOM,),
        NightlyRecordings,
        _nightly_recordings,
    ),
)
