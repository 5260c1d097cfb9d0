"""What every kind of schedule may say about when it holds and how its runs are spread."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from common.scheduling.exclusions import Exclude
from common.scheduling.fields import Instant, field_refusal

MAX_JITTER_SECONDS = 12 * 3600


class Bounds(BaseModel):
    """When a schedule begins and ends, which days it leaves out, and how far its runs are spread."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start_at: Instant | None = Field(default=None, description="No slot before this instant")
    end_at: Instant | None = Field(default=None, description="No slot after this instant")
    max_runs: Annotated[int, Field(strict=True, ge=1)] | None = Field(
        default=None, description="The schedule ends after so many runs"
    )
    jitter_seconds: Annotated[int, Field(strict=True, ge=0, le=MAX_JITTER_SECONDS)] = Field(
        default=0, description="Start each run up to this much later; the slot keeps its instant"
    )
    exclude: Exclude | None = Field(default=None, description="Days and hours without runs")

    @model_validator(mode="after")
    def _end_after_start(self) -> Self:
        if self.start_at is not None and self.end_at is not None and self.end_at < self.start_at:
            raise field_refusal(
                type(self).__name__,
                ("end_at",),
                f"ends before it starts; write an instant after {self.start_at.isoformat()}",
                self.end_at,
            )
        return self

    def runs_left(self, run_count: int) -> int | None:
        """How many runs remain after so many, or None without a limit."""
        return None if self.max_runs is None else max(0, self.max_runs - run_count)
