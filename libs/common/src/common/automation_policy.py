"""What an owner decides about an automation's runs beyond when they happen: its `policy`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from common.errors import Consequence
from common.retry import RetryPolicy
from common.scheduling.policy import SchedulePolicy
from common.strict import Number, WholeNumber

MAX_TIMEOUT_SECONDS = 6 * 3600


class RetryChoice(BaseModel):
    """Which failures are tried again, how often, and after how long."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_attempts: WholeNumber = Field(
        default=5, ge=1, le=20, description="Attempts in all, the first included"
    )
    base_seconds: Number = Field(
        default=5, ge=1, le=3600, description="Wait before the second attempt; doubles"
    )
    cap_seconds: Number = Field(
        default=600, ge=1, le=86_400, description="Longest wait that doubling leads to"
    )
    never: frozenset[Consequence] = Field(
        default=frozenset(),
        description="Error classes that end the run at once although they could be retried",
    )

    def as_policy(self, *, max_attempts: int) -> RetryPolicy:
        """The same for `common.retry`, with the attempts the run itself was given."""
        return RetryPolicy(
            max_attempts=max_attempts,
            base=timedelta(seconds=self.base_seconds),
            cap=timedelta(seconds=max(self.base_seconds, self.cap_seconds)),
        )


class AutomationPolicy(SchedulePolicy):
    """Every policy of an automation, each with a default that suits most."""

    retry: RetryChoice = RetryChoice()
    timeout_seconds: Number | None = Field(
        default=None,
        gt=0,
        le=MAX_TIMEOUT_SECONDS,
        description="Longest a run may take; default: the executor's",
    )
    pause_on_failure_after: WholeNumber | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="Failures in a row after which the automation stops with `error`",
    )
    max_concurrent_runs: WholeNumber | None = Field(
        default=None, ge=1, le=1000, description="Runs of this automation at once, where `overlap` is `allow`"
    )

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        """A stored policy. One this version cannot read counts as the default: the run must not be lost."""
        try:
            return cls.model_validate(stored)
        except ValidationError:
            return cls()
