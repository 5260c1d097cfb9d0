"""Handlers that read Facebook and deliver a message: reports and alerts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID

from platforms.facebook import FACEBOOK_USER
from tests.support.handlers.base import HandlerEnvironment, Mistake, messages_of


class _Messages:
    """A Facebook account whose figures are told."""

    platforms: ClassVar[Sequence[str]] = ("facebook",)

    async def set_up(self, environment: HandlerEnvironment, *, broken: bool = False) -> None:
        """Connect the account."""
        self._world = environment.world
        token = environment.planted.new("Facebook token", "revoked-" if broken else "sandbox-fb-")
        await environment.world.connection(environment.team, FACEBOOK_USER, token)

    async def reset(self) -> None:
        """Nothing is kept elsewhere."""

    async def effects(self, run_id: UUID) -> object:
        """The messages."""
        return await messages_of(self._world, run_id)


class ReportDriver(_Messages):
    """A daily report."""

    name: ClassVar[str] = "scheduled_report"
    type: ClassVar[str] = "scheduled_report"
    config: Mapping[str, Any] = {"period": "daily", "metric_types": ["ad_account"], "format": "text"}
    mistakes: ClassVar[Sequence[Mistake]] = (
        Mistake({"period": "hourly"}, "/period"),
        Mistake({"accounts": ["shop"]}, "/accounts/0"),
        Mistake({"recipients": []}, "/recipients"),
    )


class AlertDriver(_Messages):
    """A limit that whoever spends anything passes."""

    name: ClassVar[str] = "alert"
    type: ClassVar[str] = "alert"
    config: Mapping[str, Any] = {
        "thresholds": {"max_spend": 0},
        "rules": [{"metric": "impressions", "max": 1, "level": "campaign"}],
        "window": "last_3_days",
    }
    mistakes: ClassVar[Sequence[Mistake]] = (
        Mistake({"thresholds": {"max_spnd": 5}}, "/thresholds/max_spnd"),
        Mistake({"thresholds": {"max_spend": "much"}}, "/thresholds/max_spend"),
        Mistake({"thresholds": {}, "rules": []}, "/thresholds"),
        Mistake({"rules": [{"metric": "clics", "max": 1}]}, "/rules/0/metric"),
        Mistake({"timezone": "Europe/Berln"}, "/timezone"),
    )
