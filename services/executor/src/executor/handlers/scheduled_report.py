"""Reports on Facebook and TikTok: ad accounts, campaigns, pages, profiles and videos."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import ClassVar
from zoneinfo import ZoneInfo

from common.automation_config.scheduled_report import MetricType, ReportFormat, ScheduledReportConfig
from common.clock import utc_now
from common.errors import Consequence, PlatformError
from common.messages import Attachment, Message
from common.models import DestinationType, platform_of
from executor.handlers.base import Handler, Outcome, RunContext
from executor.reports.gather.collection import Collected, Source, Sources, Wanted, collect
from executor.reports.gather.profile_memory import Memory
from executor.reports.gather.refusals import Refusal, tried
from executor.reports.gather.scope import ADVERTISING, Reach, reach
from executor.reports.model.content import Omission, Report, Subject
from executor.reports.model.record import record, summary
from executor.reports.render import chart, plots, table
from executor.reports.render.text import ReportRenderer
from executor.settings import ExecutorSettings
from executor.sources.access import access_of
from executor.sources.ads import AdSources
from executor.sources.creators import CreatorSources
from platforms import facebook
from platforms.advertising.metrics import AdsClient
from platforms.facebook import FACEBOOK_USER
from platforms.facebook.ads import FacebookAds
from platforms.facebook.client import FacebookClient
from platforms.facebook.opening import graph as graph_of
from platforms.registry import AD_KINDS, title_of
from platforms.tiktok_organic import TIKTOK_ORGANIC
from platforms.tiktok_organic.client import Organic

_REASONS = {
    Consequence.REAUTH: "must be connected again",
    Consequence.REFRESH: "must be connected again",
    Consequence.PERM: "a permission is missing",
    Consequence.GONE: "is gone, or hidden from the connected account",
    Consequence.INVALID: "{platform} refused the question",
    Consequence.SPLIT: "has too much data for a report",
    Consequence.RATE: "has used up its calls to {platform} for now",
    Consequence.BLOCKED: "is blocked by {platform} for now",
    Consequence.TRANSIENT: "got no answer from {platform}",
}
_DRAWN_AT_ONCE = 2
"""Charts; each takes megabytes while it is drawn."""

Clock = Callable[[], datetime]


class ScheduledReport(Handler[ScheduledReportConfig]):
    """The figures of the last full days, compared with as many days before them."""

    name: ClassVar[str] = "scheduled_report"
    title: ClassVar[str] = "Scheduled report"
    config = ScheduledReportConfig

    def __init__(self, settings: ExecutorSettings, *, clock: Clock = utc_now) -> None:
        self._settings = settings
        self._ads = AdSources(settings)
        self._creators = CreatorSources(settings)
        self._renderer = ReportRenderer()
        self._clock = clock
        self._drawing = asyncio.Semaphore(_DRAWN_AT_ONCE)

    async def run(self, context: RunContext, config: ScheduledReportConfig) -> Outcome:
        """Collect, compare, write. Raises PlatformError when there is nothing to report on, or not yet."""
        about = reach(config, context.platforms, {account.kind for account in context.accounts})
        memory, now = Memory(context.state), self._clock()
        wanted = Wanted(
            config,
            about.metrics,
            context.slot,
            now,
            ZoneInfo(config.timezone or context.timezone),
            with_chart=config.chart and context.destination_type != DestinationType.WEBHOOK,
        )
        sources = await self._sources(context, about)
        collected = await collect(sources, wanted, memory, is_last_chance=context.last_attempt)
        _tell(context, collected)
        report = _report(context.automation_name, config, about, collected)
        context.log.info(
            "figures collected",
            ad_accounts=len(report.accounts),
            campaigns=len(report.campaigns),
            pages=len(report.pages),
            profiles=len(report.profiles),
            days=config.days,
        )
        return await self._outcome(report, wanted, collected, memory)

    async def _outcome(self, report: Report, wanted: Wanted, collected: Collected, memory: Memory) -> Outcome:
        config, until = wanted.config, report.days.until
        files: list[Attachment] = []
        if config.wants_table:
            filename = f"report-{until}.csv"
            rows = await asyncio.to_thread(table.table, report)
            files.append(Attachment.of(filename, "text/csv", rows.content))
            if not rows.is_whole:
                cut = Omission(Subject.FILE, filename, filename, rows.cut)
                report = replace(report, omissions=[*report.omissions, cut])
        plot = plots.plot(report) if wanted.with_chart else None
        picture = None
        if plot is not None:
            async with self._drawing:
                drawn = await asyncio.to_thread(chart.draw, plot)
            picture = Attachment.of(f"chart-{until}.png", "image/png", drawn)
        figures = record(report)
        message = Message(
            type="report.completed",
            title=self._renderer.title(report),
            text=self._renderer.text(report),
            html=self._renderer.html(report) if config.format is ReportFormat.HTML else None,
            data=figures,
            chart=picture,
            files=tuple(files),
        )
        today = wanted.now.astimezone(wanted.zone).date()
        return Outcome(
            summary(report),
            figures,
            (message,),
            state=memory.state(today) if MetricType.PROFILE in wanted.metrics else None,
            faults=_faults(collected.refusals),
        )

    async def _sources(self, context: RunContext, about: Reach) -> Sources:
        """The clients of what is connected; what is not, or has no token, is lost."""
        ads: list[Source[AdsClient]] = []
        pages: list[Source[FacebookClient]] = []
        creators: list[Source[Organic]] = []
        lost: list[Refusal] = []
        if FACEBOOK_USER in about.kinds:
            own = [each for each in context.accounts if each.kind == FACEBOOK_USER]
            for account in own:
                connection, name = str(account.connection_id), account.name
                # One for both, so that what is asked at the same time shares a request.
                graph = await tried(graph_of(access_of(context, account, self._settings)))
                if isinstance(graph, PlatformError):
                    lost.append(Refusal(Subject.CONNECTION, connection, name, graph))
                    continue
                if about.metrics & ADVERTISING:
                    ads.append(Source(connection, name, FacebookAds(graph)))
                if MetricType.PAGES in about.metrics:
                    pages.append(Source(connection, name, FacebookClient(graph)))
            if not own:
                lost += _unconnected(await tried(self._ads.of(context, [facebook.PLATFORM])))
        for kind in sorted(about.kinds.intersection(AD_KINDS) - {FACEBOOK_USER}):
            found = await tried(self._ads.of(context, [platform_of(kind)]))
            lost += _unconnected(found)
            if not isinstance(found, PlatformError):
                ads += [Source(each.connection_id, each.name, each.client) for each in found]
        if TIKTOK_ORGANIC in about.kinds:
            try:
                own_creators = self._creators.of(context)
            except PlatformError as error:
                lost += _unconnected(error)
            else:
                creators += [Source(each.connection_id, each.name, each.client) for each in own_creators]
        return Sources(ads, pages, creators, lost)


def _unconnected(answer: object) -> list[Refusal]:
    """What is told of a platform without a connection."""
    if not isinstance(answer, PlatformError):
        return []
    title = title_of(answer.platform)
    return [Refusal(Subject.CONNECTION, f"{answer.platform}:{answer.detail}", title, answer)]


def _tell(context: RunContext, collected: Collected) -> None:
    for refusal in collected.refusals:
        context.log.warning(
            "part left out",
            subject=refusal.subject.value,
            subject_id=refusal.id,
            code=refusal.error.code,
            error=refusal.error.detail,
        )
    for refusal in collected.unplotted[:1]:
        context.log.warning(
            "chart left out",
            subject_id=refusal.id,
            code=refusal.error.code,
            error=refusal.error.detail,
        )


def _report(name: str, config: ScheduledReportConfig, about: Reach, collected: Collected) -> Report:
    return Report(
        name,
        config.period,
        collected.accounts,
        collected.pages,
        [_omission(refusal) for refusal in collected.refusals],
        collected.campaigns,
        collected.profiles,
        collected.videos,
        compares=config.compare,
        tells_accounts=MetricType.AD_ACCOUNT in about.metrics,
        asks_campaigns=MetricType.CAMPAIGNS in about.metrics,
        top_campaigns=config.top_campaigns,
    )


def _omission(refusal: Refusal) -> Omission:
    error = refusal.error
    reason = _REASONS[error.consequence].format(platform=title_of(error.platform))
    return Omission(
        refusal.subject,
        refusal.id,
        refusal.name,
        reason if error.code is None else f"{reason} (error {error.code})",
        error.code,
    )


def _faults(refusals: Iterable[Refusal]) -> list[PlatformError]:
    """One for each connection and code: a person is told once."""
    of_connections = [refusal.error for refusal in refusals if refusal.is_of_a_connection]
    return list({(error.connection_id, error.code): error for error in of_connections}.values())
