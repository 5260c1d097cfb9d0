"""What an owner wants for slots that could not run when they came due, and for runs that would overlap."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from common.scheduling.fields import refusal
from common.strict import NoFlag


def _positive(duration: timedelta) -> timedelta:
    if duration <= timedelta(0):
        raise refusal("duration", "write a duration longer than nothing, in seconds or as PT6H")
    return duration


Duration = Annotated[timedelta, NoFlag, AfterValidator(_positive)]

CatchUp = Literal["all", "latest", "none"]
Overlap = Literal["skip", "queue_one", "queue_all", "cancel_running", "allow"]


class SchedulePolicy(BaseModel):
    """What to do about slots that could not run when they came due, and about runs that would overlap."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    catch_up: CatchUp = Field(
        default="latest",
        description="Of the slots missed: run all in turn, the latest, or none",
    )
    catch_up_window: Duration | None = Field(
        default=None, description="Slots due longer ago are not made up for"
    )
    expires_after: Duration | None = Field(
        default=None, description="A run that has not started so long after its time is of no use"
    )
    overlap: Overlap = Field(
        default="skip",
        description="While a run is still going: skip the next, queue one, queue all, cancel it, or run both",
    )


class OverlapAction(StrEnum):
    """What to do with a run that has come due while others of its automation are not finished."""

    START = "start"
    QUEUE = "queue"
    """Start it when the others have finished."""
    SKIP = "skip"
    REPLACE = "replace"
    """Cancel the others and start it."""


def decide_overlap(overlap: Overlap, *, running: int, queued: int) -> OverlapAction:
    """What the overlap policy says about one more run of an automation.

    Args:
        running: how many of its runs are queued, running or to be retried.
        queued: how many wait for those to finish.
    """
    if running + queued == 0:
        return OverlapAction.START
    match overlap:
        case "allow":
            return OverlapAction.START
        case "cancel_running":
            return OverlapAction.REPLACE
        case "queue_all":
            return OverlapAction.QUEUE
        case "queue_one":
            return OverlapAction.SKIP if queued else OverlapAction.QUEUE
        case "skip":
            return OverlapAction.SKIP
