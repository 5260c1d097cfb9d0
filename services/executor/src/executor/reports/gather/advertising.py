"""The figures of one ad account and its campaigns, as far as a report wants them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from common.errors import Consequence, PlatformError
from executor.reports.gather.refusals import Refusal, together, tried
from executor.reports.model.content import CONTEXT_DAYS, AccountFigures, CampaignFigures, Figures, Subject
from platforms.advertising.figures import ZERO, AdAccount
from platforms.advertising.metrics import AdsClient, Level, MetricRow
from platforms.calls.periods import Days

CHART_PATIENCE = 30.0
"""Seconds the report waits for what only its chart needs."""
_TOLD = ("spend", "impressions", "clicks", "reach", "conversions", "video_views")
_PLOTTED = ("spend",)
_NOTHING: Mapping[str, Decimal] = dict.fromkeys(("spend", "impressions", "clicks"), ZERO)
"""What is known of a campaign that did not deliver."""
_FIGURES, _CAMPAIGNS, _DAILY, _DAILY_CAMPAIGNS = "figures", "campaigns", "daily", "daily campaigns"
# Facebook counts views of all its videos from the third second on; few who advertise there look at them.
_NOT_ON = {"facebook": frozenset({"video_views"})}

Answer = Sequence[MetricRow] | PlatformError


@dataclass(frozen=True, slots=True)
class AdsRequest:
    """What is wanted of an ad account in `days`; the chart is of no use without the daily figures of all."""

    days: Days
    compares: bool
    with_campaigns: bool
    with_chart: bool
    with_table: bool

    @property
    def periods(self) -> list[Days]:
        """The period, and the one it is compared with."""
        return [self.days, self.days.before()] if self.compares else [self.days]

    @property
    def plotted(self) -> Days:
        """The days a chart shows."""
        if self.days.count == 1:
            return Days.ending(self.days.until, CONTEXT_DAYS)
        return Days(self.periods[-1].since, self.days.until)


@dataclass(frozen=True, slots=True)
class AdsReading:
    """What was found, and what was not. `unplotted` are errors that cost only the chart."""

    account: AccountFigures | None = None
    campaigns: Sequence[CampaignFigures] = ()
    refusals: Sequence[Refusal] = ()
    unplotted: Sequence[Refusal] = ()


async def read(client: AdsClient, account: AdAccount, wanted: AdsRequest) -> AdsReading:
    """One ad account. Everything is asked at once, so that a platform may answer it together."""
    told = [name for name in _TOLD if name in client.metrics - _NOT_ON.get(client.platform, frozenset())]
    asked: dict[str, Coroutine[Any, Any, Answer]] = {
        _FIGURES: tried(client.rows(account, told, wanted.periods))
    }
    if wanted.with_campaigns:
        asked[_CAMPAIGNS] = tried(client.rows(account, told, wanted.periods, level=Level.CAMPAIGN))
    if wanted.with_table:
        stretch = [wanted.plotted] if wanted.with_chart else [wanted.days]
        asked[_DAILY] = tried(client.rows(account, told, stretch, daily=True))
    elif wanted.with_chart:
        asked[_DAILY] = _for_the_chart(client, account, wanted)
    if wanted.with_table and wanted.with_campaigns:
        by_campaign = client.rows(account, told, [wanted.days], level=Level.CAMPAIGN, daily=True)
        asked[_DAILY_CAMPAIGNS] = tried(by_campaign)
    answers = dict(zip(asked, await together(list(asked.values())), strict=True))
    return _Reading(client.platform, account, wanted, answers).made()


async def _for_the_chart(client: AdsClient, account: AdAccount, wanted: AdsRequest) -> Answer:
    # A report must not be late for a picture's sake.
    try:
        async with asyncio.timeout(CHART_PATIENCE):
            return await tried(client.rows(account, _PLOTTED, [wanted.plotted], daily=True))
    except TimeoutError:
        detail = f"no daily figures within {CHART_PATIENCE:g} s"
        return PlatformError(detail, Consequence.TRANSIENT, platform=client.platform, code="chart_timeout")


class _Reading:
    """Puts the answers about one account together."""

    def __init__(
        self, platform: str, account: AdAccount, wanted: AdsRequest, answers: Mapping[str, Answer]
    ) -> None:
        self._platform = platform
        self._account = account
        self._wanted = wanted
        self._answers = answers
        self._refusals: list[Refusal] = []
        self._unplotted: list[Refusal] = []

    def made(self) -> AdsReading:
        """The figures of what was answered."""
        figures = self._rows(_FIGURES, Subject.AD_ACCOUNT)
        campaigns = self._rows(_CAMPAIGNS, Subject.CAMPAIGNS) or ()
        daily = self._rows(_DAILY, Subject.FILE if self._wanted.with_table else None) or ()
        daily_campaigns = self._rows(_DAILY_CAMPAIGNS, Subject.FILE) or ()
        return AdsReading(
            None if figures is None else self._figures(figures, daily),
            list(self._campaigns(campaigns, daily_campaigns)),
            self._refusals,
            self._unplotted,
        )

    def _rows(self, name: str, subject: Subject | None) -> Sequence[MetricRow] | None:
        """The rows of an answer; what was refused only costs the chart where it has no subject."""
        answer = self._answers.get(name)
        if isinstance(answer, PlatformError):
            refusals = self._unplotted if subject is None else self._refusals
            refusals.append(Refusal(subject or Subject.FILE, self._account.id, self._account.name, answer))
            return None
        return answer

    def _figures(self, rows: Sequence[MetricRow], daily: Sequence[MetricRow]) -> AccountFigures:
        account, wanted = self._account, self._wanted
        by_days = {row.days: Figures(row.metrics) for row in rows}
        return AccountFigures(
            account.id,
            account.name,
            self._platform,
            account.currency,
            account.zone_name,
            wanted.days,
            by_days.get(wanted.days, Figures()),
            by_days.get(wanted.days.before(), Figures()) if wanted.compares else None,
            _by_day(daily),
        )

    def _campaigns(self, rows: Sequence[MetricRow], daily: Sequence[MetricRow]) -> Iterator[CampaignFigures]:
        account, wanted = self._account, self._wanted
        by_id: dict[str, dict[Days, MetricRow]] = {}
        for row in sorted(rows, key=lambda row: row.days.since):
            by_id.setdefault(row.campaign_id or "", {})[row.days] = row
        for id_, by_days in by_id.items():
            current, previous = by_days.get(wanted.days), by_days.get(wanted.days.before())
            *_, latest = by_days.values()
            yield CampaignFigures(
                id_,
                latest.campaign_name or id_,
                account.id,
                account.name,
                self._platform,
                account.currency,
                account.zone_name,
                wanted.days,
                Figures() if current is None else Figures(current.metrics),
                (Figures(_NOTHING) if previous is None else Figures(previous.metrics))
                if wanted.compares
                else None,
                _by_day(row for row in daily if row.campaign_id == id_),
            )


def _by_day(rows: Iterable[MetricRow]) -> dict[date, Figures]:
    return {row.days.since: Figures(row.metrics) for row in rows}
